import { chmodSync, closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { LlmCall } from '../call.ts'
import { STORE_FILE } from '../store/data-folder.ts'
import { bodyOf } from '../store/rewrite-bodies.ts'

/** A whole store of an earlier moment: backup, migration, damage, or a scratch file that somebody left. */
export interface StoreCopy {
  file: string
  kind: 'backup' | 'migrated' | 'damaged' | 'unfinished'
}

const SIDE_FILES = ['', '-wal', '-shm', '-journal']
const SCRATCH = '.erasing'

/** Every copy of the store that this program makes and knows of. */
export function copiesOf(data: string, backupFolder: string): StoreCopy[] {
  const named = (folder: string, kind: StoreCopy['kind'], isOne: (name: string) => boolean): StoreCopy[] =>
    namesIn(folder)
      .filter(isOne)
      .map((name) => ({ file: join(folder, name), kind }))
  const isScratch = (name: string) => /\.(?:unfinished|erasing\d?)(?:-wal|-shm|-journal)?$/.test(name)
  return [
    ...named(backupFolder, 'backup', (name) => name.endsWith('.db')),
    ...named(backupFolder, 'unfinished', isScratch),
    ...named(join(data, 'before-one-store'), 'migrated', (name) => name.endsWith('.db')),
    ...named(join(data, 'before-one-store'), 'unfinished', isScratch),
    ...named(data, 'damaged', (name) => name.startsWith(`${STORE_FILE}.damaged-`) && !/-(?:wal|shm)$/.test(name)),
    ...named(data, 'unfinished', (name) =>
      [`${STORE_FILE}.migrating`, `${STORE_FILE}.salvaging`].some((scratch) => name.startsWith(scratch)),
    ),
  ]
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export function deleteCopy(file: string): void {
  for (const suffix of SIDE_FILES) rmSync(`${file}${suffix}`, { force: true })
}

/**
 * Writes a copy anew, call by call of the tenant: undefined from `change` leaves one as it is. Of a call that cannot be read
 * the body goes; where such a copy is put back, the store counts it as damaged.
 * The old file is replaced at once, by one that never held what was taken away: no free page of the old one is in it.
 */
export function rewriteCopy(file: string, tenant: string, change: (call: LlmCall) => LlmCall | undefined): number {
  const scratch = [`${file}${SCRATCH}`, `${file}${SCRATCH}2`] as const
  for (const name of scratch) deleteCopy(name)
  try {
    vacuumInto(file, scratch[0])
    const database = new DatabaseSync(scratch[0])
    let changed = 0
    try {
      // A scratch file: nothing of it is to be kept, not even by a journal.
      database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN')
      for (const table of ['log', 'dead_letters', 'calls']) changed += changeBodies(database, table, tenant, change)
      database.exec('COMMIT')
      database.prepare('VACUUM INTO ?').run(scratch[1])
    } finally {
      database.close()
    }
    chmodSync(scratch[1], 0o600)
    const handle = openSync(scratch[1], 'r+')
    fsyncSync(handle)
    closeSync(handle)
    renameSync(scratch[1], file)
    for (const suffix of SIDE_FILES.slice(1)) rmSync(`${file}${suffix}`, { force: true })
    const folder = openSync(dirname(file), 'r')
    fsyncSync(folder)
    closeSync(folder)
    return changed
  } finally {
    for (const name of scratch) deleteCopy(name)
  }
}

function vacuumInto(file: string, to: string): void {
  const database = new DatabaseSync(file, { timeout: 5000 })
  try {
    database.prepare('VACUUM INTO ?').run(to)
  } finally {
    database.close()
  }
}

/** Counts, and changes nothing: for a dry run. */
export function countInCopy(file: string, tenant: string, counts: (call: LlmCall) => boolean): number {
  // SQLite makes -wal and -shm for a reader as well: only a file that has them already is opened for writing.
  const database = new DatabaseSync(file, { readOnly: !existsSync(`${file}-wal`), timeout: 5000 })
  try {
    let count = 0
    for (const table of ['log', 'dead_letters', 'calls'])
      if (columnsOf(database, table).has('body'))
        for (const { body } of database
          .prepare(`SELECT body FROM ${table} WHERE tenant = ?`)
          .iterate(tenant) as Iterable<unknown> as Iterable<Body>) {
          const call = callIn(body)
          if (call === undefined || counts(call)) count++
        }
    return count
  } finally {
    database.close()
  }
}

/** Bodies are BLOBs with a checksum in the one store, text in version 0.1. */
function changeBodies(
  database: DatabaseSync,
  table: string,
  tenant: string,
  change: (call: LlmCall) => LlmCall | undefined,
): number {
  const columns = columnsOf(database, table)
  if (!columns.has('body')) return 0
  const isBlob = columns.has('checksum')
  const update = database.prepare(
    `UPDATE ${table} SET body = ?${isBlob ? ', bytes = bytes + ?, checksum = ?' : ''} WHERE rowid = ?`,
  )
  const next = database.prepare(
    `SELECT rowid AS id, body FROM ${table} WHERE rowid > ? AND tenant = ? ORDER BY rowid LIMIT 1`,
  )
  let changed = 0
  for (let after = 0; ; ) {
    const row = next.get(after, tenant) as (Body & { id: number }) | undefined
    if (row === undefined) break
    after = row.id
    const call = callIn(row.body)
    const now = call === undefined ? undefined : change(call)
    if (call !== undefined && now === undefined) continue
    changed++
    const body = now === undefined ? Buffer.alloc(0) : bodyOf(now)
    if (isBlob) update.run(body, body.length - row.body.length, now === undefined ? UNREADABLE : crc32(body), row.id)
    else update.run(body.toString(), row.id)
  }
  if (changed > 0 && isBlob)
    database
      .prepare(`UPDATE state SET value = (SELECT coalesce(sum(bytes), 0) FROM ${table}) WHERE name = ?`)
      .run(table === 'log' ? 'log_bytes' : 'dead_letter_bytes')
  return changed
}
/** A checksum that no empty body has. */
const UNREADABLE = 1
interface Body {
  body: Uint8Array | string
}

function callIn(body: Uint8Array | string): LlmCall | undefined {
  try {
    const call = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString()) as LlmCall
    return typeof call?.tenant === 'string' && Array.isArray(call.guardrails) ? call : undefined
  } catch {
    return undefined
  }
}

function columnsOf(database: DatabaseSync, table: string): Set<string> {
  return new Set(
    (database.prepare('SELECT name FROM pragma_table_info(?)').all(table) as { name: string }[]).map(
      ({ name }) => name,
    ),
  )
}
