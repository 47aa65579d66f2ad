import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LlmCall } from './call.ts'
import { type DeliverOptions, deliver, newDeliverStats } from './deliver.ts'
import type { Exporter, SendResult } from './exporters/exporter.ts'
import { makeLogger } from './logger.ts'
import { makeCall } from './testing/make-call.ts'
import { type MemorySpool, makeMemorySpool } from './testing/memory-spool.ts'

const SINK = 'otlp'
type Send = (calls: readonly LlmCall[], signal: AbortSignal) => SendResult | Promise<SendResult>

/** Calls 1 to `size`, an exporter that does as `send` says, and a deliver loop that runs until all is committed. */
async function run({
  size,
  send,
  wants,
  limit = 10,
  spool = makeMemorySpool([SINK]),
  options = {},
}: {
  size: number
  send: Send
  wants?: (call: LlmCall) => boolean
  limit?: number
  spool?: MemorySpool
  options?: Partial<DeliverOptions>
}) {
  const stop = new AbortController()
  const stats = newDeliverStats()
  const log: Record<string, unknown>[] = []
  const pauses: number[] = []
  const batches: string[][] = []
  const exporter: Exporter = {
    id: SINK,
    limits: { calls: limit, bytes: 1e9 },
    ...(wants !== undefined && { wants }),
    async send(calls, signal) {
      batches.push(calls.map(({ requestId }) => requestId))
      return send(calls, signal)
    },
    async close() {},
  }
  await spool.append(
    Array.from({ length: size }, (_, index) => makeCall({ tenant: index % 2 ? 'blue' : 'red' }, index + 1)),
  )
  const running = deliver(
    {
      ...spool,
      async commit(reader, upTo, settled) {
        await spool.commit(reader, upTo, settled)
        if (upTo === (await spool.stats()).lastPosition) stop.abort()
      },
    },
    exporter,
    {
      logger: makeLogger('DEBUG', { write: (line) => void log.push(JSON.parse(line)) }),
      signal: stop.signal,
      stats,
      random: () => 1,
      pause: async (ms) => void pauses.push(ms),
      ...options,
    },
  )
  return { spool, stop, stats, log, pauses, batches, running }
}

const numberOf = (call: LlmCall) => Number(call.requestId.split('-')[1])
const taken: Send = (calls) => ({ sent: calls.length, rejected: [] })

