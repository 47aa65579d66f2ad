import { type Counts, sumOfCounts } from './counts.ts'
import type { DialectReading } from './dialect.ts'
import type { JsonObject } from './json-value.ts'

/**
 * What a running reader of the tap keeps of an answer of any length that has one usage object a line (results of batches):
 * sums by model and size of prompt. Bounded: at most 64 groups of at most 32 keys.
 */
export interface UsageLines {
  /** Lines that had a usage object and are in a group. */
  lines: number
  /** Lines that nobody could read (too long, broken, no room for another group): then the sums are not the whole. */
  skipped: number
  groups: readonly {
    model: string | undefined
    lines: number
    /** The largest of PROMPT_STEPS that the prompts of the group exceed; 0 where they exceed none. */
    promptOver: number
    /** Sums of the object's numbers by path: `cache_creation.ephemeral_5m_input_tokens`. */
    sums: Readonly<Record<string, number>>
  }[]
}

/** Where any price list has a step by the size of the prompt: a group never spans one. */
export const PROMPT_STEPS = [32_000, 100_000, 128_000, 200_000, 256_000, 272_000, 512_000] as const

/** Lines of the bill. Counting is linear in every key, so that the counts of the sums are the sums of the counts. */
export function billedLinesOfSums(
  { groups }: UsageLines,
  count: (usage: JsonObject) => Counts | undefined,
): NonNullable<DialectReading['billedLines']> {
  return groups.flatMap(({ model, lines, promptOver, sums }) => {
    const counts = count(nested(sums))
    if (counts === undefined) return []
    // A sum has no total to be checked against that of one answer.
    const { total: _, ...own } = counts
    return [
      {
        kind: 'batch_request',
        ...(model === undefined ? {} : { model }),
        counts: own,
        prompt: promptOver === 0 ? 0 : promptOver + 1,
        merged: lines,
      },
    ]
  })
}

/** The reading of a batch's results by their sums. */
export function batchOfSums(
  id: string | undefined,
  { skipped }: UsageLines,
  billedLines: NonNullable<DialectReading['billedLines']>,
): DialectReading {
  const base = {
    operation: 'batch' as const,
    stream: false,
    guardrails: [],
    ...(id === undefined ? {} : { responseId: id }),
  }
  if (billedLines.length === 0)
    return skipped === 0
      ? { ...base, counts: {}, usageSource: 'none', billable: false }
      : { ...base, counts: {}, usageSource: 'unknown', usageReason: 'body_cut', billable: true }
  const model = billedLines[0]?.model
  return {
    ...base,
    ...(model === undefined ? {} : { responseModel: model }),
    serviceTier: 'batch',
    priceAttributes: { batch: 'true' },
    counts: sumOfCounts(billedLines.map(({ counts }) => counts)),
    billedLines,
    usageSource: skipped === 0 ? 'provider' : 'partial',
    ...(skipped === 0 ? {} : { usageReason: 'body_cut' }),
    billable: true,
  }
}

function nested(sums: Readonly<Record<string, number>>): JsonObject {
  const root: Record<string, unknown> = {}
  for (const [path, sum] of Object.entries(sums)) {
    const keys = path.split('.').filter((key) => key !== '__proto__')
    let at = root
    for (const key of keys.slice(0, -1)) {
      at[key] ??= {}
      at = at[key] as Record<string, unknown>
    }
    const last = keys.at(-1)
    if (last !== undefined) at[last] = sum
  }
  return root
}
