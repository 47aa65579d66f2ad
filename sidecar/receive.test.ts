import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeDoorTokens } from './door-tokens.ts'
import { makeIntake } from './intake.ts'
import { makeLogLimit } from './log-limit.ts'
import { makeLogger } from './logger.ts'
import { makeServer, newReceiveCounters, type ReceiveCounters } from './receive.ts'
import { Secret } from './secret.ts'
import { StoreUnavailable } from './store/errors.ts'
import type { Incoming } from './store/store.ts'
import { makeCall } from './testing/make-call.ts'
import { makeCapture } from './testing/make-capture.ts'

const MAX_BODY = 1024 * 1024
const TOKEN = 'correct-horse-battery-staple'

let server: FastifyInstance
let counters: ReceiveCounters
/** What the store was given, one a request. */
let incoming: Incoming[]
let settled: Set<string>
let observed: string[]
let unavailable: boolean
let opening: boolean
let refusals: number
let logged: string
let hold: Promise<void> | undefined
const appended = () => incoming.flatMap(({ calls }) => calls)

beforeEach(async () => {
  incoming = []
  settled = new Set()
  observed = []
  unavailable = false
  opening = false
  refusals = 0
  logged = ''
  hold = undefined
  counters = newReceiveCounters()
  const sink = new Writable({
    write(chunk, _encoding, done) {
      logged += String(chunk)
      done()
    },
  })
  const logger = makeLogger('DEBUG', sink)
  const log = makeLogLimit(logger)
  const intake = makeIntake({
    store: {
      identity: 'the store',
      async append(given) {
        await hold
        if (unavailable) throw new StoreUnavailable('disk_full', 'the disk is full')
        if (given.given?.[0]?.epoch === 'no-room') throw new Error('defect')
        incoming.push(given)
        for (const { gateway } of given.calls) settled.add(`${gateway.epoch} ${gateway.sequence}`)
        const lost = (given.lost ?? []).reduce((sum, { count = 1 }) => sum + count, 0)
        return { stored: given.calls.length, duplicate: 0, lateRefused: 0, lost, rolledBack: 0 }
      },
      settledNumbers: () => (epoch, sequence) => settled.has(`${epoch} ${sequence}`),
      capturesRefused: () => {
        refusals++
      },
    },
    observe: (capture) => {
      const { id } = capture.log.request
      observed.push(id)
      if (id === 'web-page') return undefined
      if (id === 'breaks-the-reader') throw new Error('defect')
      const { node, source, epoch, sequence } = capture
      const call = makeCall({
        requestId: id,
        gateway: { node, source, ...(epoch && sequence ? { epoch, sequence } : {}) },
      })
      if (id === 'breaks-the-estimate') return Promise.reject(new Error('defect'))
      return id.startsWith('estimated') ? new Promise((resolve) => setImmediate(() => resolve(call))) : call
    },
    log,
    counters: counters.captures,
  })
  server = makeServer({
    admits: makeDoorTokens({ host: '127.0.0.1', tokens: { intake: [new Secret({ text: TOKEN })] } }, {}).admits,
    hostFault: () => undefined,
    maxBodyBytes: MAX_BODY,
    logger,
    log,
    intake: () => (opening ? undefined : intake),
    counters,
    metrics: async () => (opening ? undefined : { contentType: 'text/plain', body: ['m ', '1\n'] }),
    notReady: () => (unavailable ? ['the store cannot write'] : []),
    notAlive: () => [],
  })
  await server.listen({ host: '127.0.0.1', port: 0 })
})
afterEach(() => server.close())

const batch = (captures: unknown[], extra: object = {}) => ({
  v: 2,
  plugin: { version: '0.1.0', instance: 'p1' },
  captures,
  ...extra,
})
const address = () => `http://127.0.0.1:${(server.server.address() as { port: number }).port}`

