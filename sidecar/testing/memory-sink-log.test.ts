import { describeSinkLog } from '../store/sink-log-contract.ts'
import { makeMemorySinkLog } from './memory-sink-log.ts'

describeSinkLog('memory', async (sinks) => {
  const log = makeMemorySinkLog(sinks)
  return {
    log,
    append: log.append,
    dropOldest: log.dropOldest,
    async counts(sink) {
      const counts = new Map<
        string,
        { tenant: string; outcome: 'sent' | 'sampled_out' | 'dropped' | 'rejected'; reason: string; count: number }
      >()
      for (const { tenant, outcome, reason } of log.outcomes(sink)) {
        const key = JSON.stringify([tenant, outcome, reason])
        const known = counts.get(key) ?? { tenant, outcome, reason, count: 0 }
        counts.set(key, { ...known, count: known.count + 1 })
      }
      return [...counts.values()]
    },
    deadLetters: async (sink) => log.deadLetters(sink),
    async reopen() {},
    async discard() {},
  }
})
