import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { fillWithEpochs } from '../testing/many-epochs.ts'

const EPOCHS = 1_000_000

it('a million epochs of ten numbers, half of them missing, take less than 200 MB and grow evenly', () => {
  const folder = mkdtempSync(join(tmpdir(), 'epochs-'))
  try {
    const { growth, bytes, slices, lost } = fillWithEpochs(folder, EPOCHS)
    expect(bytes).toBeLessThan(200 * 1024 * 1024)
    // The last 100,000 cost the pages that the first cost, and a row each.
    const [first] = growth
    const [before, last] = growth.slice(-2)
    expect(last!.pages - before!.pages).toBeLessThan(1.25 * first!.pages)
    expect([first!.rows, last!.rows - before!.rows]).toEqual([100_000, 100_000])
    // Counting them as lost is a slice a thousand, and one that finds nothing more.
    expect(slices).toBe(EPOCHS / 1000 + 1)
    expect(lost).toBe(5 * EPOCHS)
    process.stdout.write(`${EPOCHS} epochs: ${bytes} bytes\n`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