function post(body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
  return fetch(`${address()}/v1/captures`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}`, ...headers },
  })
}
async function tell(total: unknown, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const body = typeof total === 'string' ? total : JSON.stringify(total)
  const authorization = `Bearer ${TOKEN}`
  const response = await fetch(`${address()}/v1/totals`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', authorization, ...headers },
  })
  return answerOf(response)
}
const answerOf = async (response: Response): Promise<Record<string, unknown>> => ({
  status: response.status,
  ...((await response.json()) as object),
})

describe('POST /v1/totals', () => {
  const total = { v: 1, node: 'n', epoch: 'e', sequence: 7, tap_errors: 0 }

  it('answers 202 when it is stored', async () => {
    expect(await tell(total)).toMatchObject({ status: 202 })
    expect(incoming).toEqual([{ calls: [], given: [{ node: 'n', epoch: 'e', sequence: 7 }], totals: [] }])
  })

  it('says what is wrong, needs the token, and holds no more than it needs', async () => {
    expect(await tell({ ...total, sequence: 0 })).toMatchObject({
      status: 400,
      error: 'invalid_batch',
      message: expect.stringContaining('sequence'),
    })
    expect(await tell('no json')).toMatchObject({ status: 400 })
    expect(await tell({ ...total, node: 'x'.repeat(5000) })).toMatchObject({
      status: 413,
      message: 'the body is larger than 4096 bytes',
    })
    expect(await tell(total, { authorization: 'Bearer guessed' })).toMatchObject({ status: 401 })
    expect(incoming).toEqual([])
    expect(counters.refusals).toMatchObject({ invalid_batch: 2, too_large: 1, unauthorized: 1 })
  })

  it('that cannot be stored is not acknowledged: the tap tells it again', async () => {
    expect(await tell({ ...total, epoch: 'no-room' })).toMatchObject({ status: 500 })
  })
})

describe('POST /v1/captures', () => {
  it('answers 202 after append with what was stored', async () => {
    const answer = await answerOf(await post(JSON.stringify(batch([makeCapture({ n: 1 }), makeCapture({ n: 2 })]))))
    expect(answer).toEqual({ status: 202, stored: 2, duplicate: 0, lost: 0, rejected: [], store: 'the store' })
    expect(appended().map((call) => call.requestId)).toEqual(['request-1', 'request-2'])
    expect(counters.captures.stored).toBe(2)
  })

  it('waits for calls that are estimated, keeps the order, and one that fails harms only itself', async () => {
    const ids = ['estimated-1', 'request-2', 'breaks-the-estimate', 'estimated-4', 'request-5']
    const captures = ids.map((id) => makeCapture({ log: { request: { ...makeCapture().log.request, id } } }))
    const answer = await answerOf(await post(JSON.stringify(batch(captures))))
    expect(answer).toMatchObject({ status: 202, stored: 4, rejected: [{ index: 2 }] })
    expect(appended().map(({ requestId }) => requestId)).toEqual(ids.filter((id) => id !== 'breaks-the-estimate'))
    expect(logged).toContain('a capture could not be read')
  })

  it('counts what is no LLM call apart, and tells that its number came', async () => {
    const page = { ...makeCapture({ capture: { epoch: 'e1', sequence: 4 } }) }
    page.log.request.id = 'web-page'
    const answer = await answerOf(await post(JSON.stringify(batch([page, makeCapture({ n: 2 })]))))
    expect(answer).toMatchObject({ status: 202, stored: 1, duplicate: 0, rejected: [] })
    expect(counters.captures).toMatchObject({ stored: 1, not_llm: 1, invalid: 0 })
    expect(incoming[0]!.ignored).toEqual([{ epoch: 'e1', sequence: 4, node: 'node-1' }])
  })

  it('takes tombstones, what was acknowledged, and errors of the plugin', async () => {
    const tombstone = { v: 2, tombstone: 'queue_full', epoch: 'e1', sequence: 3, count: 5, node: 'node-1' }
    const acknowledged = [['e1', [[1, 2]]]]
    const errors = [{ kind: 'pdk_timeout', total: 4, message: 'no answer' }]
    const answer = await answerOf(await post(JSON.stringify(batch([tombstone], { acknowledged, errors }))))
    expect(answer).toMatchObject({ status: 202, stored: 0, lost: 5 })
    expect(incoming).toMatchObject([
      {
        lost: [{ epoch: 'e1', sequence: 3, count: 5, node: 'node-1', reason: 'queue_full' }],
        acknowledged,
        totals: [{ source: 'p1', total: 4, counter: { name: 'plugin_errors', labels: ['pdk_timeout'] } }],
      },
    ])
    expect(logged).toContain('the plugin tells of an error')
  })

  it('reads the version before: losses by number, and as totals', async () => {
    const dropped = [{ reason: 'queue_full', total: 7, sequences: [['e1', 3]] }]
    const old = { v: 1, plugin: { version: '0.1.0', instance: 'p1' }, dropped, captures: [{ ...makeCapture(), v: 1 }] }
    expect(await answerOf(await post(JSON.stringify(old)))).toMatchObject({ status: 202, stored: 1, lost: 1 })
    expect(incoming[0]).toMatchObject({
      lost: [{ epoch: 'e1', sequence: 3, count: 1, reason: 'queue_full' }],
      totals: [{ source: 'p1', name: 'queue_full', total: 7, counted: 1, counter: { labels: ['', 'queue_full'] } }],
    })
  })

  it('a capture that is known is not looked at again', async () => {
    settled.add('e1 1')
    const answer = await answerOf(await post(JSON.stringify(batch([makeCapture({ n: 1 }), makeCapture({ n: 2 })]))))
    expect(answer).toMatchObject({ status: 202, stored: 1, duplicate: 1 })
    expect(observed).toEqual(['request-2'])
  })

  it('a batch that comes again while the first is worked on waits for it, and is read once', async () => {
    let release = () => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    const body = JSON.stringify(batch([makeCapture({ n: 1 }), makeCapture({ n: 2 })]))
    const first = post(body)
    await expect.poll(() => observed.length).toBe(2)
    const second = post(body)
    const third = post(JSON.stringify(batch([makeCapture({ n: 3 })])))
    await expect.poll(() => observed.length).toBe(3)
    release()
    expect(await answerOf(await first)).toMatchObject({ status: 202, stored: 2 })
    expect(await answerOf(await second)).toMatchObject({ status: 202, stored: 0, duplicate: 2 })
    expect((await third).status).toBe(202)
    expect(observed).toEqual(['request-1', 'request-2', 'request-3'])
  })

  it('tells what the tap could not gather', async () => {
    await post(JSON.stringify(batch([makeCapture({ capture: { tap_errors: 2 } }), makeCapture({ n: 2 })])))
    expect(incoming[0]!.totals).toEqual([
      {
        source: 'tap node-1 e1',
        name: 'tap_error',
        total: 2,
        counter: { name: 'tap_errors', labels: [] },
        node: 'node-1',
      },
    ])
  })

  it('a bad capture harms only itself, and is described', async () => {
    const bad = { ...makeCapture(), log: { ...makeCapture().log, started_at: 'yesterday' } }
    const answer = await answerOf(await post(JSON.stringify(batch([makeCapture({ n: 1 }), bad, 17]))))
    expect(answer.status).toBe(202)
    expect(answer.stored).toBe(1)
    expect(answer.rejected).toEqual([
      { index: 1, message: expect.stringContaining('log.started_at') },
      { index: 2, message: expect.stringContaining('expected object') },
    ])
    expect(counters.captures).toMatchObject({ stored: 1, invalid: 2 })
  })

  it('a bad capture that was numbered is told lost, once', async () => {
    const numbered = (sequence: unknown) =>
      makeCapture({ n: 2, capture: { epoch: 'e1', sequence: sequence as number } })
    const bad = { ...numbered(4), log: 'gone' }
    const breaking = numbered(5)
    breaking.log.request.id = 'breaks-the-reader'
    const late = numbered(6)
    late.log.request.id = 'breaks-the-estimate'
    await post(JSON.stringify(batch([makeCapture({ n: 1 }), bad, breaking, late, { ...bad, sequence: 'x' }])))
    expect(counters.captures).toMatchObject({ stored: 1, invalid: 4 })
    expect(incoming[0]!.lost).toEqual([4, 5, 6].map((sequence) => ({ epoch: 'e1', sequence, reason: 'invalid' })))
    expect(logged).toContain('a capture is not valid')
  })

  it('only invalid captures: all is accounted for, nothing comes again', async () => {
    const answer = await answerOf(await post(JSON.stringify(batch([{ v: 2, epoch: 'e1', sequence: 1 }, 17]))))
    expect(answer).toMatchObject({ status: 202, stored: 0, lost: 1, rejected: [{ index: 0 }, { index: 1 }] })
  })

  it('what is no LLM call is taken though nothing else of its batch is', async () => {
    const page = makeCapture({ capture: { epoch: 'e1', sequence: 4 } })
    page.log.request.id = 'web-page'
    expect((await post(JSON.stringify(batch([page, 17])))).status).toBe(202)
    expect(counters.captures).toMatchObject({ not_llm: 1, invalid: 1 })
  })

  it('a defect in reading one capture costs only that one and is logged', async () => {
    const breaking = makeCapture({ n: 1 })
    breaking.log.request.id = 'breaks-the-reader'
    expect((await post(JSON.stringify(batch([breaking, makeCapture({ n: 2 })])))).status).toBe(202)
    expect(appended().map((call) => call.requestId)).toEqual(['request-2'])
    expect(logged).toContain('"level":"ERROR"')
    expect(logged).toContain('breaks-the-reader')
  })

  it('says 503 with Retry-After when the store cannot write, logs it, and counts nothing as stored', async () => {
    unavailable = true
    const response = await post(JSON.stringify(batch([makeCapture()])))
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('1')
    expect(await response.json()).toMatchObject({
      error: 'store_unavailable',
      message: expect.stringContaining('disk_full'),
    })
    expect(counters.captures).toMatchObject({ stored: 0, refused: 1 })
    expect(counters.refusals.store_unavailable).toBe(1)
    expect(refusals).toBe(1)
    expect(logged).toContain('the store cannot write now')
    expect((await fetch(`${address()}/readyz`)).status).toBe(503)
    unavailable = false
    expect((await post(JSON.stringify(batch([makeCapture()])))).status).toBe(202)
  })

  it('says 503 while the store is opened, at every door that needs it', async () => {
    opening = true
    expect(await answerOf(await post(JSON.stringify(batch([makeCapture()]))))).toMatchObject({
      status: 503,
      error: 'not_ready',
    })
    expect(await tell({ v: 1, node: 'n', epoch: 'e', sequence: 7 })).toMatchObject({ status: 503 })
    expect((await fetch(`${address()}/metrics`)).status).toBe(503)
  })

  const refused: [string, () => Promise<Response>, number, string][] = [
    ['garbage', () => post('%%% not json'), 400, 'invalid_json'],
    ['half a document', () => post('{"v":1,"captures":['), 400, 'invalid_json'],
    ['an empty body', () => post('{}'), 400, 'wrong_version'],
    ['null', () => post('null'), 400, 'wrong_version'],
    ['a newer version', () => post(JSON.stringify({ ...batch([]), v: 3 })), 400, 'wrong_version'],
    ['a batch of the wrong shape', () => post(JSON.stringify({ v: 2, captures: 'many' })), 400, 'invalid_batch'],
    ['invalid UTF-8', () => post(new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])), 400, 'invalid_utf8'],
    ['deep JSON', () => post(`{"v":1,"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`), 400, 'too_deep'],
    ['a body over the limit', () => post('x'.repeat(MAX_BODY + 1)), 413, 'too_large'],
    ['a compressed body', () => post('{}', { 'content-encoding': 'gzip' }), 415, 'content_encoding'],
    ['another content type', () => post('{}', { 'content-type': 'text/plain' }), 415, 'content_type'],
    ['a wrong token', () => post('{}', { authorization: 'Bearer wrong' }), 401, 'unauthorized'],
    ['a token of another scheme', () => post('{}', { authorization: `Basic ${TOKEN}` }), 401, 'unauthorized'],
  ]
  it.each(refused)('refuses %s clearly and counts it', async (_name, send, status, refusal) => {
    const answer = await answerOf(await send())
    expect(answer).toMatchObject({ status, error: refusal })
    expect(counters.refusals[refusal as keyof typeof counters.refusals]).toBe(1)
    expect(logged).toContain(refusal)
    expect(appended()).toEqual([])
    // Unharmed: the next good batch is taken.
    expect((await post(JSON.stringify(batch([makeCapture()])))).status).toBe(202)
  })

  it('refuses 50 MB without the token before reading it', async () => {
    const response = await post(new Uint8Array(50 * 1024 * 1024), { authorization: 'Bearer wrong' }).catch(
      (error: Error) => error,
    )
    if (response instanceof Response) expect(response.status).toBe(401)
    expect(counters.bytes).toBe(0)
    expect((await post(JSON.stringify(batch([makeCapture()])))).status).toBe(202)
  })

  it('never shows the token', async () => {
    await post('{}', { authorization: 'Bearer wrong' })
    await post('garbage')
    expect(logged).not.toContain(TOKEN)
  })
})

describe('the other doors', () => {
  it('/healthz, /readyz, /metrics answer', async () => {
    expect(await (await fetch(`${address()}/healthz`)).json()).toEqual({ status: 'ok' })
    expect(await (await fetch(`${address()}/readyz`)).json()).toEqual({ status: 'ready' })
    expect(await (await fetch(`${address()}/metrics`)).text()).toBe('m 1\n')
  })
  it('a wrong path says where captures go', async () => {
    const answer = await answerOf(await fetch(`${address()}/captures?key=secret`))
    expect(answer).toMatchObject({ status: 404, message: expect.stringContaining('POST /v1/captures') })
    expect(JSON.stringify(answer)).not.toContain('secret')
  })
})
