import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import {
  type ClientRequest,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { withSidecar } from '../../../plugin/tap-text.ts'
import { type GatewayOptions, startGateway } from '../gateway.ts'
import type { Unpacked } from '../message-pack.ts'
import { startScriptedServer } from './scripted-server.ts'

const PROJECT_KONG_YML = join(import.meta.dirname, '../../demo-kong.yml')

export type Upstream = (request: IncomingMessage, body: Buffer, response: ServerResponse) => void
/** What an external plugin could learn of a request by its two calls. */
export interface Observed {
  plugin: string
  document: Record<string, unknown>
  /** The tap's text, parsed. */
  capture: unknown
}
export interface Received {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  /** The connection broke before the answer's end. */
  broken: boolean
}
export type Fixture = Awaited<ReturnType<typeof startFixture>>

export interface FixtureOptions {
  /** Text of a kong.yml; the project's own by default. */
  kongYml?: string
  upstream?: Upstream
  gateway?: Partial<GatewayOptions>
  /** Where the tap tells its totals; nowhere by default. */
  tapSidecar?: { url: string; token: string }
}

/** The project's kong.yml, changed. */
export function projectKongYml(change: (config: Record<string, never>) => void = () => {}): string {
  const config = parse(readFileSync(PROJECT_KONG_YML, 'utf8'))
  change(config)
  return stringify(config)
}

/** Gateway, an upstream behind it, and a plugin server that asks each request for its log document and its capture. */
export async function startFixture(options: FixtureOptions = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-'))
  const upstreamRequests: { method: string; url: string; headers: IncomingHttpHeaders; body: Buffer }[] = []
  const answer: Upstream = options.upstream ?? ((_request, _body, response) => response.end('{"ok":true}'))
  const upstream = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const { method = '', url = '', headers } = incoming
      upstreamRequests.push({ method, url, headers, body })
      answer(incoming, body, response)
    })
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))

  const observed: Observed[] = []
  const open = new Map<number, Partial<Observed>>()
  const plugins: string[] = []
  let events = 0
  const server = await startScriptedServer(({ method, argument }) => {
    const fields = argument as Map<string, Unpacked>
    if (method === 'plugin.StartInstance') {
      plugins.push(String(fields.get('Config')))
      return { result: { Id: plugins.length - 1 } }
    }
    if (method === 'plugin.HandleEvent') {
      const id = events++
      open.set(id, { plugin: plugins[Number(fields.get('InstanceId'))]! })
      return { result: { EventId: id, Data: { Method: 'kong.log.serialize', Args: [] } } }
    }
    const id = Number(fields.get('EventId'))
    const event = open.get(id)!
    if (event.document === undefined) {
      event.document = JSON.parse(String(fields.get('Data')))
      return { result: { EventId: id, Data: { Method: 'kong.ctx.shared.get', Args: ['llm_observer'] } } }
    }
    observed.push({ ...(event as Observed), capture: captureOf(plain(fields.get('Data'))) })
    return { result: { EventId: id, Data: 'ret' } }
  })

  const configFile = join(directory, 'kong.yml')
  writeFileSync(
    configFile,
    withSidecar(options.kongYml ?? projectKongYml(), options.tapSidecar ?? { url: '', token: '' }),
  )
  const accessLog = join(directory, 'access.log')
  const gateway = await startGateway({
    configFile,
    accessLog,
    pluginServerSocket: server.socketPath,
    upstreamOverride: { '127.0.0.1:9500': `127.0.0.1:${(upstream.address() as AddressInfo).port}` },
    nodeId: 'node-1',
    workerPid: 4711,
    ...options.gateway,
  })

  return {
    gateway,
    upstream,
    upstreamRequests,
    observed,
    pluginServer: server,
    accessLog: () =>
      readFileSync(accessLog, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    /** The one request that was observed. */
    async only(): Promise<Observed> {
      await gateway.idle()
      if (observed.length !== 1) throw new Error(`${observed.length} observed requests, not one`)
      return observed[0]!
    },
    send: (path: string, sending?: Sending) => send(gateway.port, path, sending),
    async close() {
      await gateway.close()
      await server.close()
      upstream.closeAllConnections()
      await new Promise((resolve) => upstream.close(resolve))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export interface Sending {
  method?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  /** Called with each piece of the answer; gives back true to hang up. */
  onChunk?: (chunk: Buffer) => boolean
  /** Called when the request is sent, to do something to it. */
  onSent?: (sent: ClientRequest) => void
}

export function send(port: number, path: string, sending: Sending = {}): Promise<Received> {
  const { method = 'POST', body = '', onChunk } = sending
  return new Promise((resolve, reject) => {
    const sent = request({
      port,
      path,
      method,
      agent: false,
      headers: {
        host: '127.0.0.1:8000',
        'user-agent': 'test/1',
        accept: '*/*',
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        ...sending.headers,
      },
    })
    // As curl: none of its own.
    sent.removeHeader('connection')
    sent.on('error', reject)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      const end = (broken: boolean) =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks), broken })
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        if (onChunk?.(chunk)) sent.destroy()
      })
      response.on('end', () => end(false))
      response.on('error', () => {})
      response.on('close', () => end(true))
    })
    sent.end(body)
    sending.onSent?.(sent)
  })
}

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]))
  return Array.isArray(value) ? value.map(plain) : value
}

function captureOf(text: unknown): unknown {
  return typeof text === 'string' ? JSON.parse(text) : text
}
