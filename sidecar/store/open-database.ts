import { hash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { encodeHoles } from './numbers.ts'

const HEX = /^(?:[0-9a-f]{2}){1,32}$/

/** An epoch as a key: its bytes where it is hexadecimal, else its text. */
export function epochKey(epoch: string): Uint8Array {
  return HEX.test(epoch) ? Buffer.from(epoch, 'hex') : Buffer.from(epoch)
}

/** The identity of an answer as a key of 16 bytes. */
export function answerKey(text: string): Uint8Array {
  return hash('sha256', text, 'buffer').subarray(0, 16)
}

/** How long a statement of the writer waits for another program. */
export const WRITE_TIMEOUT_MS = 1000

/** The connection that writes. `timeout`: how long a statement waits for another program that holds the file. */
export function openForWriting(file: string, { timeout = WRITE_TIMEOUT_MS } = {}): DatabaseSync {
  const database = new DatabaseSync(file, { timeout })
  try {
    database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 16777216; PRAGMA wal_autocheckpoint = 4000',
    )
    defineFunctions(database)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/** For statements of the migrations. */
export function defineFunctions(database: DatabaseSync): void {
  database.function('epoch_key', { deterministic: true }, (epoch) => epochKey(String(epoch)))
  database.function('encode_holes', { deterministic: true }, (rows) =>
    encodeHoles(
      (JSON.parse(String(rows)) as [number, number, number][]).map(([first, last, since]) => ({ first, last, since })),
    ),
  )
}
