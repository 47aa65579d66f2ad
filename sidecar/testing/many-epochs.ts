import { join } from 'node:path'
import { makeEpochs } from '../store/epochs.ts'
import { migrateStore } from '../store/migrations.ts'
import { openForWriting } from '../store/open-database.ts'

const IN_A_TRANSACTION = 1000
const SECOND = 1_800_000_000

export interface Growth {
  /** Of the database after so many epochs. */
  epochs: number
  pages: number
  rows: number
}

/**
 * Fills a store with epochs of ten numbers of which every other one is missing, counts the missing ones as lost, and says
 * how the database grew with each tenth of them.
 */
export function fillWithEpochs(folder: string, count: number) {
  const database = openForWriting(join(folder, 'observer.db'))
  migrateStore(database, 'observer.db')
  // What is measured is the database, not the disk.
  database.exec('PRAGMA synchronous = OFF')
  const epochs = makeEpochs(database)
  const number = (sql: string) => Number(Object.values(database.prepare(sql).get() as object)[0])
  const pages = () => number('PRAGMA page_count') - number('PRAGMA freelist_count')
  const transaction = <T>(work: () => T): T => {
    database.exec('BEGIN IMMEDIATE')
    const result = work()
    database.exec('COMMIT')
    return result
  }
  const empty = pages()
  const growth: Growth[] = []
  for (let from = 0; from < count; from += IN_A_TRANSACTION) {
    transaction(() => {
      for (let n = from; n < from + IN_A_TRANSACTION; n++) {
        const epoch = epochName(n)
        for (let sequence = 2; sequence <= 10; sequence += 2)
          epochs.cover(epoch, sequence, sequence, `node-${n % 10}`, SECOND + Math.floor(n / 1000))
      }
      epochs.flush()
    })
    const done = from + IN_A_TRANSACTION
    if (done % (count / 10) === 0)
      growth.push({ epochs: done, pages: pages() - empty, rows: number('SELECT count(*) FROM epochs') })
  }
  const pageSize = number('PRAGMA page_size')
  const bytes = number('PRAGMA page_count') * pageSize
  /** Epochs that one slice wrote, and how many slices it took. */
  let slices = 0
  let lost = 0
  for (let more = true; more; ) {
    const confirmed = transaction(() => {
      const found = epochs.confirm(SECOND + count)
      epochs.flush()
      return found
    })
    for (const each of confirmed.lost) lost += each.count
    more = confirmed.more
    slices++
  }
  const settled = Array.from({ length: 10 }, (_, index) => epochs.isSettled(epochName(count - 1), index + 1))
  database.close()
  return { growth, bytes, slices, lost, settled }
}

/** 16 bytes, spread as random ones are. */
function epochName(n: number): string {
  let state = BigInt(n) + 1n
  let name = ''
  for (let part = 0; part < 2; part++) {
    state = (state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) & 0xffff_ffff_ffff_ffffn
    const mixed = ((state ^ (state >> 31n)) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn
    name += mixed.toString(16).padStart(16, '0')
  }
  return name
}
