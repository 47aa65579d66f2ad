import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Unpacked } from '../dev/gateway/message-pack.ts'
import { recordedMessages, recordingsPresent } from '../dev/gateway/testing/recorded-session.ts'
import { seededRandom } from '../dev/seeded-random.ts'
import { REQUEST_HEADERS, RESPONSE_HEADER_PREFIXES, RESPONSE_HEADERS } from '../plugin/allow-list.ts'
import { makeFramer } from '../plugin/message-framing.ts'
import { type FakeSidecar, startFakeSidecar } from '../plugin/testing/fake-sidecar.ts'
import { connectAsKong, type KongSide } from '../plugin/testing/kong-side.ts'
import { type PluginServer, startPluginServer } from '../plugin/testing/plugin-server.ts'
import { waitUntil } from '../plugin/testing/wait-until.ts'
import { type Capture, captureSchema } from '../sidecar/capture.ts'

/**
 * What real Kong 3.9.3 said to a plugin server, said to ours: each event of the session on its own connection, each call
 * of our plugin answered as Kong answered that call in that event.
 */
interface RecordedEvent {
  connection: number
  answers: Map<string, unknown>
  document: Record<string, never> & Document
}
interface Document {
  request: { id: string; uri: string; method: string; headers: Record<string, unknown> }
  response: { status: number; headers: Record<string, unknown> }
  latencies: object
  tries: object[]
  route: { name: string }
  consumer?: { username: string; custom_id: string; tags: string[] }
  started_at: number
  ai?: unknown
}

/** In the order in which Kong began them. */
function recordedEvents(): RecordedEvent[] {
  const events = new Map<number, RecordedEvent>()
  const asked = new Map<number, string>()
  const opening = new Map<string, true>()
  for (const { connection, from, message } of recordedMessages(false)) {
    const [, id, , body] = message as [number, number, Unpacked, Unpacked]
    const field = (value: Unpacked, name: string) => (value instanceof Map ? value.get(name) : undefined)
    if (from === 'kong') {
      const argument = (body as Unpacked[])[0]!
      if (message[2] === 'plugin.HandleEvent') opening.set(`${connection} ${id}`, true)
      const event = field(argument, 'EventId')
      if (typeof event === 'number') events.get(event)!.answers.set(asked.get(event)!, plain(field(argument, 'Data')))
    } else {
      const event = field(body, 'EventId')
      if (typeof event !== 'number') continue
      if (opening.delete(`${connection} ${id}`))
        events.set(event, { connection, answers: new Map(), document: {} as RecordedEvent['document'] })
      const next = field(body, 'Data')
      if (next instanceof Map)
        asked.set(event, callOf(String(next.get('Method')), plain(next.get('Args')) as unknown[]))
    }
  }
  return [...events.values()].map((event) => ({
    ...event,
    document: JSON.parse(String(event.answers.get(callOf('kong.log.serialize', [])))),
  }))
}
const callOf = (method: string, args: readonly unknown[]) => `${method}(${JSON.stringify(args)})`

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]))
  return Array.isArray(value) ? value.map(plain) : value
}

