import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'

const test = storeInFolder()
const never = new AbortController().signal
const change = (sql: string) => {
  const database = new DatabaseSync(test.file)
  database.exec(sql)
  database.close()
}

describe('a read for a sink', () => {
  it('waits while the store cannot set a damaged row aside: the delivery would end with its error, and the process', async () => {
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(store, [makeCall({}, 1), makeCall({}, 2)])
    await store.close()
    change("UPDATE log SET body = '{' WHERE position = 1")
    const troubles: (string | undefined)[] = []
    const again = await test.open({ sinks: ['otlp'], onReadTrouble: (trouble) => troubles.push(trouble?.cause) })
    const holder = new DatabaseSync(test.file)
    holder.exec('BEGIN IMMEDIATE')
    const read = again.read('otlp', { calls: 10, bytes: 1e9 }, never)
    await Promise.race([read, expect.poll(() => troubles, { timeout: 20_000 }).toContain('locked')])
    holder.exec('ROLLBACK')
    holder.close()
    expect((await read)!.entries.map(({ position }) => position)).toEqual([2])
    expect(troubles.at(-1)).toBeUndefined()
    await again.close()
  })
})
