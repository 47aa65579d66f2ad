import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LlmCall } from './call.ts'
import { deliver, newDeliverStats } from './deliver.ts'
import type { Exporter, SendResult } from './exporters/exporter.ts'
import { sendGroups } from './exporters/send-groups.ts'
import { makeLogger } from './logger.ts'
import { makeCall } from './testing/make-call.ts'
import { makeMemorySinkLog } from './testing/memory-sink-log.ts'
import { makeVirtualTime } from './testing/virtual-time.ts'

const SINK = 'loki'
const SECOND = 1000
const MINUTE = 60 * SECOND
const TENANTS = ['a', 'b', 'c', 'd'] as const
type TenantName = (typeof TENANTS)[number]
/** All trouble that ends has ended by then. */
const STORM_MS = 10 * MINUTE
const TIMEOUT_MS = 10 * SECOND

/** What the sink answers because of this call; `until` in ms of the storm, undefined for ever. */
type CallRule =
  | { answer: 'ok' | 'refused' | 'unwanted' }
  | { answer: 'http_400' }
  | { answer: 'http_500' | 'reset' | 'hang'; until: number | undefined }
type TenantRule = { answer: 'ok' } | { answer: 'unauthorized' | 'http_429' | 'http_500'; until: number | undefined }
interface Outage {
  from: number
  ms: number
  answer: 'refused' | 'http_502' | 'unauthorized'
}

const during = fc.integer({ min: 0, max: STORM_MS })
const maybeForEver = fc.option(during, { nil: undefined })
const callRule: fc.Arbitrary<CallRule> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({ answer: 'ok' as const }) },
  fc.record({ answer: fc.constantFrom('refused' as const, 'unwanted' as const, 'http_400' as const) }),
  fc.record({ answer: fc.constantFrom('http_500' as const, 'reset' as const, 'hang' as const), until: maybeForEver }),
)
const tenantRule: fc.Arbitrary<TenantRule> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ answer: 'ok' as const }) },
  fc.record({
    answer: fc.constantFrom('unauthorized' as const, 'http_429' as const, 'http_500' as const),
    until: maybeForEver,
  }),
)
const event = fc.record({
  at: during,
  do: fc.oneof(
    { weight: 6, arbitrary: fc.record({ append: fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }) }) },
    fc.record({ drop: fc.integer({ min: 1, max: 5 }) }),
    fc.constant('restart' as const),
  ),
})
const world = fc.record({
  isApart: fc.boolean(),
  limit: fc.integer({ min: 1, max: 16 }),
  lingerMs: fc.constantFrom(0, 200),
  rules: fc.array(callRule, { minLength: 1, maxLength: 40 }),
  tenants: fc.record({ a: tenantRule, b: tenantRule, c: tenantRule, d: tenantRule }),
  outages: fc.array(
    fc.record({
      from: during,
      ms: fc.integer({ min: 1, max: 3 * MINUTE }),
      answer: fc.constantFrom('refused' as const, 'http_502' as const, 'unauthorized' as const),
    }),
    { maxLength: 3 },
  ),
  events: fc.array(event, { minLength: 1, maxLength: 12 }),
  seed: fc.integer({ min: 1, max: 2 ** 31 - 2 }),
})

