import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import type { SpendRange, SpendSums } from '../ledger/spend.ts'
import { makeSpendStore } from '../ledger/spend-store.ts'
import { markDamaged } from './data-folder.ts'
import { faultOf } from './errors.ts'
import { DELTAS } from './schema.ts'
import { serveThread } from './thread.ts'

/** Reads on a connection of its own, each in a snapshot of its own, so that the write-ahead log stays small. */
export type ReadRequest =
  | { op: 'rows'; sink: string; after: number; calls: number; bytes: number }
  | { op: 'held'; sink: string; tenant: string; calls: number; bytes: number }
  | { op: 'heldTenants'; sink: string }
  | { op: 'deadLetters'; sink: string | undefined; after: LetterPlace | undefined; limit: number }
  | { op: 'spend'; ranges: readonly SpendRange[] }
  | { op: 'stats' }
  | { op: 'close' }

export interface StoredRow {
  position: number
  repeat: boolean
  /** JSON in UTF-8. */
  body: Uint8Array
}
export interface ReadRows {
  rows: StoredRow[]
  /** Rows whose checksum is not that of their body. */
  damaged: number[]
  /** Up to here everything has been looked at. */
  upTo: number
}
export interface LetterPlace {
  sink: string
  position: number
}
export interface DeadLetterRow extends LetterPlace {
  id: string
  tenant: string
  reason: string
  at: number
  /** Null where the checksum is not that of the body. */
  body: Uint8Array | null
}
export interface SinkCount {
  sink: string
  tenant: string
  /** due: put before the sink. replayed: a dead letter was put back. discarded: a dead letter was not kept, for want of room. */
  outcome: 'due' | 'sent' | 'sampled_out' | 'dropped' | 'rejected' | 'replayed' | 'discarded'
  reason: string
  count: bigint
}
export interface StoreStats {
  /** Of the file, of its write-ahead log, and of the rows of the log. */
  fileBytes: number
  walBytes: number
  logBytes: number
  deadLetterBytes: number
  sinks: {
    sink: string
    position: number
    /** Epoch ms of the oldest call that waits; undefined if none does. */
    oldestAt: number | undefined
    deadLetters: number
    held: number
  }[]
  counts: SinkCount[]
}

/** Bodies of one answer: the event loop parses them. */
const LETTERS_BYTES = 1024 * 1024

