import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeSinkLog, type OutcomeCount } from './sink-log-contract.ts'
import { openStore } from './store.ts'

const OUTCOMES: readonly string[] = ['sent', 'sampled_out', 'dropped', 'rejected']

describeSinkLog(
  'SQLite',
  async (sinks) => {
    const folder = mkdtempSync(join(tmpdir(), 'sink-log-'))
    const open = () => openStore({ file: join(folder, 'observer.db'), sinks })
    let store = await open()
    return {
      get log() {
        return store
      },
      append: async (calls) => void (await store.append({ calls })),
      dropOldest: (rows) => store.dropOldest(rows),
      counts: async (sink) =>
        (await store.stats()).counts
          .filter((row) => row.sink === sink && OUTCOMES.includes(row.outcome) && row.count > 0n)
          .map(({ tenant, outcome, reason, count }) => ({
            tenant,
            outcome: outcome as OutcomeCount['outcome'],
            reason,
            count: Number(count),
          })),
      deadLetters: (sink) => store.deadLetters(sink, undefined, 1000),
      async reopen() {
        await store.close()
        store = await open()
      },
      async discard() {
        await store.close()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
  { runs: 20 },
)
