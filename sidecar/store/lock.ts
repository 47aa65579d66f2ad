import { DatabaseSync } from 'node:sqlite'

const SQLITE_BUSY = 5

/** An exclusive transaction on a file of its own: the kernel lets go of it when the process dies, however it dies. */
export function takeLock(file: string): DatabaseSync {
  const lock = new DatabaseSync(file, { timeout: 0 })
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error
    throw new Error(`${file} is held by another process: two sidecars must not share one store`)
  }
  return lock
}
