import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import type { Batch, Entry, Outcome, SinkLog } from './sink-log.ts'

export interface SinkLogUnderTest {
  log: SinkLog
  append(calls: readonly LlmCall[]): Promise<void>
  /** As the log does at its limit: the oldest rows that any sink waits for go, and count as `dropped` at these sinks. */
  dropOldest(rows: number): Promise<void>
  /** How often each outcome was counted at the sink; nothing that is 0. */
  counts(sink: string): Promise<readonly OutcomeCount[]>
  deadLetters(sink: string): Promise<readonly { position: number; reason: string; call: LlmCall | undefined }[]>
  /** Closes it and opens it again: what is durable is there. */
  reopen(): Promise<void>
  discard(): Promise<void>
}
export interface OutcomeCount {
  tenant: string
  outcome: Outcome['outcome']
  reason: string
  count: number
}

const SINKS = ['otlp', 'loki'] as const
const MARK = 'mark'
const ALL = { calls: 1000, bytes: 100_000_000 }
const never = new AbortController().signal
const calls = (from: number, to: number, change: Partial<LlmCall> = {}) =>
  Array.from({ length: to - from + 1 }, (_, index) => makeCall(change, from + index))
const told = (
  { position, call }: Entry,
  outcome: Outcome['outcome'] = 'sent',
  reason = outcome === 'rejected' ? 'http_400' : '',
): Outcome => ({ position, tenant: call.tenant, outcome, reason })
const hold = ({ position, call }: Entry) => ({ position, tenant: call.tenant })
const namesOf = (entries: readonly Entry[]) => entries.map(({ call }) => call.requestId)

