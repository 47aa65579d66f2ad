import type { DatabaseSync } from 'node:sqlite'
import type { KeptCall } from './call-lines.ts'
import { boundsOf, type Period } from './period.ts'
import { makePresentPrices } from './present-price.ts'
import { walkCalls } from './walk-calls.ts'

/** Calls of a model that have no price, as things stand: what was repriced since is not among them. */
export interface UnpricedModel {
  provider: string
  /** As the provider names it, else as the client did. */
  model: string
  reason: string
  calls: number
  /** Epoch milliseconds: when the first and the last of them started. */
  firstAt: number
  lastAt: number
}

export interface UnpricedList {
  /** Since when calls are kept: those before are not among them. */
  keptFrom: number
  /** The most frequent first. */
  models: UnpricedModel[]
}

/** Of the period, or of all that the ledger keeps. Throws RangeError for a bad period. */
export function listUnpriced(database: DatabaseSync, period?: Period): UnpricedList {
  const { start, end } = period === undefined ? { start: 0, end: Number.MAX_SAFE_INTEGER } : boundsOf(period)
  const { kept_from: keptFrom } = database.prepare('SELECT kept_from FROM retention').get() as { kept_from: number }
  const models = new Map<string, UnpricedModel>()
  const present = makePresentPrices(database)
  // Of those that were adjusted, whichever way, the last adjustment counts.
  const where = `state = 'unpriced' OR (state <> 'unpriced' AND EXISTS
    (SELECT 1 FROM adjustments WHERE adjustments.started_at = calls.started_at AND call = calls.id))`
  for (const calls of walkCalls(database, { start: Math.max(start, keptFrom), end, where }))
    for (const [index, { reason }] of present.of(calls).entries())
      if (reason !== null) add(models, calls[index]!, reason)
  return {
    keptFrom,
    models: [...models.values()].sort((a, b) => b.calls - a.calls || a.firstAt - b.firstAt),
  }
}

function add(models: Map<string, UnpricedModel>, call: KeptCall, reason: string): void {
  const { startedAt } = call
  const { provider } = call.kind
  const [model = 'unknown'] = call.kind.models
  const key = [provider, model, reason].join('\u0000')
  const known = models.get(key)
  if (known === undefined) models.set(key, { provider, model, reason, calls: 1, firstAt: startedAt, lastAt: startedAt })
  else {
    known.calls++
    known.lastAt = startedAt
  }
}