describe('deliver: model', () => {
  it('whatever a sink answers, each call ends once: sent, rejected, dropped, sampled out, or held; none waits for another', async () => {
    await fc.assert(
      fc.asyncProperty(world, async ({ isApart, limit, lingerMs, rules, tenants, outages, events, seed }) => {
        const time = makeVirtualTime()
        const began = time.now()
        const log = makeMemorySinkLog([SINK])
        let appended = 0
        /** Those of after the storm are healthy: they show that the sink lives. */
        let stormSize = Number.POSITIVE_INFINITY
        const numberOf = (call: LlmCall) => Number(call.requestId.split('-')[1])
        const ruleOf = (n: number): CallRule => (n > stormSize ? { answer: 'ok' } : rules[(n - 1) % rules.length]!)
        const tenantRuleOf = (tenant: string) => tenants[tenant as TenantName]
        const isOn = (until: number | undefined) => until === undefined || time.now() - began < until
        const random = seeded(seed)
        /** When the sink first refused a push for what this call is. */
        const refusedAt = new Map<number, number>()
        const givenUpEarly: number[] = []
        const watched: typeof log = {
          ...log,
          settle(sink, settlement) {
            for (const { position, reason } of settlement.outcomes) {
              if (!reason.startsWith('poison_')) continue
              const rule = ruleOf(position)
              const isRefused = 'until' in rule && isOn(rule.until)
              const since = refusedAt.get(position) ?? Number.POSITIVE_INFINITY
              if (!isRefused || time.now() - since < MINUTE) givenUpEarly.push(position)
            }
            return log.settle(sink, settlement)
          },
        }
        const takes = new Map<number, number>()
        let restarts = 0

        let pushes = 0
        async function answerGroup(
          tenant: string,
          calls: readonly LlmCall[],
          signal: AbortSignal,
        ): Promise<SendResult> {
          if (++pushes > 50_000) throw new Error('it sends without end')
          const elapsed = time.now() - began
          const outage = outages.find(({ from, ms }: Outage) => elapsed >= from && elapsed < from + ms)
          if (outage !== undefined) return { retry: outage.answer }
          const own = tenantRuleOf(tenant)
          if (isApart && own.answer !== 'ok' && isOn(own.until)) {
            if (own.answer === 'http_500') return { retry: 'http_500' }
            return { retry: own.answer, scope: 'tenant', ...(own.answer === 'http_429' && { afterMs: 20 * SECOND }) }
          }
          const bad = calls.map((call) => ruleOf(numberOf(call)))
          for (const call of calls) {
            const rule = ruleOf(numberOf(call))
            if ('until' in rule && isOn(rule.until) && !refusedAt.has(numberOf(call)))
              refusedAt.set(numberOf(call), time.now())
          }
          for (const rule of bad)
            if (rule.answer === 'hang' && isOn(rule.until)) {
              await time.pause(TIMEOUT_MS, signal)
              return { retry: signal.aborted ? 'aborted' : 'timeout' }
            }
          for (const rule of bad)
            if ((rule.answer === 'http_500' || rule.answer === 'reset') && isOn(rule.until))
              return { retry: rule.answer }
          if (bad.some(({ answer }) => answer === 'http_400')) return { drop: 'http_400' }
          if (signal.aborted) return { retry: 'aborted' }
          for (const call of calls) takes.set(numberOf(call), (takes.get(numberOf(call)) ?? 0) + 1)
          const rejected = bad.flatMap(({ answer }, index) =>
            answer === 'refused' ? [{ index, reason: 'too_old' }] : [],
          )
          return { sent: calls.length - rejected.length, rejected }
        }
        const exporter: Exporter = {
          id: SINK,
          limits: { calls: limit, bytes: 1e9 },
          delivery: { lingerMs, poisonAfterMs: MINUTE },
          wants: (call) => ruleOf(numberOf(call)).answer !== 'unwanted',
          ...(isApart && { apart: () => true }),
          send: (calls, signal) =>
            sendGroups(
              calls,
              ({ tenant }) => (isApart ? tenant : ''),
              (tenant, group) => answerGroup(tenant, group, signal),
            ),
          async close() {},
        }
        let stats = newDeliverStats()
        let stop = new AbortController()
        let running = Promise.resolve()
        const begin = () => {
          stop = new AbortController()
          stats = newDeliverStats()
          const logger = makeLogger('ERROR', { write() {} })
          running = deliver(watched, exporter, {
            logger,
            signal: stop.signal,
            stats,
            random,
            pause: time.pause,
            now: time.now,
          })
          running.catch(() => {})
        }
        const passUntil = async (at: number) => {
          if (at <= time.now()) return
          void time.pause(at - time.now(), new AbortController().signal)
          await time.until(() => time.now() >= at)
        }
        const append = (ofTenants: readonly number[]) =>
          log.append(ofTenants.map((index) => makeCall({ tenant: TENANTS[index]! }, ++appended)))

        begin()
        for (const { at, do: what } of [...events].sort((a, b) => a.at - b.at)) {
          await passUntil(began + at)
          if (what === 'restart') {
            restarts++
            stop.abort()
            await running
            begin()
          } else if ('drop' in what) await log.dropOldest(what.drop)
          else await append(what.append)
        }
        await passUntil(began + STORM_MS)
        stormSize = appended
        // Healthy calls of every tenant, one each twenty seconds, for as long as a suspect may take: several rounds of a minute.
        for (let second = 0; second <= 60 * 20; second += 20) {
          await append([0, 1, 2, 3])
          await passUntil(began + STORM_MS + second * SECOND)
        }
        stop.abort()
        await running
        expect(pushes).toBeLessThan(50_000)
        expect(givenUpEarly, 'given up though the sink takes it, or too early').toEqual([])

        const outcomes = log.outcomes(SINK)
        const held = new Set(log.held(SINK))
        const known = new Map(outcomes.map((outcome) => [outcome.position, outcome]))
        expect(known.size).toBe(outcomes.length)
        const letters = new Map(log.deadLetters(SINK).map(({ position, reason }) => [position, reason]))
        const isTail = (n: number) => n > appended - 8
        for (let n = 1; n <= appended; n++) {
          const outcome = known.get(n)
          const rule = ruleOf(n)
          const own = tenantRuleOf(TENANTS.find((tenant) => tenant === outcome?.tenant) ?? 'a')
          expect(outcome === undefined || !held.has(n), `call ${n} has an outcome and is held`).toBe(true)
          if (outcome?.outcome === 'dropped') continue
          if (rule.answer === 'unwanted') {
            expect(outcome?.outcome ?? 'held').toMatch(held.has(n) ? 'held' : 'sampled_out')
            continue
          }
          if (outcome === undefined) {
            // What waits has a reason to: its tenant's key is wrong for ever, or the end came before it.
            if (!held.has(n)) expect(isTail(n), `call ${n} neither has an outcome nor is it held`).toBe(true)
            continue
          }
          if (outcome.outcome === 'sent') {
            expect(takes.get(n), `call ${n} counts as sent`).toBeGreaterThan(0)
            expect(['ok', 'http_500', 'reset', 'hang'], `call ${n}`).toContain(rule.answer)
            expect('until' in rule && rule.until === undefined, `call ${n} cannot be sent`).toBe(false)
          } else if (rule.answer === 'http_400') expect(letters.get(n)).toBe('http_400')
          else if (rule.answer === 'refused') expect(outcome.reason).toBe('too_old')
          else {
            expect(rule.answer, `call ${n} was given up`).toMatch(/http_500|reset|hang/)
            expect(letters.get(n)).toMatch(/^poison_/)
          }
          expect(own).toBeDefined()
          if (restarts === 0) expect(takes.get(n) ?? 0).toBeLessThanOrEqual(1)
        }
        // Whose key is right in the end, has nothing waiting but what the sink takes no more of.
        const brokenForEver = (tenant: string) => {
          const own = tenantRuleOf(tenant)
          return isApart && own.answer !== 'ok' && own.until === undefined
        }
        for (const tenant of TENANTS) {
          const waiting = await log.readHeld(SINK, tenant, { calls: 1e9, bytes: 1e9 })
          if (brokenForEver(tenant)) continue
          const healthy = waiting.filter(({ position }) => !isTail(position) && ruleOf(position).answer === 'ok')
          expect(
            healthy.map(({ position }) => position),
            `healthy calls of ${tenant} that wait`,
          ).toEqual([])
        }
        for (let n = 1; n <= appended - 8; n++) {
          const call = known.get(n)
          const rule = ruleOf(n)
          if (call === undefined && !held.has(n)) throw new Error(`call ${n} waits behind others`)
          if (call !== undefined && rule.answer === 'ok' && call.outcome !== 'dropped')
            expect(call.outcome).toBe('sent')
        }
        const counts = stats.get(SINK)!
        expect(counts.inFlight).toBe(0)
      }),
      { numRuns: Number(process.env.RUNS ?? 60), endOnFailure: process.env.RUNS !== undefined },
    )
  })
})

/** Park and Miller's generator: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}
