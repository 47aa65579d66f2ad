import { afterEach, describe, expect, it } from 'vitest'
import { waitUntil } from '../wait-until.ts'
import type { Exchange, Headers } from './exchange.ts'
import type { LogDocument } from './log-document.ts'
import type { Packable, Unpacked } from './message-pack.ts'
import type { LogEvent } from './pdk.ts'
import { makePluginEvents, type PluginEventsOptions } from './plugin-events.ts'
import { makeEvent } from './testing/make-event.ts'
import { recordedMessages, recordingsPresent } from './testing/recorded-session.ts'
import { type Call, type Reply, startScriptedServer } from './testing/scripted-server.ts'

type Server = Awaited<ReturnType<typeof startScriptedServer>>
const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function start(reply: (call: Call) => Reply, options: Partial<PluginEventsOptions> = {}) {
  const server = await startScriptedServer(reply)
  const reasons: string[] = []
  const events = makePluginEvents({
    socketPath: server.socketPath,
    onLost: (reason) => reasons.push(reason),
    ...options,
  })
  cleanUp.push(
    () => server.close(),
    () => events.close(),
  )
  return { server, events, reasons }
}

/** A server with instances that make one PDK call an event. */
function oneCall(method: string, args: unknown[] = []) {
  let instance = 0
  let event = 0
  return (call: Call): Reply => {
    if (call.method === 'plugin.StartInstance') return { result: { Name: 'probe', Id: instance++ } }
    if (call.method === 'plugin.HandleEvent')
      return { result: { Data: { Method: method, Args: args }, EventId: event++ } }
    return { result: { Data: 'ret', EventId: (call.argument as Map<string, number>).get('EventId') } }
  }
}
const steps = (server: Server) => server.calls.filter(({ method }) => method.startsWith('plugin.Step'))

describe('an event', () => {
  it('starts the instance once, answers the call, and is counted', async () => {
    const { server, events } = await start(oneCall('kong.node.get_id'))
    for (let n = 0; n < 5; n++) events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toEqual({ sent: 5, lost: 0, running: 0, waiting: 0 })
    expect(server.calls.filter(({ method }) => method === 'plugin.StartInstance')).toHaveLength(1)
    expect(steps(server).map(({ argument }) => (argument as Map<string, unknown>).get('Data'))).toEqual(
      Array(5).fill('node-1'),
    )
  })

  it.each([
    ['kong.client.get_consumer', 'plugin.StepConsumer', undefined],
    ['kong.ctx.shared.get', 'plugin.Step', undefined],
    ['kong.no.such.method', 'plugin.Step', undefined],
    ['kong.response.get_headers', 'plugin.StepMultiMap', new Map()],
    ['kong.response.get_status', 'plugin.Step', 200],
  ])('%s is answered by %s', async (method, step, data) => {
    const { server, events } = await start(oneCall(method, ['key']))
    events.push(makeEvent())
    await events.idle()
    expect(steps(server)).toHaveLength(1)
    expect(steps(server)[0]!.method).toBe(step)
    const argument = steps(server)[0]!.argument as Map<string, unknown>
    expect(argument.get('Data')).toEqual(data)
    // nil is an absent key, not a null.
    expect(argument.has('Data')).toBe(data !== undefined)
  })

  it('ends in Kong, and is lost, where a call raises in the log timer', async () => {
    const { server, events, reasons } = await start(oneCall('kong.request.get_path'))
    events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 0, lost: 1 })
    expect(reasons[0]).toMatch(/get_path/)
    expect(steps(server)).toHaveLength(0)
  })

  it('is lost where ctx.shared holds what MessagePack cannot carry', async () => {
    const { events } = await start(oneCall('kong.ctx.shared.get', ['key']))
    const shared = () => {
      throw new Error('a function cannot be packed')
    }
    events.push(makeEvent({}, { shared }))
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 0, lost: 1 })
  })
})

