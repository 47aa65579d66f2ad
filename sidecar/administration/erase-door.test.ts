import { statSync } from 'node:fs'
import { Client } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../store/store.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { administer } from './client.ts'
import { administrationSocket, openAdministration } from './server.ts'

const test = storeInFolder()
let store: Store
let door: { close(): Promise<void> }
let client: Client
beforeEach(async () => {
  store = await test.open({ sinks: ['otlp'] })
  door = await openAdministration(test.folder, store)
  client = new Client('http://localhost', { socketPath: administrationSocket(test.folder) })
})
afterEach(async () => {
  await client.close()
  await door.close()
  await store.close()
})

async function post(path: string, body: string): Promise<number> {
  const response = await client.request({
    ...{ method: 'POST', path, body },
    headers: { 'content-type': 'application/json' },
  })
  await response.body.dump()
  return response.statusCode
}
const waiting = async () =>
  (await store.read('otlp', { calls: 100, bytes: 1e9 }, new AbortController().signal))!.entries.map(({ call }) => call)

describe('the administrative door', () => {
  it('is for the owner of the folder alone', () => {
    expect(statSync(administrationSocket(test.folder)).mode & 0o077).toBe(0)
  })

  it.each([
    ['no person', {}],
    ['nobody’s tenant', { person: { tenant: '' }, dryRun: false }],
    ['a user that is no text', { person: { tenant: 'blue', users: [7] }, dryRun: false }],
    // An empty list must never mean everybody.
    ['an empty list of users', { person: { tenant: 'blue', users: [] }, dryRun: false }],
    ['a misspelled field', { person: { tenant: 'blue', user: ['u'] }, dryRun: false }],
    ['a dry run that is not said', { person: { tenant: 'blue' } }],
    [
      'a place that is none',
      { person: { tenant: 'blue' }, dryRun: false, from: { table: 'calls', after: 0, upTo: 1 } },
    ],
    ['more names than a user has forms', { person: { tenant: 'blue', users: Array(17).fill('u') }, dryRun: false }],
  ])('refuses an erasure of %s, and erases nothing', async (_name, body) => {
    await test.feed(store, [makeCall({ user: 'u' })])
    expect(await post('/erase', JSON.stringify(body))).toBe(400)
    expect((await waiting()).map(({ user }) => user)).toEqual(['u'])
  })

  it('refuses what is no JSON, and what is too large', async () => {
    expect(await post('/erase', '{"person":')).toBeGreaterThanOrEqual(400)
    expect(await post('/erase', JSON.stringify({ person: { tenant: 'x'.repeat(5_000_000) } }))).toBeGreaterThanOrEqual(
      400,
    )
    await store.append({ calls: [makeCall()] })
  })

  it.each(['%', '_', "u' OR '1'='1", '*', '', '__proto__', 'constructor', 'U', ' u', 'u\u0000'])(
    'takes a user for a name and nothing else: %j is not u',
    async (user) => {
      await test.feed(store, [makeCall({ user: 'u' }, 1), makeCall({ user: 'v' }, 2)])
      const administration = await administer(test.folder)
      const request = { person: { tenant: 'blue', users: [user] }, dryRun: false }
      // An empty name is refused.
      if (user === '') await expect(administration.erase(request)).rejects.toThrow(/refused/)
      else expect(await administration.erase(request)).toEqual({ rows: 0, letters: 0, held: 0, damaged: 0 })
      await administration.close()
      expect((await waiting()).map((call) => call.user)).toEqual(['u', 'v'])
    },
  )

  it('erases in slices beside appends, and what comes meanwhile is not of it', async () => {
    await test.feed(
      store,
      Array.from({ length: 3000 }, (_, n) => makeCall({ user: n % 2 === 0 ? 'u' : 'v' }, n)),
    )
    const administration = await administer(test.folder)
    let slice = await administration.erase({ person: { tenant: 'blue', users: ['u'] }, dryRun: false })
    expect(slice.next).toBeDefined()
    await store.append({ calls: [makeCall({ user: 'u' }, 9999)] })
    let rows = slice.rows
    for (let slices = 1; slice.next !== undefined; slices++) {
      expect(slices).toBeLessThan(3000)
      slice = await administration.erase({
        ...{ person: { tenant: 'blue', users: ['u'] }, dryRun: false },
        from: slice.next,
      })
      rows += slice.rows
    }
    expect(rows).toBe(1500)
    expect(await administration.checkpoint()).toBe(true)
    await administration.close()
    const { entries } = (await store.read('otlp', { calls: 9999, bytes: 1e9 }, new AbortController().signal))!
    expect(entries.filter(({ call }) => call.user === 'u').map(({ call }) => call.requestId)).toEqual(['request-9999'])
  })
})
