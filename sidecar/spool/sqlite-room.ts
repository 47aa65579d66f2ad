import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'

const MEBIBYTE = 1024 * 1024

/** How large the store is: pages in use and the write-ahead log, which is kept to a sixteenth of the limit. */
export function makeRoomMeter(database: DatabaseSync, file: string, limitBytes: number) {
  const { page_size: pageSize } = database.prepare('PRAGMA page_size').get() as { page_size: number }
  const usedPages = database.prepare(
    'SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count) AS used',
  )
  const logPages = Math.max(16, Math.floor(Math.min(4 * MEBIBYTE, limitBytes / 16) / pageSize))
  const logBytes = logPages * pageSize
  database.exec(`PRAGMA wal_autocheckpoint = ${logPages}; PRAGMA journal_size_limit = ${logBytes}`)

  const pageBytes = () => (usedPages.get() as { used: number }).used * pageSize
  const writeAheadLog = () => statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0
  /** Written by the open transaction; the log grows by all of it at once. */
  let written = 0
  const logWith = (bytes: number) => logBytes + 1.25 * bytes
  return {
    used: () => pageBytes() + writeAheadLog(),
    begin(): void {
      written = 0
    },
    wrote(bytes: number): void {
      written += bytes
    },
    /** What would be taken after the open transaction has written `bytes` more: its pages, and the log that carries them. */
    usedWith: (bytes: number) => pageBytes() + bytes + Math.max(writeAheadLog(), logWith(written + bytes)),
    /** The same of a store that holds nothing. */
    least: (bytes: number) => bytes + logWith(bytes),
    /** Whether what the open transaction has written is within the limit. */
    within: () => pageBytes() + Math.max(writeAheadLog(), logWith(written)) <= limitBytes,
  }
}