describe('connections', () => {
  it('new ones when all are busy, kept afterwards', async () => {
    const { server, events } = await start(oneCall('kong.node.get_id'))
    events.push(makeEvent())
    await events.idle()
    expect(server.connections()).toBe(1)
    for (let n = 0; n < 8; n++) events.push(makeEvent())
    await events.idle()
    const opened = server.connections()
    expect(opened).toBeGreaterThan(1)
    expect(opened).toBeLessThanOrEqual(8)
    for (let n = 0; n < 8; n++) events.push(makeEvent())
    await events.idle()
    expect(server.connections()).toBe(opened)
  })

  it('message ids are counted over all of them, and none is answered on another', async () => {
    const { server, events } = await start(oneCall('kong.node.get_id'))
    for (let n = 0; n < 20; n++) events.push(makeEvent())
    await events.idle()
    const ids = server.calls.map(({ id }) => id).toSorted((a, b) => a - b)
    expect(ids).toEqual(Array.from({ length: ids.length }, (_, n) => n + 1))
  })
})

describe('a plugin server that fails', () => {
  it('is not there: the event is lost', async () => {
    const events = makePluginEvents({ socketPath: '/nowhere/js.sock' })
    events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 0, lost: 1 })
  })

  it('hangs up in the middle: lost; the next event opens a connection and starts the instance anew', async () => {
    const answer = oneCall('kong.node.get_id')
    let broken = true
    const { server, events } = await start((call) =>
      broken && call.method === 'plugin.HandleEvent' ? 'hang up' : answer(call),
    )
    events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 0, lost: 1 })
    broken = false
    events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 1, lost: 1 })
    expect(server.calls.filter(({ method }) => method === 'plugin.StartInstance')).toHaveLength(2)
  })

  it('has forgotten the instance: a new one is started and the event delivered', async () => {
    const answer = oneCall('kong.node.get_id')
    const { server, events } = await start((call) =>
      call.method === 'plugin.HandleEvent' && (call.argument as Map<string, number>).get('InstanceId') === 0
        ? { error: 'no plugin instance #0' }
        : answer(call),
    )
    events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 1, lost: 0 })
    expect(server.calls.filter(({ method }) => method === 'plugin.StartInstance')).toHaveLength(2)
  })

  it('forgets each instance at once: lost, not tried for ever', async () => {
    const { server, events } = await start((call) =>
      call.method === 'plugin.StartInstance' ? { result: { Id: 1 } } : { error: 'no plugin instance #1' },
    )
    events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 0, lost: 1 })
    expect(server.calls.length).toBeLessThan(10)
  })

  it('refuses the configuration: lost, and asked again by the next event', async () => {
    const { server, events } = await start(() => ({ error: 'config.source must be one of tap, log, auto' }))
    events.push(makeEvent())
    await events.idle()
    events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 0, lost: 2 })
    expect(server.calls.map(({ method }) => method)).toEqual(['plugin.StartInstance', 'plugin.StartInstance'])
  })

  it('never answers: lost after the time limit', async () => {
    const { events, reasons } = await start(() => 'silence', { timeoutMs: 30 })
    events.push(makeEvent())
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 0, lost: 1 })
    expect(reasons).toEqual(['timeout'])
  })

  it('is slow: so many run, so many wait, the rest is lost and counted', async () => {
    let release: (() => void) | undefined
    const answer = oneCall('kong.node.get_id')
    const held: Call[] = []
    const { server, events } = await start(
      (call) => {
        if (call.method === 'plugin.HandleEvent' && release === undefined) {
          held.push(call)
          return 'silence'
        }
        return answer(call)
      },
      { maxRunning: 2, maxWaiting: 3 },
    )
    for (let n = 0; n < 9; n++) events.push(makeEvent())
    expect(events.stats()).toEqual({ sent: 0, lost: 4, running: 2, waiting: 3 })
    await waitUntil(async () => held.length === 2)
    release = () => {}
    // The two that run are lost with their connections; those that wait come through.
    server.hangUp()
    await events.idle()
    expect(events.stats()).toEqual({ sent: 3, lost: 6, running: 0, waiting: 0 })
  })
})

interface RecordedEvent {
  handle: Map<string, unknown>
  /** What Kong answered, and what the server asked, in turn. */
  steps: { method: string; argument: Map<string, Unpacked> }[]
  asked: unknown[]
}

