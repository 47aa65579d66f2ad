import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LlmCall } from './call.ts'
import type { Totals } from './capture.ts'
import { makeLogger } from './logger.ts'
import { type Drops, makeServer, newReceiveCounters, type ReceiveCounters, type TapErrors } from './receive.ts'
import { makeCall } from './testing/make-call.ts'
import { makeCapture } from './testing/make-capture.ts'

const MAX_BODY = 1024 * 1024
const TOKEN = 'correct horse battery staple'

let server: FastifyInstance
let counters: ReceiveCounters
let appended: LlmCall[]
let drops: Drops[]
let tapErrors: TapErrors[]
let tapTotals: Totals[]
let full: boolean
let refusals: number
let dropsFail: boolean
let logged: string

beforeEach(async () => {
  appended = []
  drops = []
  tapErrors = []
  tapTotals = []
  full = false
  refusals = 0
  dropsFail = false
  logged = ''
  counters = newReceiveCounters()
  const sink = new Writable({
    write(chunk, _encoding, done) {
      logged += String(chunk)
      done()
    },
  })
  server = makeServer({
    token: TOKEN,
    maxBodyBytes: MAX_BODY,
    logger: makeLogger('DEBUG', sink),
    observe: (capture) => {
      const { id } = capture.log.request
      if (id === 'web-page') return undefined
      if (id === 'breaks-the-reader') throw new Error('defect')
      const call = makeCall({ requestId: id })
      if (id === 'breaks-the-estimate') return Promise.reject(new Error('defect'))
      return id.startsWith('estimated') ? new Promise((resolve) => setImmediate(() => resolve(call))) : call
    },
    spool: {
      append: async (calls) => {
        if (full) return 'full'
        appended.push(...calls)
        return { stored: calls.length, duplicate: 0 }
      },
    },
    counters,
    onDrops: async (told) => {
      if (dropsFail) throw new Error('no room')
      drops.push(told)
    },
    onRefused: () => {
      refusals++
    },
    onTapTotal: async (total) => {
      if (total.epoch === 'no-room') throw new Error('no room')
      tapTotals.push(total)
    },
    onTapErrors: async (errors) => {
      tapErrors.push(...errors)
    },
    metrics: async () => ({ contentType: 'text/plain', body: 'm 1\n' }),
    notReady: () => (full ? ['spool'] : []),
  })
  await server.listen({ host: '127.0.0.1', port: 0 })
})
afterEach(() => server.close())

const batch = (captures: unknown[], extra: object = {}) => ({
  v: 1,
  plugin: { version: '0.1.0', instance: 'p1' },
  dropped: [],
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
    expect(tapTotals).toEqual([total])
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
    expect(tapTotals).toEqual([])
    expect(counters.refusals).toMatchObject({ invalid_batch: 2, too_large: 1, unauthorized: 1 })
  })

  it('that cannot be stored is not acknowledged: the tap tells it again', async () => {
    expect(await tell({ ...total, epoch: 'no-room' })).toMatchObject({ status: 500 })
  })
})

