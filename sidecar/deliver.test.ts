import { describe, expect, it } from 'vitest'
import type { LlmCall } from './call.ts'
import { type DeliverOptions, deliver, newDeliverStats } from './deliver.ts'
import { pauseFor } from './delivery/back-off.ts'
import type { DeliverySettings, Exporter, SendResult } from './exporters/exporter.ts'
import { sendGroups } from './exporters/send-groups.ts'
import { type LogLevel, makeLogger } from './logger.ts'
import { makeCall } from './testing/make-call.ts'
import { type MemorySinkLog, makeMemorySinkLog } from './testing/memory-sink-log.ts'
import { makeVirtualTime } from './testing/virtual-time.ts'

const SINK = 'otlp'
const MINUTE = 60_000
const HOUR = 60 * MINUTE
type Send = (calls: readonly LlmCall[], signal: AbortSignal) => SendResult | Promise<SendResult>

const numberOf = (call: LlmCall) => Number(call.requestId.split('-')[1])
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)
/** Odd ones are red's, even ones blue's. */
const callsOf = (from: number, to: number, tenantOf = (n: number): string => (n % 2 ? 'red' : 'blue')) =>
  numbers(from, to).map((n) => makeCall({ tenant: tenantOf(n) }, n))
const taken: Send = (calls) => ({ sent: calls.length, rejected: [] })
/** One answer for the whole push: that of the first call that has one. */
const answering =
  (rule: (call: LlmCall) => SendResult | undefined): Send =>
  (calls, signal) =>
    calls.map(rule).find((answer) => answer !== undefined) ?? taken(calls, signal)
/** As a sink that keeps tenants apart. */
const byTenant =
  (rule: (call: LlmCall) => SendResult | undefined): Send =>
  (calls, signal) =>
    sendGroups(
      calls,
      ({ tenant }) => tenant,
      async (_, group) => answering(rule)(group, signal),
    )

async function start({
  size = 0,
  calls = callsOf(1, size),
  send,
  wants,
  apart,
  limit = 10,
  delivery = { lingerMs: 0, poisonAfterMs: MINUTE },
  log = makeMemorySinkLog([SINK]),
  level = 'INFO',
  options = {},
}: {
  size?: number
  calls?: readonly LlmCall[]
  send: Send
  wants?: (call: LlmCall) => boolean
  apart?: (tenant: string) => boolean
  limit?: number
  delivery?: DeliverySettings
  log?: MemorySinkLog
  level?: LogLevel
  options?: Partial<DeliverOptions>
}) {
  const stop = new AbortController()
  const time = makeVirtualTime()
  const stats = newDeliverStats()
  const lines: Record<string, unknown>[] = []
  const batches: string[] = []
  const exporter: Exporter = {
    id: SINK,
    limits: { calls: limit, bytes: 1e9 },
    delivery,
    ...(wants !== undefined && { wants }),
    ...(apart !== undefined && { apart }),
    async send(pushed, signal) {
      batches.push(pushed.map(numberOf).join())
      return send(pushed, signal)
    },
    async close() {},
  }
  await log.append(calls)
  let ended = false
  const running = deliver(log, exporter, {
    logger: makeLogger(level, { write: (line) => void lines.push(JSON.parse(line)) }),
    signal: stop.signal,
    stats,
    random: () => 1,
    pause: time.pause,
    now: time.now,
    ...options,
  }).finally(() => {
    ended = true
  })
  running.catch(() => {})
  const outcome = (wanted: string, reason?: string) =>
    log
      .outcomes(SINK)
      .filter((one) => one.outcome === wanted && (reason === undefined || one.reason === reason))
      .map(({ position }) => position)
      .sort((a, b) => a - b)
  return {
    ...{ log, stop, time, lines, batches, running, outcome },
    stats: () => stats.get(SINK)!,
    isEnded: () => ended,
    /** Time passes until each of so many calls has an outcome. */
    settled: (count: number, withinMs?: number) =>
      time.until(() => log.outcomes(SINK).length === count || ended, withinMs),
    async end() {
      stop.abort()
      await running
    },
  }
}

