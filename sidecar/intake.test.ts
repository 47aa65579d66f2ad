import { describe, expect, it } from 'vitest'
import type { Capture } from './capture.ts'
import { makeIntake } from './intake.ts'
import { makeLogLimit } from './log-limit.ts'
import { makeLogger } from './logger.ts'
import { newReceiveCounters } from './receive.ts'
import { makeCall } from './testing/make-call.ts'
import { makeCapture } from './testing/make-capture.ts'
import { storeInFolder } from './testing/store-in-folder.ts'

const test = storeInFolder()

describe('intake', () => {
  it('is idle when what it reads is stored: a stop waits for it', async () => {
    const store = await test.open()
    const counted = Promise.withResolvers<void>()
    const intake = makeIntake({
      store,
      observe: async (_capture: Capture) => {
        await counted.promise
        return makeCall({}, 1)
      },
      log: makeLogLimit(makeLogger('ERROR')),
      counters: newReceiveCounters().captures,
    })
    await intake.idle()
    const taken = intake.take({
      plugin: { version: '1', instance: 'i' },
      entries: [makeCapture()],
      tombstones: [],
      acknowledged: [],
      errors: [],
      legacyDrops: [],
    })
    let isIdle = false
    const idle = intake.idle().then(() => {
      isIdle = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(isIdle).toBe(false)
    counted.resolve()
    await idle
    expect([...store.series('calls')].map(({ value }) => value)).toEqual([1n])
    expect(await taken).toMatchObject({ stored: 1 })
    await store.close()
  })
})