/** What every SinkLog must do, whatever it stands on. `make` opens an empty one with the sinks `otlp` and `loki`. */
export function describeSinkLog(
  name: string,
  make: (sinks: readonly string[]) => Promise<SinkLogUnderTest>,
  { runs = 100 }: { runs?: number } = {},
): void {
  const withLog = async (work: (under: SinkLogUnderTest) => Promise<void>) => {
    const under = await make(SINKS)
    try {
      await work(under)
    } finally {
      await under.discard()
    }
  }
  const readAll = async ({ log }: SinkLogUnderTest, sink = 'otlp') => (await log.read(sink, ALL, never))!
  const sumOf = async (under: SinkLogUnderTest, sink: string, outcome?: Outcome['outcome']) =>
    (await under.counts(sink))
      .filter((row) => outcome === undefined || row.outcome === outcome)
      .reduce((sum, { count }) => sum + count, 0)

  let marks = 0
  /**
   * All that can be read after the cursor, known by a call that is appended behind it (its tenant is MARK, and it is
   * given too). An empty batch is settled, as a reader does it.
   */
  async function readToEnd(under: SinkLogUnderTest, sink: string): Promise<readonly Entry[]> {
    const mark = makeCall({ tenant: MARK }, 1_000_000 + ++marks)
    await under.append([mark])
    for (;;) {
      const { entries, upTo } = await readAll(under, sink)
      if (entries.some(({ call }) => call.id === mark.id)) return entries
      await under.log.settle(sink, { upTo, outcomes: [] })
    }
  }
  const ahead = async (under: SinkLogUnderTest, sink: string) =>
    (await readToEnd(under, sink)).filter(({ call }) => call.tenant !== MARK)

  describe(`${name}: sink log contract`, () => {
    it('gives each sink what was appended, in order and whole', () =>
      withLog(async (under) => {
        const appended = calls(1, 25)
        await under.append(appended)
        for (const sink of SINKS) {
          const { entries, upTo, more } = await readAll(under, sink)
          expect(entries.map(({ call }) => call)).toEqual(appended)
          expect(upTo).toBe(entries.at(-1)!.position)
          expect(more).toBe(false)
          const positions = entries.map(({ position }) => position)
          expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b))
        }
      }))

    it('reads the same again until it is settled, and never what is before the cursor', () =>
      withLog(async (under) => {
        await under.append(calls(1, 5))
        const first = (await under.log.read('otlp', { ...ALL, calls: 2 }, never))!
        expect(await under.log.read('otlp', { ...ALL, calls: 2 }, never)).toEqual(first)
        await under.log.settle('otlp', { upTo: first.upTo, outcomes: first.entries.map((entry) => told(entry)) })
        expect(namesOf((await readAll(under)).entries)).toEqual(['request-3', 'request-4', 'request-5'])
        expect(namesOf((await readAll(under, 'loki')).entries)).toHaveLength(5)
        await under.reopen()
        expect(namesOf((await readAll(under)).entries)).toEqual(['request-3', 'request-4', 'request-5'])
      }))

    it('keeps to the limit in calls and in bytes, gives one row at least, and says whether there is more', () =>
      withLog(async (under) => {
        await under.append(calls(1, 10, { user: 'x'.repeat(10_000) }))
        const read = (limit: { calls: number; bytes: number }) => under.log.read('otlp', limit, never)
        expect(await read({ ...ALL, calls: 3 })).toMatchObject({ entries: { length: 3 }, more: true })
        expect(await read({ ...ALL, calls: 10 })).toMatchObject({ entries: { length: 10 }, more: false })
        expect(await read({ ...ALL, bytes: 1 })).toMatchObject({ entries: { length: 1 }, more: true })
        expect(await read({ ...ALL, bytes: 35_000 })).toMatchObject({ entries: { length: 3 }, more: true })
      }))

    it('a read waits for a call, and ends with nothing at the signal', () =>
      withLog(async (under) => {
        const waiting = under.log.read('otlp', ALL, never)
        await under.append(calls(1, 1))
        expect(namesOf((await waiting)!.entries)).toEqual(['request-1'])
        const stop = new AbortController()
        const batch = await readAll(under)
        await under.log.settle('otlp', { upTo: batch.upTo, outcomes: batch.entries.map((entry) => told(entry)) })
        const idle = under.log.read('otlp', ALL, stop.signal)
        stop.abort()
        expect(await idle).toBeUndefined()
        expect(await under.log.read('loki', ALL, stop.signal)).toBeUndefined()
      }))

    it('counts outcomes by tenant and reason, durably', () =>
      withLog(async (under) => {
        await under.append([...calls(1, 3), ...calls(4, 5, { tenant: 'red' })])
        const { entries, upTo } = await readAll(under)
        const [a, b, c, d, e] = entries as [Entry, Entry, Entry, Entry, Entry]
        await under.log.settle('otlp', {
          upTo,
          outcomes: [told(a), told(b), told(c, 'rejected'), told(d, 'sampled_out'), told(e)],
        })
        await under.reopen()
        expect(
          [...(await under.counts('otlp'))].sort((x, y) => (JSON.stringify(x) < JSON.stringify(y) ? -1 : 1)),
        ).toEqual(
          [
            { tenant: 'blue', outcome: 'rejected', reason: 'http_400', count: 1 },
            { tenant: 'blue', outcome: 'sent', reason: '', count: 2 },
            { tenant: 'red', outcome: 'sampled_out', reason: '', count: 1 },
            { tenant: 'red', outcome: 'sent', reason: '', count: 1 },
          ].sort((x, y) => (JSON.stringify(x) < JSON.stringify(y) ? -1 : 1)),
        )
        expect(await under.counts('loki')).toEqual([])
      }))

    it('a position counts once, whatever is told of it later; the cursor never goes back', () =>
      withLog(async (under) => {
        await under.append(calls(1, 4))
        const { entries, upTo } = await readAll(under)
        const settlement = { upTo, outcomes: entries.map((entry) => told(entry)) }
        await under.log.settle('otlp', settlement)
        await under.log.settle('otlp', settlement)
        await under.log.settle('otlp', { upTo: entries[0]!.position, outcomes: [told(entries[0]!, 'rejected')] })
        await under.reopen()
        await under.log.settle('otlp', settlement)
        expect(await under.counts('otlp')).toEqual([{ tenant: 'blue', outcome: 'sent', reason: '', count: 4 }])
        await under.append(calls(5, 5))
        expect(namesOf((await readAll(under)).entries)).toEqual(['request-5'])
      }))

    it('held calls are passed by the cursor and kept, oldest first, by tenant, until they have an outcome', () =>
      withLog(async (under) => {
        await under.append([...calls(1, 2), ...calls(3, 6, { tenant: '企業甲' })])
        const { entries, upTo } = await readAll(under)
        await under.log.settle('otlp', {
          upTo,
          outcomes: entries.slice(1, 2).map((entry) => told(entry)),
          held: [...entries.slice(2), entries[0]!].map(hold),
        })
        await under.reopen()
        expect(await ahead(under, 'otlp')).toEqual([])
        expect([...(await under.log.heldTenants('otlp'))].sort()).toEqual(['blue', '企業甲'])
        expect(await under.log.heldTenants('loki')).toEqual([])
        const held = await under.log.readHeld('otlp', '企業甲', ALL)
        expect(held).toEqual(entries.slice(2))
        expect(await under.log.readHeld('otlp', '企業甲', { ...ALL, calls: 2 })).toEqual(entries.slice(2, 4))
        expect(await under.log.readHeld('otlp', '企業甲', { ...ALL, bytes: 1 })).toEqual(entries.slice(2, 3))
        expect(await under.log.readHeld('otlp', '企業乙', ALL)).toEqual([])

        await under.log.settle('otlp', { outcomes: [told(held[1]!)] })
        await under.log.settle('otlp', { outcomes: [], held: [hold(held[0]!), hold(held[1]!)] })
        expect(await under.log.readHeld('otlp', '企業甲', ALL)).toEqual([held[0], held[2], held[3]])
        await under.log.settle('otlp', { outcomes: [told(held[0]!), told(held[2]!), told(held[3]!)] })
        expect(await under.log.heldTenants('otlp')).toEqual(['blue'])
        expect(await sumOf(under, 'otlp')).toBe(5)
        expect(namesOf(await ahead(under, 'loki'))).toHaveLength(6)
      }))

    it('what was dropped is not read, counts once as dropped, and is not held any more', () =>
      withLog(async (under) => {
        await under.append(calls(1, 10))
        const { entries } = await readAll(under)
        await under.log.settle('otlp', {
          upTo: entries[3]!.position,
          outcomes: [told(entries[0]!), told(entries[1]!)],
          held: [hold(entries[2]!), hold(entries[3]!)],
        })
        await under.dropOldest(6)
        expect(await under.log.heldTenants('otlp')).toEqual([])
        expect(await under.log.readHeld('otlp', 'blue', ALL)).toEqual([])
        // The sink took them in the same moment: they are dropped all the same.
        await under.log.settle('otlp', {
          upTo: entries[7]!.position,
          outcomes: entries.slice(2, 7).map((entry) => told(entry)),
          held: [hold(entries[5]!), hold(entries[7]!)],
        })
        expect(namesOf(await ahead(under, 'otlp'))).toEqual(['request-9', 'request-10'])
        expect(namesOf(await under.log.readHeld('otlp', 'blue', ALL))).toEqual(['request-8'])
        expect([await sumOf(under, 'otlp', 'dropped'), await sumOf(under, 'otlp', 'sent')]).toEqual([4, 3])
        expect([await sumOf(under, 'loki', 'dropped'), await sumOf(under, 'loki')]).toEqual([6, 6])
        expect(namesOf(await ahead(under, 'loki'))).toEqual(entries.slice(6).map(({ call }) => call.requestId))
      }))

    it('goes on after every row was dropped', () =>
      withLog(async (under) => {
        await under.append(calls(1, 3))
        await under.dropOldest(3)
        expect(await ahead(under, 'otlp')).toEqual([])
        await under.append(calls(4, 4))
        expect(namesOf(await ahead(under, 'otlp'))).toEqual(['request-4'])
      }))

    it('keeps dead letters whole, once, with their reason', () =>
      withLog(async (under) => {
        await under.append(calls(1, 2))
        const { entries, upTo } = await readAll(under)
        const settlement = {
          upTo,
          outcomes: [told(entries[0]!), told(entries[1]!, 'rejected', 'poison_5xx')],
          deadLetters: [{ entry: entries[1]!, reason: 'poison_5xx' }],
        }
        await under.log.settle('otlp', settlement)
        await under.log.settle('otlp', settlement)
        await under.reopen()
        expect(await under.deadLetters('otlp')).toMatchObject([{ reason: 'poison_5xx', call: entries[1]!.call }])
        expect(await sumOf(under, 'otlp', 'rejected')).toBe(1)
        expect(await under.deadLetters('loki')).toEqual([])
      }))

    it('model: whatever is told, dropped and opened again, each call is counted once, held, or still to be read', async () => {
      const sink = fc.constantFrom(...SINKS)
      const operation = fc.oneof(
        fc.record({ do: fc.constant('append' as const), size: fc.integer({ min: 1, max: 6 }) }),
        fc.record({ do: fc.constant('settle' as const), sink, take: fc.nat(6), fates: fc.array(fc.nat(2)) }),
        fc.record({ do: fc.constant('release' as const), sink, tenant: fc.constantFrom('a', 'b'), take: fc.nat(3) }),
        fc.record({ do: fc.constant('drop' as const), rows: fc.nat(5) }),
        fc.record({ do: fc.constant('again' as const), sink }),
        fc.record({ do: fc.constant('reopen' as const) }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) =>
          withLog(async (under) => {
            let appended = 0
            const seen = new Map<string, Batch>()
            for (const step of operations) {
              if (step.do === 'append') {
                const fresh = Array.from({ length: step.size }, (_, index) =>
                  makeCall({ tenant: (appended + index) % 3 === 0 ? 'a' : 'b' }, appended + index + 1),
                )
                await under.append(fresh)
                appended += step.size
              } else if (step.do === 'settle') {
                const entries = (await readToEnd(under, step.sink)).slice(0, step.take)
                appended++
                if (entries.length === 0) continue
                const fateOf = (index: number) => step.fates[index % Math.max(step.fates.length, 1)] ?? 0
                const upTo = entries.at(-1)!.position
                seen.set(step.sink, { entries, upTo })
                await under.log.settle(step.sink, {
                  upTo,
                  outcomes: entries.filter((_, index) => fateOf(index) < 2).map((entry) => told(entry)),
                  held: entries.filter((_, index) => fateOf(index) === 2).map(hold),
                })
              } else if (step.do === 'release') {
                const held = await under.log.readHeld(step.sink, step.tenant, { ...ALL, calls: step.take })
                await under.log.settle(step.sink, { outcomes: held.map((entry) => told(entry, 'rejected')) })
              } else if (step.do === 'drop') await under.dropOldest(step.rows)
              else if (step.do === 'again') {
                const { entries = [], upTo } = seen.get(step.sink) ?? {}
                if (upTo !== undefined)
                  await under.log.settle(step.sink, { upTo, outcomes: entries.map((entry) => told(entry)) })
              } else await under.reopen()
            }
            for (const name of SINKS) {
              let held = 0
              for (const tenant of await under.log.heldTenants(name)) {
                const entries = await under.log.readHeld(name, tenant, ALL)
                expect(entries.length).toBeGreaterThan(0)
                expect(entries.every(({ call }) => call.tenant === tenant)).toBe(true)
                held += entries.length
              }
              const ahead = await readToEnd(under, name)
              appended++
              expect((await sumOf(under, name)) + held + ahead.length).toBe(appended)
            }
          }),
        ),
        { numRuns: runs },
      )
    })
  })
}