describe('deliver', () => {
  it('sends batch after batch in order, and settles each call as sent', async () => {
    const { log, batches, stats, lines, settled, end, time } = await start({ size: 25, send: taken })
    await settled(25)
    await end()
    expect(batches).toEqual([numbers(1, 10).join(), numbers(11, 20).join(), numbers(21, 25).join()])
    expect(log.outcomes(SINK).map(({ position }) => position)).toEqual(numbers(1, 25))
    expect(log.outcomes(SINK).every(({ outcome, reason }) => outcome === 'sent' && reason === '')).toBe(true)
    expect(log.outcomes(SINK)[1]).toMatchObject({ tenant: 'blue' })
    expect(log.cursors(SINK)).toEqual([10, 20, 25])
    expect(stats()).toEqual({
      retries: new Map(),
      inFlight: 0,
      lastSuccessAt: time.now(),
      lastError: undefined,
      held: new Map(),
    })
    expect(lines).toEqual([])
  })

  it('sends again until the sink takes it, waiting with full jitter up to 30 s', async () => {
    let failures = 0
    const { time, batches, stats, settled, end } = await start({
      size: 2,
      send: (calls, signal) => (failures++ < 10 ? { retry: 'refused' } : taken(calls, signal)),
    })
    await settled(2)
    await end()
    expect(time.pauses.slice(0, 10)).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
    expect(new Set(batches).size).toBe(1)
    expect(stats().retries).toEqual(new Map([['refused', 10]]))
  })

  it('full jitter: half the random number, half the pause', async () => {
    let failures = 0
    const { time, settled, end } = await start({
      size: 1,
      send: (calls, signal) => (failures++ < 3 ? { retry: 'timeout' } : taken(calls, signal)),
      options: { random: () => 0.5 },
    })
    await settled(1)
    await end()
    expect(time.pauses.slice(0, 3)).toEqual([100, 200, 400])
  })

  it('waits at least as long as the sink asked for, but not for ever', async () => {
    const answers: SendResult[] = [
      { retry: 'http_429', afterMs: 5000 },
      { retry: 'http_429', afterMs: 1e12 },
    ]
    const { time, settled, end } = await start({
      size: 1,
      send: (calls, signal) => answers.shift() ?? taken(calls, signal),
      options: { random: () => 0 },
    })
    await settled(1)
    await end()
    expect(time.pauses.slice(0, 2)).toEqual([5000, 600_000])
  })

  it('says each cause, at most once a minute, and when it is over; DEBUG has every retry', async () => {
    const run = async (level: LogLevel) => {
      const answers: SendResult[] = [
        ...Array.from({ length: 4 }, () => ({ retry: 'refused', cause: '127.0.0.1:9: nothing listens there' })),
        { retry: 'dns', cause: 'no-such-host.invalid:4318: no such host (ENOTFOUND)' },
      ]
      const { lines, settled, end, stats } = await start({
        ...{ size: 2, level },
        send: (calls, signal) => answers.shift() ?? taken(calls, signal),
      })
      await settled(2)
      await end()
      expect(stats().lastError).toMatchObject({ reason: 'dns', text: expect.stringContaining('ENOTFOUND') })
      return lines.map(({ level, reason, cause, failures }) => [level, reason ?? failures, cause])
    }
    const refused = ['refused', '127.0.0.1:9: nothing listens there']
    const dns = ['dns', 'no-such-host.invalid:4318: no such host (ENOTFOUND)']
    expect(await run('INFO')).toEqual([
      ['WARN', ...refused],
      ['WARN', ...dns],
      ['INFO', 5, undefined],
    ])
    expect((await run('DEBUG')).map(([level, reason]) => `${level} ${reason}`)).toEqual([
      'WARN refused',
      ...Array.from({ length: 3 }, () => 'DEBUG refused'),
      'WARN dns',
      'INFO 5',
    ])
  })

  it('settles what the sink does not want as sampled out, and sends the rest', async () => {
    const { batches, outcome, settled, end } = await start({
      size: 10,
      send: taken,
      wants: (call) => numberOf(call) % 3 === 0,
    })
    await settled(10)
    await end()
    expect(batches).toEqual(['3,6,9'])
    expect([outcome('sampled_out').length, outcome('sent')]).toEqual([7, [3, 6, 9]])
  })

  it('does not send a batch of which it wants nothing', async () => {
    const { log, batches, settled, end } = await start({ size: 10, send: taken, wants: () => false })
    await settled(10)
    await end()
    expect(batches).toEqual([])
    expect(log.cursors(SINK)).toEqual([10])
  })

  it('counts what the sink refused of a batch it took: by index, or as many as it said', async () => {
    const { log, settled, end } = await start({
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
    await settled(5)
    await end()
    expect(log.outcomes(SINK).map(({ outcome, reason }) => `${outcome} ${reason}`.trim())).toEqual([
      'sent',
      'sent',
      'rejected partial_success',
      'rejected partial_success',
      'rejected too_old',
    ])
  })

  it('an exporter that throws costs the call it throws at, not the sink; the error’s text is not logged', async () => {
    const { log, lines, stats, settled, end } = await start({
      size: 8,
      send: (calls, signal) => {
        if (calls.some((call) => numberOf(call) === 5)) throw new TypeError('Bearer hunter2')
        return taken(calls, signal)
      },
    })
    await settled(8)
    await end()
    expect(log.deadLetters(SINK)).toMatchObject([{ position: 5, reason: 'exporter_error' }])
    expect(JSON.stringify([lines, stats().lastError])).not.toContain('hunter2')
    expect(JSON.stringify(lines)).toContain('TypeError')
  })

  it('does not send what the log dropped while the sink was away, and sends newcomers with the rest', async () => {
    const log = makeMemorySinkLog([SINK])
    let tries = 0
    const { batches, outcome, settled, end } = await start({
      ...{ size: 8, limit: 6, log },
      send: async (calls, signal) => {
        if (++tries > 1) return taken(calls, signal)
        await log.dropOldest(4)
        await log.append(callsOf(9, 9))
        return { retry: 'refused' }
      },
    })
    await settled(9)
    await end()
    expect(batches).toEqual(['1,2,3,4,5,6', '5,6,7,8,9'])
    expect([outcome('dropped'), outcome('sent')]).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8, 9],
    ])
  })

  it('goes on where every row of the log was dropped', async () => {
    const log = makeMemorySinkLog([SINK])
    await log.append(callsOf(1, 5))
    await log.dropOldest(5)
    const { batches, time, end } = await start({ calls: callsOf(6, 7), log, send: taken })
    await time.until(() => batches.length > 0)
    await end()
    expect(batches).toEqual(['6,7'])
  })

  describe('linger', () => {
    const delivery = { lingerMs: 200, poisonAfterMs: MINUTE }
    it('a batch that is not full waits for company', async () => {
      const log = makeMemorySinkLog([SINK])
      const { batches, time, settled, end } = await start({ delivery, log, send: taken })
      for (const n of numbers(1, 4)) {
        await log.append(callsOf(n, n))
        const at = time.now()
        void time.pause(50, new AbortController().signal)
        await time.until(() => time.now() >= at + 50)
      }
      await settled(4)
      await end()
      expect(batches).toEqual(['1,2,3,4'])
    })

    it('a sink that is behind does not wait', async () => {
      const { batches, time, settled, end } = await start({ size: 35, delivery, send: taken })
      await settled(35)
      await end()
      expect(batches).toHaveLength(4)
      expect(time.pauses).toEqual([200])
    })
  })

  describe('the end', () => {
    it('at the signal while it waits for calls', async () => {
      const { end } = await start({ send: taken })
      await end()
    })

    it('at the signal while it waits to send again, at once, and nothing is settled', async () => {
      const waiting = Promise.withResolvers<void>()
      const { log, end } = await start({
        size: 3,
        send: () => {
          waiting.resolve()
          return { retry: 'refused', afterMs: 600_000 }
        },
        // The real pause: the signal must cut it short.
        options: { pause: pauseFor },
      })
      await waiting.promise
      await end()
      expect(log.cursors(SINK)).toEqual([])
    })

    it('in the middle of a push, without a warning; the same calls come again at the next start', async () => {
      const sending = Promise.withResolvers<void>()
      const first = await start({
        size: 3,
        send: (_, signal) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => resolve({ retry: 'aborted' }))
            sending.resolve()
          }),
      })
      await sending.promise
      expect(first.stats().inFlight).toBe(3)
      await first.end()
      expect(first.log.cursors(SINK)).toEqual([])
      expect(first.stats()).toMatchObject({ retries: new Map(), inFlight: 0, lastSuccessAt: undefined })
      expect(first.stats().lastError).toBeUndefined()
      expect(first.lines).toEqual([])
      const second = await start({ send: taken, log: first.log })
      await second.settled(3)
      await second.end()
      expect(second.batches).toEqual(first.batches)
    })

    it('what the sink took is settled, though the signal came before the answer of the other part', async () => {
      const first = await start({
        ...{ size: 4, apart: () => true },
        send: (calls) => {
          first.stop.abort()
          const red = calls.flatMap((call, index) => (call.tenant === 'red' ? [index] : []))
          return { sent: 2, rejected: [], failed: [{ indexes: red, failure: { retry: 'aborted' } }] }
        },
      })
      await first.running
      // Position 1 is red's, and not settled: 2 and 4 come again with it.
      expect(first.log.cursors(SINK)).toEqual([])
      expect(first.log.held(SINK)).toEqual([])
    })

    it.each(['read', 'settle', 'readHeld', 'heldTenants'] as const)('an error of %s ends it', async (name) => {
      const log = makeMemorySinkLog([SINK])
      await log.append(callsOf(1, 2))
      if (name === 'readHeld') await log.settle(SINK, { upTo: 1, outcomes: [], held: [{ position: 1, tenant: 'red' }] })
      const broken: MemorySinkLog = {
        ...log,
        [name]: async () => {
          throw new Error('the disk is gone')
        },
      }
      const { running } = await start({ log: broken, send: taken })
      await expect(running).rejects.toThrow('the disk is gone')
    })
  })
})

