import type { DatabaseSync } from 'node:sqlite'
import {
  type KeptCall,
  type KeptKind,
  KIND_COLUMNS,
  type KindRow,
  keptCall,
  keptKind,
  LINE_COLUMNS,
  type LineRow,
} from './call-lines.ts'

/** Lines that one read looks at: reads are short, so that beside a running sidecar its log can be emptied. */
const SLICE = 1000
/** Kinds kept in memory. */
const MAX_KINDS = 10_000

export interface Wanted {
  /** Epoch milliseconds: from the first, before the last. */
  start: number
  end: number
  /** Only the calls of these; a model as the response or the request names it, or by its label. */
  tenant?: string | undefined
  provider?: string | undefined
  model?: string | undefined
  /** A further condition, in SQL over `calls` and `call_kinds`. */
  where?: string
}

/** The calls that the ledger keeps, in the order of their start, slice by slice; some slices are empty. */
export function* walkCalls(database: DatabaseSync, wanted: Wanted): Generator<KeptCall[], void, void> {
  const names = [wanted.tenant, wanted.provider, wanted.model]
  const conditions = [
    '? IN (tenant, tenant_name)',
    '? IN (provider, provider_name)',
    '? IN (model, response_model, request_model)',
  ].filter((_, index) => names[index] !== undefined)
  if (wanted.where !== undefined) conditions.push(`(${wanted.where})`)
  const join = conditions.length === 0 ? '' : 'JOIN call_kinds USING (kind)'
  const select = database.prepare(
    `SELECT kind, ${LINE_COLUMNS.map((name) => `calls.${name}`).join(', ')} FROM calls ${join}
     WHERE (started_at, id) > (?, ?) AND (started_at, id) <= (?, ?)
     ${conditions.map((condition) => `AND ${condition}`).join(' ')} ORDER BY started_at, id`,
  )
  const selectKind = database.prepare(`SELECT ${KIND_COLUMNS.join(', ')} FROM call_kinds WHERE kind = ?`)
  const kinds = new Map<number, KeptKind>()
  const kindOf = (id: number): KeptKind | undefined => {
    let kind = kinds.get(id)
    if (kind === undefined) {
      const row = selectKind.get(id) as KindRow | undefined
      if (row === undefined) return undefined
      kind = keptKind(row)
      if (kinds.size >= MAX_KINDS) kinds.clear()
      kinds.set(id, kind)
    }
    return kind
  }
  const selectEnd = database.prepare(
    `SELECT started_at, id FROM calls WHERE (started_at, id) > (?, ?) AND started_at < ?
     ORDER BY started_at, id LIMIT 1 OFFSET ${SLICE - 1}`,
  )
  let from: Place = { started_at: wanted.start - 1, id: AFTER_ALL }
  for (let more = true; more; ) {
    const found = selectEnd.get(from.started_at, from.id, wanted.end) as Place | undefined
    more = found !== undefined
    const upTo = found ?? { started_at: wanted.end - 1, id: AFTER_ALL }
    const given = names.filter((name) => name !== undefined)
    const calls: KeptCall[] = []
    for (const row of select.all(
      from.started_at,
      from.id,
      upTo.started_at,
      upTo.id,
      ...given,
    ) as unknown as LineRow[]) {
      // A line whose kind is gone cannot be priced; `check` tells of it.
      const kind = kindOf(row.kind)
      if (kind !== undefined) calls.push(keptCall(row, kind))
    }
    yield calls
    from = upTo
  }
}

interface Place {
  started_at: number
  id: Uint8Array
}
/** No id is behind it: they are shorter, or text. */
const AFTER_ALL = Buffer.alloc(17, 255)