describe('deliver', () => {
  it('sends batch after batch in order, and settles each call as sent', async () => {
    const { spool, batches, stats, log, running } = await run({ size: 25, send: taken, options: { now: () => 7 } })
    await running
    expect(batches.map((batch) => batch.length)).toEqual([10, 10, 5])
    expect(batches.flat()).toEqual(Array.from({ length: 25 }, (_, index) => `request-${index + 1}`))
    expect(spool.settled(SINK).map(({ position }) => position)).toEqual(batches.flat().map((_, index) => index + 1))
    expect(spool.settled(SINK).every(({ outcome, reason }) => outcome === 'sent' && reason === '')).toBe(true)
    expect(spool.settled(SINK)[1]).toMatchObject({ tenant: 'blue' })
    expect(spool.commits(SINK)).toEqual([10, 20, 25])
    expect(stats.get(SINK)).toEqual({ retries: new Map(), inFlight: 0, lastSuccessAt: 7 })
    expect(log).toEqual([])
  })

  it('sends again until the sink takes it, waiting with full jitter up to 30 s; says so once, and once when it is over', async () => {
    let failures = 0
    const { spool, pauses, batches, stats, log, running } = await run({
      size: 2,
      send: (calls, signal) => (failures++ < 10 ? { retry: 'http_503' } : taken(calls, signal)),
    })
    await running
    expect(pauses).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
    expect(new Set(batches.map((batch) => batch.join())).size).toBe(1)
    expect(stats.get(SINK)?.retries).toEqual(new Map([['http_503', 10]]))
    expect(log.map(({ level, reason }) => [level, reason])).toEqual([
      ['WARN', 'http_503'],
      ['INFO', undefined],
    ])
    expect(spool.settled(SINK)).toHaveLength(2)
  })

  it('full jitter: half the random number, half the pause', async () => {
    let failures = 0
    const { pauses, running } = await run({
      size: 1,
      send: (calls, signal) => (failures++ < 3 ? { retry: 'timeout' } : taken(calls, signal)),
      options: { random: () => 0.5 },
    })
    await running
    expect(pauses).toEqual([100, 200, 400])
  })

  it('waits at least as long as the sink asked for, but not for ever', async () => {
    const answers: SendResult[] = [
      { retry: 'http_429', afterMs: 5000 },
      { retry: 'http_429', afterMs: 1e12 },
    ]
    const { pauses, running } = await run({
      size: 1,
      send: (calls, signal) => answers.shift() ?? taken(calls, signal),
      options: { random: () => 0 },
    })
    await running
    expect(pauses).toEqual([5000, 600_000])
  })

  it('settles what the sink does not want as sampled out, and sends the rest', async () => {
    const { spool, batches, running } = await run({ size: 10, send: taken, wants: (call) => numberOf(call) % 3 === 0 })
    await running
    expect(batches).toEqual([['request-3', 'request-6', 'request-9']])
    expect(spool.settled(SINK).filter(({ outcome }) => outcome === 'sampled_out')).toHaveLength(7)
    expect(spool.settled(SINK).filter(({ outcome }) => outcome === 'sent')).toHaveLength(3)
  })

  it('does not send a batch of which it wants nothing', async () => {
    const { spool, batches, running } = await run({ size: 10, send: taken, wants: () => false })
    await running
    expect(batches).toEqual([])
    expect(spool.commits(SINK)).toEqual([10])
  })

  it('finds the poisoned calls by halving, buries them, and settles them as rejected', async () => {
    const poisoned = new Set([3, 17, 18])
    const { spool, log, running } = await run({
      size: 64,
      limit: 64,
      send: (calls, signal) =>
        calls.some((call) => poisoned.has(numberOf(call))) ? { drop: 'http_400' } : taken(calls, signal),
    })
    await running
    const letters = await spool.deadLetters(SINK)
    expect(letters.map(({ position, reason, call }) => [position, reason, numberOf(call)])).toEqual([
      [3, 'http_400', 3],
      [17, 'http_400', 17],
      [18, 'http_400', 18],
    ])
    expect(spool.settled(SINK).filter(({ outcome }) => outcome === 'rejected')).toHaveLength(3)
    expect(spool.settled(SINK).filter(({ outcome }) => outcome === 'sent')).toHaveLength(61)
    expect(log.filter(({ level }) => level === 'WARN').map(({ request_id }) => request_id)).toEqual([
      'request-3',
      'request-17',
      'request-18',
    ])
  })

  it('counts what the sink refused of a batch it took: by index, or as many as it said', async () => {
    const { spool, running } = await run({
      size: 5,
      send: () => ({
        sent: 2,
        rejected: [
          { index: -1, reason: 'partial_success' },
          { index: 4, reason: 'too_old' },
          { index: -1, reason: 'partial_success' },
        ],
      }),
    })
    await running
    expect(spool.settled(SINK).map(({ outcome, reason }) => `${outcome} ${reason}`.trim())).toEqual([
      'sent',
      'sent',
      'rejected partial_success',
      'rejected partial_success',
      'rejected too_old',
    ])
  })

  it('an exporter that throws costs the call it throws at, not the reader; the error’s text is not logged', async () => {
    const { spool, log, running } = await run({
      size: 8,
      send: (calls, signal) => {
        if (calls.some((call) => numberOf(call) === 5)) throw new TypeError('Bearer hunter2')
        return taken(calls, signal)
      },
    })
    await running
    expect((await spool.deadLetters()).map(({ position, reason }) => [position, reason])).toEqual([
      [5, 'exporter_error'],
    ])
    expect(JSON.stringify(log)).not.toContain('hunter2')
  })

  it('does not send what the spool dropped while the sink was away', async () => {
    const spool = makeMemorySpool([SINK])
    let tries = 0
    const { batches, running } = await run({
      size: 8,
      limit: 6,
      spool,
      send: (calls, signal) => {
        if (++tries > 1) return taken(calls, signal)
        spool.moveOn(SINK, 4)
        return { retry: 'http_503' }
      },
    })
    await running
    expect(batches.map((batch) => batch.length)).toEqual([6, 2, 2])
    expect(batches[1]).toEqual(['request-5', 'request-6'])
    expect(spool.settled(SINK).map(({ position, outcome }) => [position, outcome])).toEqual([
      ...[1, 2, 3, 4].map((position) => [position, 'dropped']),
      ...[5, 6, 7, 8].map((position) => [position, 'sent']),
    ])
  })

  it('what one half of a batch has settled stays settled, whatever the other half waits for', async () => {
    const spool = makeMemorySpool([SINK])
    const { batches, running } = await run({
      size: 4,
      spool,
      send: (calls, signal) => {
        if (calls.length === 4) return { drop: 'http_413' }
        if (batches.length !== 3) return taken(calls, signal)
        // The second half waits, and meanwhile the spool has moved on past the whole batch.
        spool.moveOn(SINK, 4)
        void spool.append([makeCall({}, 5)])
        return { retry: 'http_503' }
      },
    })
    await running
    expect(batches.map((batch) => batch.join())).toEqual([
      'request-1,request-2,request-3,request-4',
      'request-1,request-2',
      'request-3,request-4',
      'request-5',
    ])
    expect(spool.settled(SINK).map(({ position, outcome }) => [position, outcome])).toEqual([
      [1, 'sent'],
      [2, 'sent'],
      [3, 'dropped'],
      [4, 'dropped'],
      [5, 'sent'],
    ])
  })

  it('ends at the signal while it waits for calls', async () => {
    const { stop, running } = await run({ size: 0, send: taken })
    stop.abort()
    await running
  })

  it('ends at the signal while it waits to send again, at once, and commits nothing', async () => {
    const waiting = Promise.withResolvers<void>()
    const { spool, stop, running } = await run({
      size: 3,
      send: () => {
        waiting.resolve()
        return { retry: 'connection', afterMs: 600_000 }
      },
      // The real pause: the signal must cut it short.
      options: { pause: undefined as never, random: () => 1 },
    })
    await waiting.promise
    stop.abort()
    await running
    expect(spool.commits(SINK)).toEqual([])
  })

  it('ends at the signal in the middle of a push, without a warning; the same calls come again at the next start', async () => {
    const sending = Promise.withResolvers<void>()
    const first = await run({
      size: 3,
      send: (_, signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve({ retry: 'aborted' }))
          sending.resolve()
        }),
    })
    await sending.promise
    expect(first.stats.get(SINK)?.inFlight).toBe(3)
    first.stop.abort()
    await first.running
    expect(first.spool.commits(SINK)).toEqual([])
    expect(first.stats.get(SINK)).toEqual({ retries: new Map(), inFlight: 0, lastSuccessAt: undefined })
    expect(first.log).toEqual([])
    const second = await run({ size: 0, send: taken, spool: first.spool })
    await second.running
    expect(second.batches).toEqual(first.batches)
    expect(second.spool.settled(SINK)).toHaveLength(3)
  })

  it('a dead letter that is replayed is sent like any other', async () => {
    let mended = false
    const first = await run({ size: 4, send: (c, s) => (!mended && c.length > 0 ? { drop: 'http_400' } : taken(c, s)) })
    await first.running
    expect(await first.spool.deadLetters()).toHaveLength(4)
    mended = true
    expect(await first.spool.replay(SINK)).toBe(4)
    const second = await run({ size: 0, send: taken, spool: first.spool })
    await second.running
    expect(second.batches.flat()).toEqual(first.batches[0])
    expect(await second.spool.deadLetters()).toEqual([])
  })

  it('model: whatever the sink does, each call is settled once, as what became of it', async () => {
    const answer = fc.oneof(
      { weight: 4, arbitrary: fc.constant('take' as const) },
      fc.constantFrom('retry' as const, 'restart' as const, 'full' as const),
      fc.record({ refuse: fc.nat(3) }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          size: fc.integer({ min: 1, max: 40 }),
          limit: fc.integer({ min: 1, max: 16 }),
          poisoned: fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 6 }),
          unwanted: fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 10 }),
          script: fc.array(answer, { maxLength: 30 }),
        }),
        async ({ size, limit, poisoned, unwanted, script }) => {
          const spool = makeMemorySpool([SINK])
          const remaining = [...script]
          const delivered: number[] = []
          let refused = 0
          let moved = 0
          for (let start = 0; ; start++) {
            const stop = new AbortController()
            const send: Send = (calls) => {
              const next = remaining.shift() ?? 'take'
              if (next === 'restart') {
                stop.abort()
                return { retry: 'aborted' }
              }
              if (next === 'retry') return { retry: 'http_500' }
              if (next === 'full') {
                // Never the last one: its settlement ends the run.
                moved = Math.min(size - 1, Math.max(spool.commits(SINK).at(-1) ?? 0, moved) + 3)
                spool.moveOn(SINK, moved)
                return { retry: 'http_500' }
              }
              if (calls.some((call) => poisoned.includes(numberOf(call)))) return { drop: 'http_400' }
              delivered.push(...calls.map(numberOf))
              if (typeof next === 'string') return { sent: calls.length, rejected: [] }
              const many = Math.min(next.refuse, calls.length)
              refused += many
              return {
                sent: calls.length - many,
                rejected: Array.from({ length: many }, () => ({ index: -1, reason: 'x' })),
              }
            }
            const { running } = await run({
              size: start === 0 ? size : 0,
              limit,
              send,
              wants: (call) => !unwanted.includes(numberOf(call)),
              spool,
              options: { signal: stop.signal, pause: async () => {} },
            }).then((started) => {
              started.stop.signal.addEventListener('abort', () => stop.abort())
              return started
            })
            await running
            if (spool.commits(SINK).at(-1) === size) break
          }
          const settled = spool.settled(SINK)
          expect(settled.map(({ position }) => position).sort((a, b) => a - b)).toEqual(
            Array.from({ length: size }, (_, index) => index + 1),
          )
          const having = (outcome: string) =>
            settled.filter((one) => one.outcome === outcome).map((one) => one.position)
          const all = Array.from({ length: size }, (_, index) => index + 1)
          const dropped = having('dropped')
          const kept = all.filter((n) => !dropped.includes(n))
          expect(having('sampled_out').sort((a, b) => a - b)).toEqual(kept.filter((n) => unwanted.includes(n)))
          const dead = kept.filter((n) => poisoned.includes(n) && !unwanted.includes(n))
          expect((await spool.deadLetters()).map(({ position }) => position).sort((a, b) => a - b)).toEqual(dead)
          // The sink has what it was said to have: what the spool dropped never reached it.
          expect(delivered.filter((n) => dropped.includes(n))).toEqual([])
          // What is settled as sent has been at the sink; a restart may have brought it there twice.
          for (const position of having('sent')) expect(delivered).toContain(position)
          expect(having('rejected').length).toBeGreaterThanOrEqual(dead.length)
          expect(having('rejected').length).toBeLessThanOrEqual(dead.length + refused)
          const commits = spool.commits(SINK)
          expect(commits).toEqual([...commits].sort((a, b) => a - b))
        },
      ),
      { numRuns: 200 },
    )
  })
})