describe('calls that the sink never takes', () => {
  it('are found by halving at a permanent refusal, at once', async () => {
    const poisoned = new Set([3, 17, 18])
    const { log, lines, outcome, time, settled, end } = await start({
      ...{ size: 64, limit: 64, level: 'DEBUG' },
      send: answering((call) =>
        poisoned.has(numberOf(call)) ? { drop: 'http_400', cause: 'h:1 answered 400' } : undefined,
      ),
    })
    await settled(64)
    await end()
    expect(log.deadLetters(SINK).map(({ position, reason, call }) => [position, reason, numberOf(call)])).toEqual([
      [3, 'http_400', 3],
      [17, 'http_400', 17],
      [18, 'http_400', 18],
    ])
    expect([outcome('rejected').length, outcome('sent').length]).toEqual([3, 61])
    expect(lines.filter(({ request_id }) => request_id !== undefined).map(({ request_id }) => request_id)).toEqual([
      'request-3',
      'request-17',
      'request-18',
    ])
    expect(time.pauses).toEqual([])
  })

  it.each([
    ['http_500', 'poison_5xx'],
    ['http_503', 'poison_5xx'],
    ['timeout', 'poison_timeout'],
    ['reset', 'poison_reset'],
    ['protocol', 'poison_protocol'],
  ])('%s at a call alone: given up as %s after the stated time, and no other waits for it', async (retry, reason) => {
    const poisoned = new Set([7, 33])
    const log = makeMemorySinkLog([SINK])
    const { time, batches, outcome, stats, settled, end, lines } = await start({
      ...{ size: 64, limit: 64, log },
      send: answering((call) => (poisoned.has(numberOf(call)) ? { retry } : undefined)),
    })
    const begin = time.now()
    await time.until(() => outcome('sent').length === 62)
    expect(time.now() - begin).toBeLessThan(10_000)
    expect(outcome('rejected')).toEqual([])
    expect(log.held(SINK)).toEqual([7, 33])
    expect([...stats().held]).toEqual([['red', { reason: retry, since: expect.any(Number) }]])
    // Others show that the sink lives.
    for (let n = 65; outcome('rejected').length < 2; n++) {
      await log.append(callsOf(n, n))
      await time.until(() => outcome('sent').includes(n), 10_000)
      const at = time.now()
      void time.pause(1000, new AbortController().signal)
      await time.until(() => time.now() >= at + 1000)
    }
    expect(time.now() - begin).toBeGreaterThan(MINUTE)
    expect(time.now() - begin).toBeLessThan(4 * MINUTE)
    expect(outcome('rejected', reason)).toEqual([7, 33])
    expect(log.deadLetters(SINK).map((letter) => [letter.position, letter.reason])).toEqual([
      [7, reason],
      [33, reason],
    ])
    await time.until(() => stats().held.size === 0)
    await settled(log.outcomes(SINK).length)
    await end()
    expect(lines.some((line) => line.reason === reason)).toBe(true)
    expect(batches.length).toBeLessThan(250)
  })

  it('a poisoned call that comes first and alone waits for company, and lets it pass', async () => {
    const log = makeMemorySinkLog([SINK])
    const { time, outcome, end } = await start({
      ...{ size: 1, log },
      send: answering((call) => (numberOf(call) === 1 ? { retry: 'http_500' } : undefined)),
    })
    const at = time.now()
    await time.until(() => time.now() > at + HOUR, 2 * HOUR)
    expect(log.outcomes(SINK)).toEqual([])
    await log.append(callsOf(2, 60))
    await time.until(() => outcome('sent').length === 59, 5 * MINUTE)
    await end()
    expect(log.held(SINK)).toEqual([1])
  })

  it('a run of poisoned calls that is longer than a batch hides no healthy one', async () => {
    const log = makeMemorySinkLog([SINK])
    const { time, outcome, end } = await start({
      ...{ size: 50, limit: 10, log },
      send: answering((call) => (numberOf(call) <= 40 ? { retry: 'http_500' } : undefined)),
    })
    await time.until(() => outcome('sent').length === 10, 30 * MINUTE)
    await end()
    expect(outcome('rejected')).toEqual([])
  })

  it('a sink that is away for hours gets few pushes, and nothing is given up', async () => {
    let away = true
    const { time, batches, outcome, settled, end } = await start({
      ...{ size: 100, limit: 50 },
      send: (calls, signal) => (away ? { retry: 'http_502' } : taken(calls, signal)),
    })
    const at = time.now()
    await time.until(() => time.now() > at + 3 * HOUR)
    // Four a minute: the front of the log and what was set aside, each every half minute.
    expect(batches.length).toBeLessThan(800)
    expect(new Set(batches.map((batch) => batch.split(',').length))).toEqual(new Set([50, 25, 1]))
    away = false
    await settled(100)
    await end()
    expect(outcome('sent')).toHaveLength(100)
  })

  it('a sink that comes back in the middle of a search takes everything', async () => {
    let pushes = 0
    const { outcome, settled, end } = await start({
      ...{ size: 100, limit: 50 },
      // Every fourth push goes through: it looks as if single calls were the cause.
      send: (calls, signal) => (++pushes % 4 === 0 || pushes > 200 ? taken(calls, signal) : { retry: 'http_503' }),
    })
    await settled(100, HOUR)
    await end()
    expect(outcome('sent')).toHaveLength(100)
  })
})

