import type { Exchange } from '../exchange.ts'
import { logDocument } from '../log-document.ts'
import type { LogEvent } from '../pdk.ts'

/** A log event of a plain request, for tests of what happens to events. */
export function makeEvent(overrides: Partial<Exchange> = {}, event: Partial<LogEvent> = {}): LogEvent {
  const exchange: Exchange = {
    id: 'a'.repeat(32),
    startedAt: 1_795_419_012_318,
    method: 'POST',
    uri: '/openai/v1/chat/completions',
    clientIp: '127.0.0.1',
    host: '127.0.0.1:8000',
    port: 8000,
    requestHeaders: { host: '127.0.0.1:8000' },
    requestBody: Buffer.alloc(0),
    requestSize: 100,
    route: undefined,
    service: undefined,
    consumer: undefined,
    credentialId: undefined,
    upstreamUri: '/v1/chat/completions',
    source: 'service',
    upstreamStatus: '200',
    tries: [],
    status: 200,
    responseHeaders: {},
    responseSize: 200,
    kongMs: 1,
    waitingMs: 39,
    receiveMs: 1,
    requestMs: 41,
    aborted: false,
    serializeValues: {},
    shared: 0,
    context: 0,
    ...overrides,
  }
  return {
    plugin: { id: 'plugin-1', name: 'probe', config: { mode: 'full' } },
    exchange,
    document: logDocument(exchange),
    nodeId: 'node-1',
    shared: () => undefined,
    ...event,
  }
}