describe('POST /v1/captures', () => {
  it('answers 202 after append with what was stored', async () => {
    const answer = await answerOf(await post(JSON.stringify(batch([makeCapture({ n: 1 }), makeCapture({ n: 2 })]))))
    expect(answer).toEqual({ status: 202, stored: 2, duplicate: 0, rejected: [] })
    expect(appended.map((call) => call.requestId)).toEqual(['request-1', 'request-2'])
    expect(counters.captures.stored).toBe(2)
  })

  it('waits for calls that are estimated, keeps the order, and one that fails harms only itself', async () => {
    const ids = ['estimated-1', 'request-2', 'breaks-the-estimate', 'estimated-4', 'request-5']
    const captures = ids.map((id) => makeCapture({ log: { request: { ...makeCapture().log.request, id } } }))
    const answer = await answerOf(await post(JSON.stringify(batch(captures))))
    expect(answer).toMatchObject({ status: 202, stored: 4, rejected: [{ index: 2 }] })
    expect(appended.map(({ requestId }) => requestId)).toEqual(ids.filter((id) => id !== 'breaks-the-estimate'))
    expect(logged).toContain('a capture could not be read')
  })

  it('counts what is no LLM call apart, and tells that its number came', async () => {
    const page = { ...makeCapture({ capture: { epoch: 'e1', sequence: 4 } }) }
    page.log.request.id = 'web-page'
    const answer = await answerOf(await post(JSON.stringify(batch([page, makeCapture({ n: 2 })]))))
    expect(answer).toEqual({ status: 202, stored: 1, duplicate: 0, rejected: [] })
    expect(counters.captures).toMatchObject({ stored: 1, not_llm: 1, invalid: 0 })
    expect(drops).toEqual([{ instance: 'p1', totals: [], sequences: [['e1', 4]] }])
  })

  it('takes an empty batch that only tells of drops', async () => {
    const dropped = [{ reason: 'queue_full', total: 7, sequences: [['e1', 3]] }]
    expect((await post(JSON.stringify(batch([], { dropped })))).status).toBe(202)
    expect(drops).toEqual([{ instance: 'p1', totals: [{ reason: 'queue_full', total: 7 }], sequences: [['e1', 3]] }])
  })

  it('does not acknowledge drops that could not be stored', async () => {
    dropsFail = true
    const body = JSON.stringify(batch([makeCapture()], { dropped: [{ reason: 'queue_full', total: 1 }] }))
    expect((await post(body)).status).toBe(500)
    dropsFail = false
    expect((await post(body)).status).toBe(202)
    expect(drops).toHaveLength(1)
  })

  it('tells what the tap could not gather', async () => {
    await post(JSON.stringify(batch([makeCapture({ capture: { tap_errors: 2 } }), makeCapture({ n: 2 })])))
    expect(tapErrors).toEqual([{ node: 'node-1', epoch: 'e1', total: 2 }])
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

  it('a bad capture that was numbered came, and is no gap as well', async () => {
    const numbered = (sequence: unknown) =>
      makeCapture({ n: 2, capture: { epoch: 'e1', sequence: sequence as number } })
    const bad = { ...numbered(4), log: 'gone' }
    const breaking = numbered(5)
    breaking.log.request.id = 'breaks-the-reader'
    const late = numbered(6)
    late.log.request.id = 'breaks-the-estimate'
    await post(JSON.stringify(batch([makeCapture({ n: 1 }), bad, breaking, late, { ...bad, sequence: 'x' }])))
    expect(counters.captures).toMatchObject({ stored: 1, invalid: 4 })
    expect(drops).toEqual([{ instance: 'p1', totals: [], sequences: [4, 5, 6].map((sequence) => ['e1', sequence]) }])
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
    expect(appended.map((call) => call.requestId)).toEqual(['request-2'])
    expect(logged).toContain('"level":"ERROR"')
    expect(logged).toContain('breaks-the-reader')
  })

  it('says 503 with Retry-After when the store is full, and counts nothing as stored', async () => {
    full = true
    const response = await post(JSON.stringify(batch([makeCapture()])))
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('1')
    expect(counters.captures).toMatchObject({ stored: 0, refused: 1 })
    expect(refusals).toBe(1)
    expect((await fetch(`${address()}/readyz`)).status).toBe(503)
  })

  const refused: [string, () => Promise<Response>, number, string][] = [
    ['garbage', () => post('%%% not json'), 400, 'invalid_json'],
    ['half a document', () => post('{"v":1,"captures":['), 400, 'invalid_json'],
    ['an empty body', () => post('{}'), 400, 'wrong_version'],
    ['null', () => post('null'), 400, 'wrong_version'],
    ['a newer version', () => post(JSON.stringify({ ...batch([]), v: 3 })), 400, 'wrong_version'],
    ['a batch of the wrong shape', () => post(JSON.stringify({ v: 1, captures: 'many' })), 400, 'invalid_batch'],
    ['only invalid captures', () => post(JSON.stringify(batch([{ v: 1 }]))), 400, 'no_valid_capture'],
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
    expect(appended).toEqual([])
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