describe.skipIf(!recordingsPresent)('the recorded session, with this gateway in Kong’s place', () => {
  it('says to the plugin server what Kong said', async () => {
    const recorded = recordedEvents()
    expect(recorded).toHaveLength(21)
    for (const event of recorded) await replay(event)
  })

  async function replay(recording: RecordedEvent): Promise<void> {
    let at = 0
    const { server, events } = await start(({ method }) =>
      method === 'plugin.StartInstance'
        ? { result: { Name: 'llm-probe', Id: recording.handle.get('InstanceId') } }
        : { result: plain(recording.asked[at++]) },
    )
    events.push(eventOf(recording))
    await events.idle()
    expect(events.stats()).toMatchObject({ sent: 1, lost: 0 })
    const [starting, handle, ...said] = server.calls
    expect(Object.keys(plain(starting!.argument) as object).toSorted()).toEqual(['Config', 'Name'])
    expect(plain(handle!.argument)).toEqual(plain(recording.handle))
    expect(said.map(({ method, argument }) => ({ method, argument: meaning(argument) }))).toEqual(
      recording.steps.map(({ method, argument }) => ({ method, argument: meaning(argument) })),
    )
    await events.close()
    await server.close()
    cleanUp.splice(0)
  }

  /** The request of which Kong told in the recording, as this gateway would have held it. */
  function eventOf({ steps, asked }: RecordedEvent): LogEvent {
    const answers = new Map<string, Packable>()
    asked.forEach((question, index) => {
      const data = (question as Map<string, unknown>).get('Data')
      if (!(data instanceof Map)) return
      const call = `${data.get('Method')} ${(data.get('Args') as unknown[]).join()}`.trim()
      answers.set(call, steps[index]!.argument.get('Data') as Packable)
    })
    const document = JSON.parse(answers.get('kong.log.serialize') as string)
    const entity = (call: string) => {
      const value = answers.get(call)
      return value === undefined ? undefined : ({ entity: value } as unknown as never)
    }
    const exchange: Partial<Exchange> = {
      status: document.response.status,
      requestHeaders: document.request.headers as Headers,
      responseHeaders: document.response.headers as Headers,
      startedAt: document.started_at,
      route: entity('kong.router.get_route'),
      service: entity('kong.router.get_service'),
      consumer: entity('kong.client.get_consumer'),
      source: document.source === 'upstream' ? 'service' : 'exit',
    }
    return makeEvent(exchange, {
      document: document as LogDocument,
      nodeId: String(answers.get('kong.node.get_id')),
      plugin: { id: String(answers.get('kong.plugin.get_id')), name: 'llm-probe', config: {} },
      shared: (key) => answers.get(`kong.ctx.shared.get ${key}`),
    })
  }

  function recordedEvents(): RecordedEvent[] {
    const events: RecordedEvent[] = []
    const open = new Map<unknown, RecordedEvent>()
    const calls = new Map<unknown, { method: string; argument: Map<string, Unpacked> }>()
    for (const { from, message } of recordedMessages(false)) {
      if (from === 'kong') {
        calls.set(message[1], {
          method: String(message[2]),
          argument: (message[3] as Unpacked[])[0] as Map<string, Unpacked>,
        })
        continue
      }
      const call = calls.get(message[1])!
      const result = message[3] as Map<string, unknown>
      if (call.method === 'plugin.StartInstance') continue
      const id = result.get('EventId')
      if (call.method === 'plugin.HandleEvent') {
        const event = { handle: call.argument, steps: [], asked: [result] }
        open.set(id, event)
        events.push(event)
      } else {
        open.get(id)!.steps.push(call)
        open.get(id)!.asked.push(result)
      }
    }
    return events
  }

  /** Keys in any order, JSON text as what it says. */
  function meaning(argument: Unpacked): unknown {
    const value = plain(argument) as Record<string, unknown>
    return typeof value.Data === 'string' && value.Data.startsWith('{')
      ? { ...value, Data: JSON.parse(value.Data) }
      : value
  }
})

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
  return Array.isArray(value) ? value.map(plain) : value
}