describe.skipIf(!recordingsPresent)('the recorded session of real Kong', () => {
  const events = recordingsPresent ? recordedEvents() : []
  let server: PluginServer
  let fake: FakeSidecar | undefined
  const open: KongSide[] = []

  beforeAll(async () => {
    server = await startPluginServer()
  })
  afterEach(async () => {
    for (const kong of open.splice(0)) kong.close()
    await fake?.close()
  })
  afterAll(() => server?.stop())

  /** The whole session once more; how its bytes are cut is up to `write`. */
  async function replay(source: string, write?: (kong: KongSide) => void): Promise<Capture[]> {
    const sidecar = await startFakeSidecar()
    fake = sidecar
    const config = { sidecar_url: sidecar.url, linger_ms: 5, source, content: 'on', route_id: 'r' }
    const nodeId = events.flatMap(({ answers }) => answers.get(callOf('kong.node.get_id', [])) ?? [])[0]
    const onConnection = Map.groupBy(events, ({ connection }) => connection)
    await Promise.all(
      [...onConnection.values()].map(async (own) => {
        const kong = await connectAsKong(server.socket)
        open.push(kong)
        write?.(kong)
        const instance = await kong.startInstance(config)
        for (const { answers } of own)
          await kong.event(instance, (method, args) =>
            // Only where the other plugin asked it too; a node says the same name to everybody.
            method === 'kong.node.get_id' ? nodeId : answers.get(callOf(method, args)),
          )
      }),
    )
    await waitUntil(() => sidecar.stored().length === events.length, 'every event has become a capture')
    const captures = sidecar.stored().map((capture) => captureSchema.parse(capture))
    // Numbers are given by who comes first: dense, whatever the order.
    expect(new Set(captures.map(({ epoch }) => epoch)).size).toBe(1)
    expect(captures.map(({ sequence }) => sequence!).toSorted((a, b) => a - b)).toEqual(events.map((_, at) => at + 1))
    return captures.map(({ epoch: _epoch, sequence: _sequence, ...capture }) => capture as Capture)
  }
  const byRequest = (captures: Capture[]) =>
    new Map(captures.map((capture) => [capture.log.request.id, capture] as const).toSorted())

  it('has the events that its README tells of', () => {
    expect(events.length).toBeGreaterThanOrEqual(20)
    expect(new Set(events.map(({ document }) => document.request.id)).size).toBe(events.length)
    expect(new Set(events.map(({ document }) => document.response.status))).toEqual(new Set([200, 400, 401, 429, 500]))
  })

  it('each event becomes one capture with what Kong said', async () => {
    const captures = byRequest(await replay('log'))
    expect(captures.size).toBe(events.length)
    const allowed = new Set<string>([...REQUEST_HEADERS, ...RESPONSE_HEADERS])
    const passes = (name: string) => allowed.has(name) || RESPONSE_HEADER_PREFIXES.some((part) => name.startsWith(part))
    for (const { document } of events) {
      const { log, source, node } = captures.get(document.request.id)!
      expect({ source, node }).toEqual({ source: 'log', node: expect.stringMatching(/^[0-9a-f-]{36}$/) })
      expect(log).toMatchObject({
        started_at: document.started_at,
        latencies: document.latencies,
        request: { method: document.request.method, uri: document.request.uri.split('?')[0] },
        response: { status: document.response.status },
        route: { name: document.route.name },
      })
      expect(log.tries?.map(({ ip, port }) => [ip, port])).toEqual(
        (document.tries as { ip: string; port: number }[]).map(({ ip, port }) => [ip, port]),
      )
      expect(log.consumer?.username).toBe(document.consumer?.username)
      expect(log.consumer?.tags).toEqual(document.consumer?.tags)
      expect(log.ai ?? undefined).toEqual(document.ai)
      for (const [side, given] of [
        [log.request.headers, document.request.headers],
        [log.response.headers, document.response.headers],
      ] as const)
        expect(side).toEqual(Object.fromEntries(Object.entries(given).filter(([name]) => passes(name))))
    }
    expect(JSON.stringify([...captures.values()])).not.toMatch(/alice-key|bob-key|sk-mock/)
  })

  it('auto finds no tap of ours in it, and comes to the same', async () => {
    const asked = byRequest(await replay('log'))
    await fake?.close()
    expect(byRequest(await replay('auto'))).toEqual(asked)
  })

  it('cut into pieces of any size on the real socket, it gives the same captures', async () => {
    const whole = byRequest(await replay('log'))
    await fake?.close()
    const random = seededRandom(20_261_123)
    const cut = await replay('log', (kong) => {
      const { socket } = kong
      socket.setNoDelay(true)
      const write = socket.write.bind(socket)
      // Pieces go out one by one, each in a turn of its own: what waits keeps its order.
      let last = Promise.resolve()
      socket.write = ((bytes: Uint8Array) => {
        for (let at = 0; at < bytes.length; ) {
          const piece = bytes.subarray(at, at + 1 + Math.floor(random() ** 4 * 2000))
          at += piece.length
          last = last.then(() => new Promise((resolve) => write(piece, () => setImmediate(resolve))))
        }
        return true
      }) as typeof socket.write
    })
    expect(byRequest(cut)).toEqual(whole)
  })

  it('each message of Kong, cut in two at every byte, is the same message; so are all of them in one piece', () => {
    const messages = recordedMessages(true).flatMap(({ from, bytes }) => (from === 'kong' ? [bytes] : []))
    for (const bytes of messages) {
      const framer = makeFramer(16 * 1024 * 1024)
      for (let at = 1; at < bytes.length; at++) {
        const found: Buffer[] = []
        framer.push(bytes.subarray(0, at), (message) => found.push(message))
        expect(found).toHaveLength(0)
        framer.push(bytes.subarray(at), (message) => found.push(message))
        if (found.length !== 1 || !found[0]!.equals(bytes)) expect.fail(`cut at ${at} of ${bytes.length}`)
      }
    }
    const found: Buffer[] = []
    makeFramer(16 * 1024 * 1024).push(Buffer.concat(messages), (message) => found.push(message))
    expect(found.map((message) => message.toString('hex'))).toEqual(messages.map((message) => message.toString('hex')))
  })
})
