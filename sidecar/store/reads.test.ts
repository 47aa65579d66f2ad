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
    change("UPDATE log SET body = x'7b' WHERE position = 1")
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

describe('dead letters', () => {
  it('one that is damaged does not hide the others, and counts as dropped when it is put back', async () => {
    const store = await test.open({ sinks: ['otlp'] })
    await test.feed(
      store,
      Array.from({ length: 5 }, (_, n) => makeCall({ user: 'x'.repeat(400_000) }, n)),
    )
    const { entries, upTo } = (await store.read('otlp', { calls: 10, bytes: 1e9 }, never))!
    await store.settle('otlp', {
      upTo,
      outcomes: entries.map(({ position }) => ({ position, tenant: 'blue', outcome: 'rejected', reason: 'http_400' })),
      deadLetters: entries.map((entry) => ({ entry, reason: 'http_400' })),
    })
    await store.close()
    change("UPDATE dead_letters SET body = x'7b' WHERE position = 2")
    const again = await test.open({ sinks: ['otlp'] })
    const listed: [number, boolean][] = []
    let pages = 0
    for (let after: { sink: string; position: number } | undefined; ; pages++) {
      const letters = await again.deadLetters('otlp', after, 100)
      if (letters.length === 0) break
      listed.push(...letters.map(({ position, call }): [number, boolean] => [position, call !== undefined]))
      after = letters.at(-1)
    }
    expect(listed).toEqual([1, 2, 3, 4, 5].map((position) => [position, position !== 2]))
    // Some megabytes of bodies would hold up the event loop.
    expect(pages).toBeGreaterThan(1)
    expect(await again.replay('otlp')).toBe(5)
    expect((await again.read('otlp', { calls: 10, bytes: 1e9 }, never))!.entries).toHaveLength(4)
    expect((await again.stats()).counts).toContainEqual(
      expect.objectContaining({ outcome: 'dropped', reason: 'damaged', count: 1n }),
    )
    await again.close()
  })
})