serveThread<ReadRequest, never, undefined>(() => {
  const { file } = workerData as { file: string }
  const database = new DatabaseSync(file, { readOnly: true, timeout: 2000 })
  const rowsAfter = database.prepare(
    `SELECT position, repeat, checksum, body FROM log WHERE position > ? AND (only_sink IS NULL OR only_sink = ?)
     ORDER BY position LIMIT ?`,
  )
  const heldRows = database.prepare(
    `SELECT position, repeat, checksum, body FROM held JOIN log USING (position) WHERE held.sink = ? AND held.tenant = ?
     ORDER BY position LIMIT ?`,
  )
  const heldTenants = database.prepare('SELECT DISTINCT tenant FROM held WHERE sink = ?')
  const letters = database.prepare(
    `SELECT sink, position, id, tenant, reason, at, checksum, body FROM dead_letters
     WHERE (?1 IS NULL OR sink = ?1) AND (sink, position) > (?2, ?3) ORDER BY sink, position LIMIT ?4`,
  )
  const spend = makeSpendStore(database)
  const state = database.prepare('SELECT value FROM state WHERE name = ?')
  const sinks = database.prepare('SELECT sink, position FROM sinks WHERE retired = 0')
  const counts = database.prepare('SELECT sink, tenant, outcome, reason, count FROM sink_counts')
  counts.setReadBigInts(true)
  const oldest = database.prepare(
    `SELECT min(at) AS at FROM (
       SELECT at FROM (SELECT at FROM log WHERE position > ?1 AND (only_sink IS NULL OR only_sink = ?2) ORDER BY position LIMIT 1)
       UNION ALL SELECT at FROM (SELECT at FROM held JOIN log USING (position) WHERE held.sink = ?2 ORDER BY position LIMIT 1))`,
  )
  const letterCount = database.prepare('SELECT count(*) AS count FROM dead_letters WHERE sink = ?')
  const heldCount = database.prepare('SELECT count(*) AS count FROM held WHERE sink = ?')

  function take(rows: Iterable<unknown>, bytes: number, after: number): ReadRows {
    const taken: ReadRows = { rows: [], damaged: [], upTo: after }
    let size = 0
    for (const { position, repeat, checksum, body } of rows as Iterable<Row>) {
      if (crc32(body) !== checksum) taken.damaged.push(position)
      else {
        size += body.length
        if (taken.rows.length > 0 && size > bytes) break
        taken.rows.push({ position, repeat: repeat === 1, body })
      }
      taken.upTo = position
    }
    return taken
  }

  function takeLetters(rows: Iterable<DeadLetterRow & { body: Uint8Array; checksum: number }>): DeadLetterRow[] {
    const taken: DeadLetterRow[] = []
    let size = 0
    for (const { checksum, body, ...letter } of rows) {
      size += body.length
      if (taken.length > 0 && size > LETTERS_BYTES) break
      taken.push({ ...letter, body: crc32(body) === checksum ? body : null })
    }
    return taken
  }

  function stats(): StoreStats {
    const size = (name: string) => statSync(name, { throwIfNoEntry: false })?.size ?? 0
    const number = (name: string) => Number((state.get(name) as { value: number } | undefined)?.value ?? 0)
    return {
      fileBytes: size(file),
      walBytes: size(`${file}-wal`),
      logBytes: number('log_bytes'),
      deadLetterBytes: number('dead_letter_bytes'),
      sinks: (sinks.all() as { sink: string; position: number }[]).map(({ sink, position }) => ({
        sink,
        position,
        oldestAt: (oldest.get(position, sink) as { at: number | null }).at ?? undefined,
        deadLetters: (letterCount.get(sink) as { count: number }).count,
        held: (heldCount.get(sink) as { count: number }).count,
      })),
      counts: counts.all() as unknown as SinkCount[],
    }
  }

  function inSnapshot<T>(read: () => T): T {
    database.exec('BEGIN')
    try {
      return read()
    } finally {
      database.exec('COMMIT')
    }
  }

  function run(request: ReadRequest): ReadRows | string[] | DeadLetterRow[] | SpendSums | StoreStats | undefined {
    switch (request.op) {
      case 'rows':
        return take(rowsAfter.iterate(request.after, request.sink, request.calls), request.bytes, request.after)
      case 'held':
        return take(heldRows.iterate(request.sink, request.tenant, request.calls), request.bytes, 0)
      case 'heldTenants':
        return (heldTenants.all(request.sink) as { tenant: string }[]).map(({ tenant }) => tenant)
      case 'deadLetters':
        return takeLetters(
          letters.iterate(
            request.sink ?? null,
            request.after?.sink ?? '',
            request.after?.position ?? 0,
            request.limit,
          ) as Iterable<unknown> as Iterable<DeadLetterRow & { body: Uint8Array; checksum: number }>,
        )
      case 'spend':
        return inSnapshot(() => ({
          sums: spend.sums(request.ranges),
          upTo: Number((state.get(DELTAS) as { value: number } | undefined)?.value ?? 0),
        }))
      case 'stats':
        return stats()
      case 'close':
        database.close()
        return undefined
    }
  }

  return {
    opened: undefined,
    handle(asked) {
      for (const { request, answer, fail } of asked)
        try {
          answer(run(request))
        } catch (error) {
          fail(error)
          if (faultOf(error) !== 'corrupt') continue
          markDamaged(file)
          throw error
        }
    },
  }
})

interface Row {
  position: number
  repeat: number
  checksum: number
  body: Uint8Array
}
