/**
 * One policy for what SQLite answers (law 14).
 * transient: another program holds the file, or the disk is full or fails; the same statement may work later.
 * corrupt: the file is damaged; nothing more is written to it. defect: the statement itself is wrong.
 */
export type StoreFault = 'transient' | 'corrupt' | 'defect'

/** Primary result codes; an extended code holds its primary one in the low byte. */
const TRANSIENT: Record<number, TransientCause> = {
  5: 'locked', // SQLITE_BUSY
  6: 'locked', // SQLITE_LOCKED
  7: 'no_memory', // SQLITE_NOMEM
  8: 'read_only', // SQLITE_READONLY: the file system was remounted, or the file's rights changed
  10: 'disk_error', // SQLITE_IOERR
  13: 'disk_full', // SQLITE_FULL
  14: 'cannot_open', // SQLITE_CANTOPEN: too many open files, a journal that cannot be made
}
export const TRANSIENT_CAUSES = ['locked', 'disk_full', 'disk_error', 'no_memory', 'read_only', 'cannot_open'] as const
export type TransientCause = (typeof TRANSIENT_CAUSES)[number]
const CORRUPT: readonly number[] = [11, 26] // SQLITE_CORRUPT, SQLITE_NOTADB
/** What a full disk makes of a write and of the shared-memory file. */
const FULL: readonly number[] = [778, 4874] // SQLITE_IOERR_WRITE, SQLITE_IOERR_SHMSIZE

export function faultOf(error: unknown): StoreFault {
  const code = codeOf(error)
  if (code === undefined) return 'defect'
  if (CORRUPT.includes(code & 0xff)) return 'corrupt'
  return TRANSIENT[code & 0xff] === undefined ? 'defect' : 'transient'
}

/** Why a transient error came; a closed list, it is a metric label. */
export function causeOf(error: unknown): TransientCause {
  const code = codeOf(error) ?? 0
  return FULL.includes(code) ? 'disk_full' : (TRANSIENT[code & 0xff] ?? 'disk_error')
}

function codeOf(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown }
  return typeof errcode === 'number' ? errcode : undefined
}

/** The store cannot write now; nothing of the request is stored, and the same request may be sent again. */
export class StoreUnavailable extends Error {
  readonly reason: TransientCause
  constructor(reason: TransientCause, message: string) {
    super(message)
    this.reason = reason
  }
}
