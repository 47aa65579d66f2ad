import { statSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder, totals } from '../testing/store-in-folder.ts'
import { checkStore } from './check.ts'
import type { Store } from './store.ts'

const test = storeInFolder()
const SINKS = ['otlp', 'langfuse', 'loki'] as const
const never = new AbortController().signal

async function settleAll(store: Store, sink: string): Promise<number> {
  let sent = 0
  for (;;) {
    const batch = await store.read(sink, { calls: 100, bytes: 1e7 }, AbortSignal.timeout(30))
    if (batch === undefined) return sent
    sent += batch.entries.length
    await store.settle(sink, {
      upTo: batch.upTo,
      outcomes: batch.entries.map(({ position, call }) => ({
        position,
        tenant: call.tenant,
        outcome: 'sent' as const,
        reason: '',
      })),
    })
  }
}
const sumOf = async (store: Store, sink: string, ...outcomes: string[]) =>
  (await store.stats()).counts
    .filter((row) => row.sink === sink && outcomes.includes(row.outcome))
    .reduce((sum, { count }) => sum + Number(count), 0)

describe('the limit of the log (law 3)', () => {
  it('whatever waits for whom, every batch is taken, counted, and within the limit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          body: fc.integer({ min: 0, max: 6000 }),
          batch: fc.integer({ min: 1, max: 60 }),
          limit: fc.integer({ min: 20_000, max: 400_000 }),
          down: fc.subarray([...SINKS]),
          held: fc.boolean(),
        }),
        async ({ body, batch, limit, down, held }) => {
          const store = await test.open({
            file: `${test.folder}/${Math.random().toString(36).slice(2)}.db`,
            sinks: SINKS,
            logLimitBytes: limit,
          })
          const size = 1500 + body
          const batches = Math.max(4, Math.ceil((3 * limit) / (size * batch)))
          let n = 0
          for (let index = 0; index < Math.min(batches, 60); index++) {
            const calls = Array.from({ length: batch }, () =>
              makeCall({ user: 'x'.repeat(body), tenant: n % 3 === 0 ? 'red' : 'blue' }, ++n),
            )
            const appended = await store.append({ calls })
            expect(appended).toMatchObject({ stored: batch })
            expect((await store.stats()).logBytes).toBeLessThanOrEqual(limit)
            for (const sink of SINKS) if (!down.includes(sink)) await settleAll(store, sink)
            if (held && index === 1 && down.length > 0) {
              // Held calls behind the cursor go as well when there is no room.
              const waiting = await store.read(down[0]!, { calls: 5, bytes: 1e7 }, AbortSignal.timeout(30))
              if (waiting !== undefined)
                await store.settle(down[0]!, {
                  upTo: waiting.upTo,
                  outcomes: [],
                  held: waiting.entries.map(({ position, call }) => ({ position, tenant: call.tenant })),
                })
            }
          }
          expect(Object.values(totals(store).calls!).reduce((a, b) => a + b, 0n)).toBe(BigInt(n))
          for (const sink of SINKS) {
            expect(await sumOf(store, sink, 'due')).toBe(n)
            if (!down.includes(sink)) {
              // A batch that finds no room at all is dropped for every sink; else those that keep up lose nothing.
              const lost = await sumOf(store, sink, 'dropped')
              if (lost > 0) expect(size * batch).toBeGreaterThan(limit / 2)
              expect((await sumOf(store, sink, 'sent')) + lost).toBe(n)
            }
          }
          const file = (await store.stats()).fileBytes
          await store.close()
          expect(file).toBeGreaterThan(0)
        },
      ),
      { numRuns: 12 },
    )
  })

  it('a ledger of ten times the limit takes nothing from it', async () => {
    const limit = 200_000
    const store = await test.open({ sinks: ['otlp'], logLimitBytes: limit })
    // Hours and models apart: cells, totals and lines take some 600 bytes a call.
    for (let from = 0; from < 9000; from += 100) {
      const calls = Array.from({ length: 100 }, (_, index) =>
        makeCall({ startedAt: 3_600_000 * (from + index + 1), model: `m${(from + index) % 90}` }, from + index),
      )
      expect(await store.append({ calls })).toMatchObject({ stored: 100 })
      await settleAll(store, 'otlp')
    }
    expect(await sumOf(store, 'otlp', 'sent')).toBe(9000)
    expect(await sumOf(store, 'otlp', 'dropped')).toBe(0)
    await store.close()
    expect(statSync(test.file).size).toBeGreaterThan(10 * limit)
    expect(checkStore(test.file).flatMap(({ wrong }) => wrong)).toEqual([])
  })

  it('dead letters have a budget of their own: the oldest go, counted', async () => {
    const store = await test.open({ sinks: ['otlp'], logLimitBytes: 200_000 })
    for (let n = 0; n < 40; n++) {
      await store.append({ calls: [makeCall({ user: 'x'.repeat(2000) }, n)] })
      const batch = (await store.read('otlp', { calls: 1, bytes: 1 }, never))!
      const [entry] = batch.entries
      await store.settle('otlp', {
        upTo: batch.upTo,
        outcomes: [{ position: entry!.position, tenant: 'blue', outcome: 'rejected', reason: 'http_400' }],
        deadLetters: [{ entry: entry!, reason: 'http_400' }],
      })
    }
    const { deadLetterBytes, sinks } = await store.stats()
    expect(deadLetterBytes).toBeLessThanOrEqual(25_000)
    expect(await sumOf(store, 'otlp', 'discarded')).toBe(40 - sinks[0]!.deadLetters)
    // The newest are there, and go out again.
    expect(await store.replay('otlp')).toBe(sinks[0]!.deadLetters)
    expect(await settleAll(store, 'otlp')).toBe(sinks[0]!.deadLetters)
    await store.close()
    expect(checkStore(test.file).flatMap(({ wrong }) => wrong)).toEqual([])
  })
})
