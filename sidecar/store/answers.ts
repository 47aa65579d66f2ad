import type { DatabaseSync } from 'node:sqlite'
import type { AnswerIdentity, Cost, LlmCall } from '../call.ts'
import { type Adjustment, type PriceOfCall, priceOf } from '../ledger/adjustments.ts'
import { lineId } from '../ledger/call-line-store.ts'
import { startOf } from '../ledger/call-lines.ts'
import { basisOf } from '../ledger/price-basis.ts'
import { answerKey } from './open-database.ts'

/** What a call is, given the answers that were billed before (design law 10). */
export interface Verdict {
  repeat: boolean
  /** The earlier amount was not final, or is less than what is known now. */
  adjustment?: Adjustment
}

/**
 * Answers that can be retrieved later, and the call that was billed for each. They are kept as long as that call's line.
 * Inside the caller's transactions.
 */
export function makeAnswers(database: DatabaseSync) {
  const find = database.prepare('SELECT started_at, call, final FROM answers WHERE key = ?')
  const put = database.prepare('INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)')
  const finish = database.prepare('UPDATE answers SET final = 1 WHERE key = ?')
  const billed = database.prepare(
    `SELECT tenant, provider, model, state, price_id, reason, cost FROM calls JOIN call_kinds USING (kind)
     WHERE started_at = ? AND id = ?`,
  )
  const lastAdjustment = database.prepare(
    `SELECT number, new_price_id, new_reason, new_cost FROM adjustments WHERE started_at = ? AND call = ?
     ORDER BY number DESC LIMIT 1`,
  )

  return {
    /** Only looks. */
    judge(call: LlmCall, answer: AnswerIdentity): Verdict {
      if (!answer.retrieval) return { repeat: false }
      const origin = find.get(answerKey(answer.key)) as Origin | undefined
      if (origin === undefined) return { repeat: false }
      if (origin.final === 1) return { repeat: true }
      const row = billed.get(origin.started_at, origin.call) as Billed | undefined
      // Its line is gone with its retention: what it cost cannot be adjusted any more.
      if (row === undefined) return { repeat: true }
      const before = presentPrice(row, origin)
      const after = priceOf(call)
      const more = after.reason === null && after.cost > before.cost
      if (!more && !(answer.final && isOther(before, after))) return { repeat: true }
      const { tenant, provider, model } = row
      return {
        repeat: true,
        adjustment: {
          startedAt: origin.started_at,
          id: Buffer.from(origin.call).toString('hex'),
          labels: { tenant, provider, model },
          before,
          after,
          book: call.cost.book,
          basis: basisOf(call),
        },
      }
    },
    /** After the call was stored. */
    record(call: LlmCall, answer: AnswerIdentity, { repeat }: Verdict): void {
      const key = answerKey(answer.key)
      if (!repeat) put.run(key, startOf(call), lineId(call.id), answer.final ? 1 : 0)
      else if (answer.final) finish.run(key)
    },
  }

  function presentPrice(row: Billed, { started_at, call }: Origin): Adjustment['before'] {
    const adjusted = lastAdjustment.get(started_at, call) as Adjusted | undefined
    if (adjusted === undefined)
      // What was free has a price, 0, and is none of the unpriced calls (adjustments.ts, priceOf).
      return row.state === 'unpriced'
        ? { priceId: null, reason: row.reason, cost: 0, number: 0 }
        : { priceId: row.price_id ?? row.reason, reason: null, cost: row.cost, number: 0 }
    const { number, new_price_id, new_reason, new_cost } = adjusted
    return { priceId: new_price_id, reason: new_reason, cost: new_cost, number }
  }
}

/** An unpriced amount is replaced by a price, a price by another one; a price never by the lack of one. */
function isOther(before: PriceOfCall, after: PriceOfCall): boolean {
  return after.reason === null && (before.reason !== null || before.cost !== after.cost)
}

interface Origin {
  started_at: number
  call: Uint8Array
  final: 0 | 1
}
interface Billed {
  tenant: string
  provider: string
  model: string
  state: Cost['state']
  price_id: string | null
  reason: string | null
  cost: number
}
interface Adjusted {
  number: number
  new_price_id: string | null
  new_reason: string | null
  new_cost: number
}
