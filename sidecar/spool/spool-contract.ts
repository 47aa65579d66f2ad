import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { LEDGER_READER, type Settlement, type Spool } from './spool.ts'

export interface SpoolUnderTest {
  /** Opens the same store again and again: what was acknowledged is there. */
  open(options?: { limitBytes?: number; readers?: readonly string[] }): Promise<Spool>
  /** The process dies without closing; the next `open` finds the store as the crash left it. */
  crash(spool: Spool): Promise<void>
  discard(): Promise<void>
}

const READERS = [LEDGER_READER, 'otlp', 'loki']
const ALL = { calls: 1000, bytes: 100_000_000 }
const never = new AbortController().signal
const calls = (from: number, to: number, change: Partial<LlmCall> = {}) =>
  Array.from({ length: to - from + 1 }, (_, index) => makeCall(change, from + index))
const sent = (position: number, tenant = 'blue'): Settlement => ({ position, tenant, outcome: 'sent', reason: '' })

/** What every spool must do, whatever it stands on. */
export function describeSpool(name: string, make: () => Promise<SpoolUnderTest>): void {
  const withSpool = async (
    work: (spool: Spool, store: SpoolUnderTest) => Promise<void>,
    options: Parameters<SpoolUnderTest['open']>[0] = {},
  ) => {
    const store = await make()
    const spool = await store.open({ readers: READERS, ...options })
    try {
      await work(spool, store)
    } finally {
      await spool.close().catch(() => {})
      await store.discard()
    }
  }
  const readAll = async (spool: Spool, reader: string, after?: number) => {
    const ids: string[] = []
    for (let position = after; ; ) {
      const soon = AbortSignal.timeout(50)
      const batch = await spool.read(reader, ALL, soon, position ?? 0)
      if (batch === undefined) return ids
      ids.push(...batch.entries.map(({ call }) => call.id))
      position = batch.upTo
    }
  }

  describe(`${name}: spool contract`, () => {
    it('gives each reader what was appended, in order, whole', () =>
      withSpool(async (spool) => {
        const appended = calls(1, 25)
        expect(await spool.append(appended)).toEqual({ stored: 25, duplicate: 0 })
        for (const reader of READERS) {
          const batch = await spool.read(reader, ALL, never)
          expect(batch?.entries.map(({ call }) => call)).toEqual(appended)
        }
      }))

    it('knows a call that comes again, also after a restart and after its row is gone', () =>
      withSpool(async (spool, store) => {
        await spool.append(calls(1, 3))
        expect(await spool.append(calls(2, 4))).toEqual({ stored: 1, duplicate: 2 })
        const { upTo } = (await spool.read('otlp', ALL, never))!
        for (const reader of READERS) await spool.commit(reader, upTo, [])
        await spool.close()
        const again = await store.open({ readers: READERS })
        expect(await again.append(calls(1, 4))).toEqual({ stored: 0, duplicate: 4 })
        await again.close()
      }))

    it('bills one answer once: the same billing key again is a repeat at cost 0', () =>
      withSpool(async (spool, store) => {
        await spool.append([makeCall({ billingKey: 'k' }, 1), makeCall({ billingKey: 'k' }, 2)])
        await spool.close()
        const again = await store.open({ readers: READERS })
        await again.append([makeCall({ billingKey: 'k' }, 3)])
        const batch = await again.read('otlp', ALL, never)
        expect(batch?.entries.map(({ call }) => [call.cost.state, call.repeat ?? false])).toEqual([
          ['priced', false],
          ['free', true],
          ['free', true],
        ])
        await again.close()
      }))

    it('bounds a batch by calls and by bytes, and gives at least one', () =>
      withSpool(async (spool, store) => {
        await spool.append(calls(1, 10))
        expect((await spool.read('otlp', { calls: 3, bytes: 1e9 }, never))?.entries).toHaveLength(3)
        expect((await spool.read('otlp', { calls: 10, bytes: 1 }, never))?.entries).toHaveLength(1)
        await spool.close()
        const cold = await store.open({ readers: READERS })
        expect((await cold.read('otlp', { calls: 3, bytes: 1e9 }, never))?.entries).toHaveLength(3)
        expect((await cold.read('otlp', { calls: 10, bytes: 1 }, never))?.entries).toHaveLength(1)
        await cold.close()
      }))

    it('wakes a waiting reader on append, and lets it go on abort', () =>
      withSpool(async (spool) => {
        const waiting = spool.read('otlp', ALL, never)
        await spool.append(calls(1, 1))
        expect((await waiting)?.entries).toHaveLength(1)
        const stop = new AbortController()
        const idle = spool.read('otlp', ALL, stop.signal, 1)
        stop.abort()
        expect(await idle).toBeUndefined()
      }))

    it('moves cursor and outcomes together, once', () =>
      withSpool(async (spool, store) => {
        await spool.append(calls(1, 4))
        await spool.commit('otlp', 2, [sent(1), sent(2)])
        await spool.commit('otlp', 2, [sent(1), sent(2)])
        await spool.commit('otlp', 4, [
          sent(2),
          sent(3),
          { position: 4, tenant: 'blue', outcome: 'rejected', reason: 'http_400' },
        ])
        await spool.close()
        const again = await store.open({ readers: READERS })
        const { outcomes, readers } = await again.stats()
        expect(outcomes.sort((a, b) => a.outcome.localeCompare(b.outcome))).toEqual([
          { reader: 'otlp', tenant: 'blue', outcome: 'rejected', reason: 'http_400', count: 1n },
          { reader: 'otlp', tenant: 'blue', outcome: 'sent', reason: '', count: 3n },
        ])
        expect(readers.find(({ reader }) => reader === 'otlp')?.waiting).toEqual({})
        expect(readers.find(({ reader }) => reader === 'loki')?.waiting).toEqual({ blue: 4 })
        await again.close()
      }))

    it('a new reader starts at the oldest row kept', () =>
      withSpool(async (spool, store) => {
        await spool.append(calls(1, 5))
        for (const reader of READERS) await spool.commit(reader, 2, [])
        await spool.close()
        const changed = await store.open({ readers: [...READERS, 'langfuse'] })
        const ids = (await changed.read('langfuse', ALL, never))!.entries.map(({ call }) => call.id)
        expect(ids.slice(-3)).toEqual(calls(3, 5).map(({ id }) => id))
        await changed.close()
      }))

    it('a reader that is no longer configured holds nothing up; what waited for it is counted as dropped', () =>
      withSpool(async (spool, store) => {
        await spool.append([...calls(1, 3), ...calls(4, 4, { tenant: 'red' })])
        await spool.commit('otlp', 1, [sent(1)])
        await spool.close()
        const without = await store.open({ readers: [LEDGER_READER, 'loki'] })
        const { readers, outcomes } = await without.stats()
        expect(readers.map(({ reader }) => reader).sort()).toEqual([LEDGER_READER, 'loki'])
        expect(outcomes.filter(({ outcome }) => outcome === 'dropped')).toEqual([
          { reader: 'otlp', tenant: 'blue', outcome: 'dropped', reason: 'reader_removed', count: 2n },
          { reader: 'otlp', tenant: 'red', outcome: 'dropped', reason: 'reader_removed', count: 1n },
        ])
        await without.append(calls(5, 5))
        await without.close()
        // It comes back: nothing that was sent or counted before is read again.
        const again = await store.open({ readers: READERS })
        expect((await again.read('otlp', ALL, never))?.entries.map(({ call }) => call.id)).toEqual([makeCall({}, 5).id])
        expect((await again.stats()).outcomes).toHaveLength(3)
        await again.close()
      }))

    it('the same call in appends at the same time is stored once', () =>
      withSpool(async (spool) => {
        const results = await Promise.all([1, 2, 3, 4, 5].map((n) => spool.append(calls(n, n + 9))))
        const counted = results.map((result) => (result === 'full' ? { stored: 0, duplicate: 0 } : result))
        expect(counted.reduce((sum, { stored }) => sum + stored, 0)).toBe(14)
        expect(counted.reduce((sum, { duplicate }) => sum + duplicate, 0)).toBe(36)
        expect(await readAll(spool, 'otlp')).toEqual(calls(1, 14).map(({ id }) => id))
      }))

    it('keeps text whole: other scripts, lone surrogates, zero bytes', () =>
      withSpool(async (spool, store) => {
        const strange = makeCall({ errorMessage: '你好 \u{1f600} \ud800 \u0000 "\\' }, 1)
        await spool.append([strange])
        await store.crash(spool)
        const cold = await store.open({ readers: READERS })
        expect((await cold.read('otlp', ALL, never))?.entries[0]?.call).toEqual(strange)
        await cold.close()
      }))

    it('keeps dead letters, and replays them to their reader alone', () =>
      withSpool(async (spool) => {
        await spool.append(calls(1, 3))
        const batch = (await spool.read('otlp', ALL, never))!
        await spool.bury('otlp', [{ entry: batch.entries[1]!, reason: 'http_400' }])
        for (const reader of READERS) await spool.commit(reader, batch.upTo, [])
        expect(await spool.deadLetters()).toMatchObject([
          { reader: 'otlp', reason: 'http_400', tenant: 'blue', call: { id: batch.entries[1]!.call.id } },
        ])
        expect(await spool.replay('otlp')).toBe(1)
        expect(await spool.deadLetters()).toEqual([])
        expect(await readAll(spool, 'otlp', batch.upTo)).toEqual([batch.entries[1]!.call.id])
        expect(await readAll(spool, 'loki', batch.upTo)).toEqual([])
        expect(await spool.replay('otlp')).toBe(0)
        const { outcomes, readers } = await spool.stats()
        expect(outcomes).toEqual([{ reader: 'otlp', tenant: 'blue', outcome: 'replayed', reason: '', count: 1n }])
        expect(readers.find(({ reader }) => reader === 'otlp')?.waiting).toEqual({ blue: 1 })
        // A reader that waits behind a row of another's is woken by its own next call.
        const waiting = spool.read('loki', ALL, never)
        await spool.append(calls(9, 9))
        expect((await waiting)?.entries.map(({ call }) => call.id)).toEqual([makeCall({}, 9).id])
      }))

    it('replays the chosen positions only', () =>
      withSpool(async (spool) => {
        await spool.append(calls(1, 3))
        const { entries } = (await spool.read('otlp', ALL, never))!
        await spool.bury(
          'otlp',
          entries.map((entry) => ({ entry, reason: 'http_400' })),
        )
        expect(await spool.replay('otlp', [2])).toBe(1)
        expect((await spool.deadLetters('otlp')).map(({ position }) => position)).toEqual([1, 3])
      }))

    it('dead letters never fill the store: the oldest are discarded, counted', () =>
      withSpool(
        async (spool) => {
          const LETTERS = 200
          for (let n = 1; n <= LETTERS; n++) {
            expect(await spool.append([makeCall({ errorMessage: 'x'.repeat(4000) }, n)])).not.toBe('full')
            const { entries, upTo } = (await spool.read('otlp', ALL, never))!
            await spool.bury('otlp', [{ entry: entries[0]!, reason: 'http_400' }])
            for (const reader of READERS) await spool.commit(reader, upTo, [])
          }
          const { outcomes, readers } = await spool.stats()
          const kept = readers.find(({ reader }) => reader === 'otlp')!.deadLetters
          expect(kept).toBeGreaterThan(10)
          expect(outcomes).toEqual([
            {
              reader: 'otlp',
              tenant: 'blue',
              outcome: 'discarded',
              reason: 'dead_letters_full',
              count: BigInt(LETTERS - kept),
            },
          ])
          expect((await spool.deadLetters())[0]?.position).toBe(LETTERS - kept + 1)
        },
        { limitBytes: 2 * 1024 * 1024 },
      ))

    it('at its limit moves on all readers but the ledger, counting per tenant, and then says full', () =>
      withSpool(
        async (spool) => {
          const body = 'x'.repeat(4000)
          const big = (n: number) =>
            makeCall({ tenant: n % 2 ? 'blue' : 'red', errorMessage: body, billingKey: `k${n}` }, n)
          let n = 0
          let appended = 0
          let result: Awaited<ReturnType<Spool['append']>> = { stored: 0, duplicate: 0 }
          while (result !== 'full') {
            result = await spool.append([big(++n)])
            if (result !== 'full') appended++
            if (n > 5000) throw new Error('never full')
          }
          // The ledger has read nothing: nothing was dropped.
          expect((await spool.stats()).outcomes).toEqual([])
          expect(await readAll(spool, LEDGER_READER)).toHaveLength(appended)

          await spool.commit(LEDGER_READER, appended, [])
          for (let more = 0; more < 300; more++)
            expect(await spool.append([big(++n)])).toEqual({ stored: 1, duplicate: 0 })
          const { outcomes, readers, bytes, limitBytes } = await spool.stats()
          expect(bytes).toBeLessThanOrEqual(limitBytes)
          for (const reader of ['otlp', 'loki']) {
            const dropped = outcomes.filter((row) => row.reader === reader && row.outcome === 'dropped')
            expect(new Set(dropped.map(({ tenant }) => tenant))).toEqual(new Set(['blue', 'red']))
            expect(dropped.every(({ reason }) => reason === 'spool_full')).toBe(true)
            const gone = dropped.reduce((sum, row) => sum + Number(row.count), 0)
            const waiting = Object.values(readers.find((row) => row.reader === reader)!.waiting).reduce(
              (a, b) => a + b,
              0,
            )
            expect(gone + waiting).toBe(appended + 300)
            expect(await readAll(spool, reader, readers.find((row) => row.reader === reader)!.position)).toHaveLength(
              waiting,
            )
          }
          expect(outcomes.filter(({ reader }) => reader === LEDGER_READER)).toEqual([])
        },
        { limitBytes: 2 * 1024 * 1024 },
      ))

    it('agrees with a model over any history of appends, commits, restarts and crashes', async () => {
      const step = fc.oneof(
        fc.record({
          do: fc.constant('append' as const),
          ids: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
        }),
        fc.record({
          do: fc.constant('commit' as const),
          reader: fc.constantFrom(...READERS),
          calls: fc.integer({ min: 1, max: 10 }),
        }),
        fc.record({ do: fc.constantFrom('restart' as const, 'crash' as const) }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
          const store = await make()
          let spool = await store.open({ readers: READERS })
          try {
            const log: string[] = []
            const cursor = new Map(READERS.map((reader) => [reader, 0]))
            for (const action of steps) {
              if (action.do === 'append') {
                const batch = action.ids.map((n) => makeCall({}, n))
                const fresh = [...new Set(batch.map(({ id }) => id))].filter((id) => !log.includes(id))
                expect(await spool.append(batch)).toEqual({
                  stored: fresh.length,
                  duplicate: batch.length - fresh.length,
                })
                log.push(...fresh)
              } else if (action.do === 'commit') {
                const at = cursor.get(action.reader)!
                if (at >= log.length) continue
                const batch = (await spool.read(action.reader, { calls: action.calls, bytes: 1e9 }, never))!
                expect(batch.entries.map(({ call }) => call.id)).toEqual(log.slice(at, at + batch.entries.length))
                await spool.commit(
                  action.reader,
                  batch.upTo,
                  batch.entries.map(({ position }) => sent(position)),
                )
                cursor.set(action.reader, at + batch.entries.length)
              } else {
                await (action.do === 'crash' ? store.crash(spool) : spool.close())
                spool = await store.open({ readers: READERS })
              }
            }
            const { readers, outcomes } = await spool.stats()
            for (const { reader, waiting } of readers) {
              expect(Object.values(waiting).reduce((a, b) => a + b, 0)).toBe(log.length - cursor.get(reader)!)
              const count = outcomes
                .filter((row) => row.reader === reader)
                .reduce((sum, row) => sum + Number(row.count), 0)
              expect(count).toBe(cursor.get(reader))
            }
          } finally {
            await spool.close()
            await store.discard()
          }
        }),
        { numRuns: 20 },
      )
    })
  })
}