describe('tenants that are held back', () => {
  const wrongKey: SendResult = { retry: 'unauthorized', scope: 'tenant', cause: 'h:443 answered 401' }
  const apart = () => true

  it('a wrong key of one tenant holds up that tenant alone, until it is mended', async () => {
    let mended = false
    const log = makeMemorySinkLog([SINK])
    const { time, outcome, batches, stats, lines, settled, end } = await start({
      ...{ size: 40, log, apart },
      send: byTenant((call) => (call.tenant === 'red' && !mended ? wrongKey : undefined)),
    })
    await time.until(() => outcome('sent').length === 20, 1000)
    expect(log.held(SINK)).toEqual(numbers(1, 40).filter((n) => n % 2 === 1))
    expect([...stats().held]).toEqual([['red', { reason: 'unauthorized', since: expect.any(Number) }]])
    expect(lines.map(({ level, tenant, cause }) => [level, tenant, cause])).toEqual([
      ['WARN', 'red', 'h:443 answered 401'],
    ])
    // Red's later calls are not even sent; one of its calls is, now and then.
    const pushes = batches.length
    await log.append(callsOf(41, 60))
    await time.until(() => outcome('sent').length === 30, 1000)
    const at = time.now()
    await time.until(() => time.now() > at + 10 * MINUTE)
    expect(batches.slice(pushes).filter((batch) => batch.split(',').some((n) => Number(n) % 2 === 1))).not.toEqual([])
    expect(new Set(batches.slice(pushes + 2))).toEqual(new Set(['1']))
    expect(batches.length - pushes).toBeLessThan(40)
    mended = true
    await settled(60, MINUTE)
    await time.until(() => stats().held.size === 0)
    await end()
    expect(outcome('sent')).toEqual(numbers(1, 60))
    expect(lines.some(({ level, tenant }) => level === 'INFO' && tenant === 'red')).toBe(true)
  })

  it('a limit of one tenant (429) is waited for as long as it says; the others go on', async () => {
    const log = makeMemorySinkLog([SINK])
    const asked: number[] = []
    const { time, outcome, settled, end } = await start({
      ...{ size: 10, log, apart },
      send(calls, signal) {
        const isFirst = asked.length === 0
        if (calls.some(({ tenant }) => tenant === 'red')) asked.push(time.now())
        const limited: SendResult = { retry: 'http_429', scope: 'tenant', afterMs: 90_000 }
        return byTenant(({ tenant }) => (tenant === 'red' && isFirst ? limited : undefined))(calls, signal)
      },
    })
    await time.until(() => outcome('sent').length === 5, 1000)
    await settled(10, 5 * MINUTE)
    await end()
    expect(asked[1]! - asked[0]!).toBeGreaterThanOrEqual(90_000)
  })

  it('a key that is wrong for all is a retry of the sink: nothing is held', async () => {
    let mended = false
    const { log, time, outcome, settled, end } = await start({
      ...{ size: 40, apart },
      send: byTenant(() => (mended ? undefined : { retry: 'unauthorized' })),
    })
    const at = time.now()
    await time.until(() => time.now() > at + HOUR)
    expect([log.held(SINK), log.outcomes(SINK)]).toEqual([[], []])
    mended = true
    await settled(40, 5 * MINUTE)
    await end()
    expect(outcome('sent')).toHaveLength(40)
  })

  it('a wrong common key does not hold up a tenant that has a key of its own', async () => {
    const log = makeMemorySinkLog([SINK])
    const { time, outcome, batches, end } = await start({
      ...{ calls: callsOf(1, 60, (n) => (n > 50 ? 'green' : `t${n % 5}`)), log },
      apart: (tenant) => tenant === 'green',
      send: (calls, signal) =>
        sendGroups(
          calls,
          ({ tenant }) => (tenant === 'green' ? 'own' : 'common'),
          async (group, part) => (group === 'own' ? taken(part, signal) : { retry: 'unauthorized' }),
        ),
    })
    await time.until(() => outcome('sent').length === 10, 10 * MINUTE)
    // They share the key: one of them is tried, not each.
    const [pushes, at] = [batches.length, time.now()]
    await time.until(() => time.now() > at + HOUR)
    await end()
    expect(log.held(SINK)).toEqual(numbers(1, 50))
    expect(batches.length - pushes).toBeLessThan(300)
  })

  it('one organisation that answers 500 to everything is held up, and nothing of it is given up', async () => {
    let mended = false
    const log = makeMemorySinkLog([SINK])
    const { time, outcome, settled, end } = await start({
      ...{ size: 60, log, apart },
      send: byTenant((call) => (call.tenant === 'red' && !mended ? { retry: 'http_500' } : undefined)),
    })
    await time.until(() => outcome('sent').length === 30, MINUTE)
    for (let n = 61; n < 120; n++) {
      await log.append(callsOf(n, n))
      const at = time.now()
      void time.pause(10_000, new AbortController().signal)
      await time.until(() => time.now() >= at + 10_000)
    }
    expect(outcome('rejected')).toEqual([])
    mended = true
    await settled(119, 5 * MINUTE)
    await end()
    expect(outcome('sent')).toEqual(numbers(1, 119))
  })

  it('a poisoned call of a tenant that is kept apart: its own other calls are enough to find it', async () => {
    const log = makeMemorySinkLog([SINK])
    const { time, outcome, end } = await start({
      ...{ size: 40, log, apart },
      send: byTenant((call) => (numberOf(call) === 5 ? { retry: 'http_500' } : undefined)),
    })
    await time.until(() => outcome('sent').length === 39, 2 * MINUTE)
    for (let n = 41; outcome('rejected').length === 0 && n < 1000; n++) {
      await log.append(callsOf(n, n))
      const at = time.now()
      void time.pause(2000, new AbortController().signal)
      await time.until(() => time.now() >= at + 2000)
    }
    await end()
    expect(outcome('rejected', 'poison_5xx')).toEqual([5])
  })

  it('many held tenants: a few at once, and each gets its turn', async () => {
    let mended = false
    let underWay = 0
    let most = 0
    const log = makeMemorySinkLog([SINK])
    const { time, outcome, settled, stats, end } = await start({
      ...{ calls: callsOf(1, 400, (n) => (n <= 40 ? 'fine' : `t${n % 60}`)), log, apart },
      send: async (calls, signal) => {
        if (calls.some(({ tenant }) => tenant === 'fine')) return taken(calls, signal)
        if (!mended) return byTenant(() => wrongKey)(calls, signal)
        most = Math.max(most, ++underWay)
        await time.pause(100, signal)
        underWay--
        return taken(calls, signal)
      },
    })
    await time.until(() => stats().held.size === 60)
    const at = time.now()
    await time.until(() => time.now() > at + 5 * MINUTE)
    mended = true
    const outcomes = log.outcomes(SINK).length
    await settled(400, 2 * MINUTE)
    await end()
    expect(outcomes).toBe(40)
    expect(most).toBe(4)
    expect(outcome('sent')).toHaveLength(400)
  })

  it('after a restart held calls are sent, those of before first', async () => {
    const first = await start({
      ...{ size: 20, apart },
      send: byTenant((call) => (call.tenant === 'red' ? wrongKey : undefined)),
    })
    await first.time.until(() => first.outcome('sent').length === 10)
    await first.end()
    expect(first.log.held(SINK)).toHaveLength(10)
    const second = await start({ log: first.log, apart, send: taken })
    await second.settled(20, MINUTE)
    await second.time.until(() => second.stats().held.size === 0)
    await second.end()
    expect(second.batches).toEqual([
      numbers(1, 20)
        .filter((n) => n % 2 === 1)
        .join(),
    ])
  })

  it('what the log dropped of the held calls is forgotten', async () => {
    const log = makeMemorySinkLog([SINK])
    const { time, outcome, stats, end } = await start({
      ...{ size: 20, log, apart },
      send: byTenant((call) => (call.tenant === 'red' ? wrongKey : undefined)),
    })
    await time.until(() => outcome('sent').length === 10)
    await log.dropOldest(20)
    await time.until(() => stats().held.size === 0)
    await end()
    expect(outcome('dropped')).toHaveLength(10)
  })
})
