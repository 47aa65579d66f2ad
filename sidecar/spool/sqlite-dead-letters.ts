import type { DatabaseSync } from 'node:sqlite'
import type { OutcomeCount } from './spool.ts'

export interface BuriedCall {
  position: number
  id: string
  tenant: string
  reason: string
  body: string
}
export interface StoredLetter extends BuriedCall {
  reader: string
  at: number
}

const LETTER_OVERHEAD = 300

/**
 * Calls that a sink will never take. At most `limitBytes` of them, the oldest go first: a sink that refuses everything
 * must not fill the store. Runs inside the caller's transactions.
 */
export function makeDeadLetters(
  database: DatabaseSync,
  limitBytes: number,
  count: (reader: string, tenant: string, outcome: OutcomeCount['outcome'], reason: string, calls: number) => void,
) {
  const size = `octet_length(body) + ${LETTER_OVERHEAD}`
  const insert = database.prepare('INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)')
  const total = database.prepare(`SELECT coalesce(sum(${size}), 0) AS bytes FROM dead_letters`)
  const oldest = database.prepare(
    `SELECT reader, position, tenant, ${size} AS bytes FROM dead_letters ORDER BY at, position LIMIT 1`,
  )
  const remove = database.prepare('DELETE FROM dead_letters WHERE reader = ? AND position = ?')
  const list = database.prepare(
    'SELECT reader, position, id, tenant, reason, at, body FROM dead_letters WHERE ?1 IS NULL OR reader = ?1 ORDER BY reader, position',
  )
  const counts = database.prepare('SELECT reader, count(*) AS count FROM dead_letters GROUP BY reader')

  const bytesOf = database.prepare(`SELECT ${size} AS bytes FROM dead_letters WHERE reader = ? AND position = ?`)
  let bytes = 0
  let atBegin = 0
  const sizeOf = (reader: string, position: number) =>
    (bytesOf.get(reader, position) as { bytes: number } | undefined)?.bytes ?? 0

  const letters = {
    bury(reader: string, calls: readonly BuriedCall[], at: number): void {
      for (const call of calls) {
        // After a crash between `bury` and `commit` the same call is buried again.
        bytes -= sizeOf(reader, call.position)
        insert.run(reader, call.position, call.id, call.tenant, call.reason, at, call.body)
        bytes += sizeOf(reader, call.position)
      }
      while (bytes > limitBytes) {
        const letter = oldest.get() as { reader: string; position: number; tenant: string; bytes: number }
        remove.run(letter.reader, letter.position)
        count(letter.reader, letter.tenant, 'discarded', 'dead_letters_full', 1)
        bytes -= letter.bytes
      }
    },
    list: (reader: string | undefined) => list.all(reader ?? null) as unknown as StoredLetter[],
    remove(letter: StoredLetter): void {
      bytes -= sizeOf(letter.reader, letter.position)
      remove.run(letter.reader, letter.position)
    },
    counts: () => new Map((counts.all() as { reader: string; count: number }[]).map((row) => [row.reader, row.count])),
    begin(): void {
      atBegin = bytes
    },
    takeBack(): void {
      bytes = atBegin
    },
    recount(): void {
      bytes = (total.get() as { bytes: number }).bytes
    },
  }
  letters.recount()
  return letters
}
