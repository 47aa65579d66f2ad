import { describe, expect, it } from 'vitest'
import { storeInFolder, totals } from '../testing/store-in-folder.ts'

const test = storeInFolder()
const epochOf = (number: number) => number.toString(16).padStart(32, '0')

describe('epochs', () => {
  it('many that are due at once are counted in slices, each once', async () => {
    const store = await test.open()
    const epochs = 22_500
    for (let from = 0; from < epochs; from += 500)
      await store.append({
        calls: [],
        given: Array.from({ length: 500 }, (_, index) => ({ node: 'n', epoch: epochOf(from + index), sequence: 3 })),
      })
    test.clock += 10_000
    await store.confirmGaps()
    expect(totals(store).lost).toEqual({ 'n|gap': 60_000n })
    await store.confirmGaps()
    expect(totals(store).lost).toEqual({ 'n|gap': 67_500n })
    await store.confirmGaps()
    expect(totals(store).lost).toEqual({ 'n|gap': 67_500n })
    await store.close()
  })
})
