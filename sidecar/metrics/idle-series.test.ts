import { expect, it } from 'vitest'
import { newReceiveCounters } from '../receive.ts'
import { makeCall } from '../testing/make-call.ts'
import { storeInFolder } from '../testing/store-in-folder.ts'
import { makeExposition } from './exposition.ts'

const test = storeInFolder()
const DAY_MS = 86_400_000

it('a status that is idle is left out, and never falls to 0: it would come back as an increase by all it ever was', async () => {
  const store = await test.open()
  const exposition = makeExposition({
    store,
    limits: { logBytes: 1, series: 1 },
    idleMs: DAY_MS,
    receive: newReceiveCounters(),
    deliver: new Map(),
    writeFailures: new Map(),
    damagedRows: () => 0,
    book: { version: 'b', updated: '2026-01-01', stats: { loadedAt: 0, reloads: 0, failures: 0 } },
    now: () => test.clock,
  })
  const values = async () => {
    const { body } = await exposition.render(undefined)
    const lines = [...body].join('').matchAll(/^llm_calls_total\{.*status="(.*?)".*\} (\d+)$/gm)
    return Object.fromEntries([...lines].map(([, status, value]) => [status, Number(value)]))
  }
  await test.feed(store, [makeCall({ status: 'server_error' }, 1), makeCall({}, 2)])
  expect(await values()).toMatchObject({ server_error: 1, ok: 1, client_error: 0 })
  test.clock += 2 * DAY_MS
  await test.feed(store, [makeCall({}, 3)])
  expect(await values()).toMatchObject({ ok: 2, client_error: 0 })
  expect(await values()).not.toHaveProperty('server_error')
  await test.feed(store, [makeCall({ status: 'server_error' }, 4)])
  expect(await values()).toMatchObject({ server_error: 2, ok: 2 })
  exposition.close()
  await store.close()
})
