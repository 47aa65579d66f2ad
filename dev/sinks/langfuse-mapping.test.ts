import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeJsonSpans } from './decode-spans.ts'
import { storedOf } from './langfuse-mapping.ts'

const file = join(import.meta.dirname, '../../../shared/data/langfuse-otlp/cases.jsonl')
const absent = !existsSync(file)
if (absent && process.env.CI) throw new Error(`${file} is not there: what Langfuse stores cannot be checked`)

interface Case {
  case: string
  otlp: unknown
  stored: Record<string, unknown>[]
}

describe.skipIf(absent)('the mapping of the Langfuse stand-in is Langfuse’s own', () => {
  const cases = absent
    ? []
    : readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Case)

  it('has cases', () => expect(cases.length).toBeGreaterThanOrEqual(10))

  it.each(cases)('$case', ({ otlp, stored }) => {
    const mapped = decodeJsonSpans(Buffer.from(JSON.stringify(otlp))).map(storedOf)
    expect(mapped).toHaveLength(stored.length)
    stored.forEach((expected, index) => {
      const {
        // What Langfuse derives and we do not: times as ISO, its price list, what was provided before its own sums.
        startTimeISO: _start,
        endTimeISO: _end,
        matchedModel: _model,
        providedUsageDetails: _usage,
        providedCostDetails,
        ...facts
      } = expected
      const { pricedByLangfuse, ...ours } = mapped[index]!
      const givenCost = Object.keys((providedCostDetails as object | undefined) ?? {}).length > 0
      const hasCost = Object.keys((facts.cost_details as object | undefined) ?? {}).length > 0
      expect(pricedByLangfuse).toBe(hasCost && !givenCost)
      if (pricedByLangfuse) {
        delete facts.cost_details
        delete facts.total_cost
      }
      expect(ours).toMatchObject(facts)
      // Where Langfuse stored no total cost, neither do we.
      if (facts.total_cost === undefined) expect(ours.total_cost).toBeUndefined()
    })
  })
})
