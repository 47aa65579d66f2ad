import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inputTokens, outputTokens, totalTokens } from '../call.ts'
import { type Counts, reportsUsage, sumOfCounts, unitsOf } from './counts.ts'

const count = fc.nat(1_000_000)
/** Counts that can be true: parts that fit into their wholes. */
const consistent = fc
  .record({
    fresh: count,
    freshAudio: count,
    freshImage: count,
    readText: count,
    readAudio: count,
    write5m: count,
    write1h: count,
    writeOther: count,
    text: count,
    reasoning: count,
    outputAudio: count,
    outputImage: count,
  })
  .map((p) => {
    const input =
      p.fresh + p.freshAudio + p.freshImage + p.readText + p.readAudio + p.write5m + p.write1h + p.writeOther
    const output = p.text + p.reasoning + p.outputAudio + p.outputImage
    const counts: Counts = {
      input,
      output,
      cacheRead: p.readText + p.readAudio,
      cacheReadAudio: p.readAudio,
      cacheWrite: p.write5m + p.write1h + p.writeOther,
      cacheWrite5m: p.write5m,
      cacheWrite1h: p.write1h,
      inputAudio: p.freshAudio + p.readAudio,
      inputImage: p.freshImage,
      reasoning: p.reasoning,
      outputAudio: p.outputAudio,
      outputImage: p.outputImage,
      total: input + output,
    }
    return { parts: p, counts }
  })
const anyCounts = fc.record(
  Object.fromEntries(
    [
      'input',
      'output',
      'cacheRead',
      'cacheWrite',
      'cacheWrite5m',
      'cacheWrite1h',
      'inputAudio',
      'inputImage',
      'cacheReadAudio',
      'reasoning',
      'outputAudio',
      'outputImage',
      'total',
      'images',
    ].map((name) => [name, count]),
  ),
  { requiredKeys: [] },
) as fc.Arbitrary<Counts>

describe('units of counts', () => {
  it('hold each token once: their sum is the total (traps 9, 10, 12)', () => {
    fc.assert(
      fc.property(consistent, ({ parts, counts }) => {
        const { usage, reason } = unitsOf(counts)
        expect(reason).toBeUndefined()
        expect(inputTokens(usage)).toBe(counts.input)
        expect(outputTokens(usage)).toBe(counts.output)
        expect(totalTokens(usage)).toBe(counts.total)
        expect(usage.cache_write_1h ?? 0).toBe(parts.write1h)
        expect(usage.cache_read_audio ?? 0).toBe(parts.readAudio)
        expect(usage.output_reasoning ?? 0).toBe(parts.reasoning)
      }),
    )
  })

  it('whatever a provider says, are no more than its wholes and never negative; a contradiction is marked', () => {
    fc.assert(
      fc.property(anyCounts, (counts) => {
        const { usage, reason } = unitsOf(counts)
        for (const amount of Object.values(usage)) expect(Number.isSafeInteger(amount) && amount >= 0).toBe(true)
        expect(inputTokens(usage)).toBe(counts.input ?? 0)
        expect(outputTokens(usage)).toBe(counts.output ?? 0)
        if (reason === undefined) {
          expect(counts.cacheRead ?? 0).toBeLessThanOrEqual(counts.input ?? Number.POSITIVE_INFINITY)
          if (counts.input !== undefined && counts.output !== undefined && counts.total)
            expect(counts.total).toBe(counts.input + counts.output)
        }
      }),
    )
  })

  it('of a picture or a sound that was cached count it once', () => {
    const counts = { input: 300, cacheRead: 256, inputImage: 258, output: 1 }
    expect(unitsOf(counts)).toEqual({
      usage: { input: 0, cache_read: 256, input_image: 44, output: 1 },
      reason: undefined,
    })
  })

  it('say nothing of what was not reported; an explicit zero is one (trap 16)', () => {
    expect(unitsOf({ output: 3 }).usage).toEqual({ output: 3 })
    expect(unitsOf({ input: 0, output: 0 }).usage).toEqual({ input: 0, output: 0 })
    expect(reportsUsage({ total: 5 })).toBe(false)
    expect(reportsUsage({ input: 0 })).toBe(true)
    expect(reportsUsage({ pages: 0 })).toBe(true)
  })
})

it('lines of one bill add up; what none reports stays unreported', () => {
  expect(
    sumOfCounts([
      { input: 1, reasoning: 2 },
      { input: 3, output: 4 },
    ]),
  ).toEqual({ input: 4, reasoning: 2, output: 4 })
  expect(sumOfCounts([])).toEqual({})
})
