import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { LlmCall } from '../call.ts'

/** Where a walk over the bodies of the store goes on. Letters are walked by rowid. */
export interface BodyPlace {
  table: 'log' | 'dead_letters'
  after: number
}
export interface FoundBody {
  id: number
  tenant: string
  /** Epoch ms: when the row was written. */
  at: number
  /** The row is for one sink alone: a dead letter that was put back. */
  isReplayed: boolean
  /** Undefined where the checksum is wrong. */
  call(): LlmCall | undefined
  body(): Uint8Array
}

/** So long a transaction may walk: an append waits behind it, and behind its commit (design: slices of 50 ms in all). */
const SLICE_MS = 10

/**
 * Visits rows of the log and dead letters in turn, as far as a slice's time goes. Bodies are read only where `visit` asks
 * for one. Returns where to go on; undefined: all were visited.
 */
export function makeBodyWalk(database: DatabaseSync, { sliceMs = SLICE_MS, clock = () => performance.now() } = {}) {
  const rows = database.prepare(
    'SELECT position AS id, tenant, at, only_sink FROM log WHERE position > ? AND position <= ? ORDER BY position LIMIT 500',
  )
  const letters = database.prepare(
    'SELECT rowid AS id, tenant, at, NULL AS only_sink FROM dead_letters WHERE rowid > ? ORDER BY rowid LIMIT 500',
  )
  const bodies = {
    log: database.prepare('SELECT checksum, body FROM log WHERE position = ?'),
    dead_letters: database.prepare('SELECT checksum, body FROM dead_letters WHERE rowid = ?'),
  }
  return function walk(
    from: BodyPlace,
    upTo: number,
    visit: (table: BodyPlace['table'], found: FoundBody) => void,
  ): BodyPlace | undefined {
    const end = clock() + sliceMs
    let { table, after } = from
    for (;;) {
      const found = (table === 'log' ? rows.all(after, upTo) : letters.all(after)) as unknown as Listed[]
      if (found.length === 0) {
        if (table === 'dead_letters') return undefined
        table = 'dead_letters'
        after = 0
        continue
      }
      for (const { id, tenant, at, only_sink } of found) {
        const read = () => bodies[table].get(id) as { checksum: number; body: Uint8Array }
        visit(table, {
          ...{ id, tenant, at, isReplayed: only_sink !== null },
          call() {
            const { checksum, body } = read()
            return crc32(body) === checksum ? callOf(body) : undefined
          },
          body: () => read().body,
        })
        after = id
        if (clock() >= end) return { table, after }
      }
    }
  }
}
interface Listed {
  id: number
  tenant: string
  at: number
  only_sink: string | null
}

export function callOf(body: Uint8Array): LlmCall {
  return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString()) as LlmCall
}
export const bodyOf = (call: LlmCall): Buffer => Buffer.from(JSON.stringify(call))
