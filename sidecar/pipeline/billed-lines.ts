import type { BilledLine } from '../call.ts'
import { sumOfCounts, unitsOf } from '../dialects/counts.ts'
import type { Reading } from '../dialects/dialect.ts'
import { optional } from '../optional.ts'
import { modelName } from './model-name.ts'

const MAX_NAME = 256
const MAX_LINES = 128

/** All lines of an answer; of a batch with many, one line a model. */
export function billedLinesOf({ billedLines }: Reading): BilledLine[] | undefined {
  if (billedLines === undefined) return undefined
  const groups = billedLines.length <= MAX_LINES ? billedLines.map((line) => [line]) : linesByModel(billedLines)
  return groups.map((same) => {
    const { kind, model } = same[0]!
    const lines = same.reduce((sum, { merged }) => sum + (merged ?? 1), 0)
    return {
      kind: kind.slice(0, MAX_NAME),
      ...optional('model', modelName(model)),
      usage: unitsOf(sumOfCounts(same.map(({ counts }) => counts))).usage,
      ...optional('prompt', same.length === 1 ? same[0]!.prompt : undefined),
      ...optional('merged', lines > 1 ? lines : undefined),
    }
  })
}

function linesByModel(lines: NonNullable<Reading['billedLines']>): NonNullable<Reading['billedLines']>[] {
  return [...Map.groupBy(lines, ({ kind, model }) => `${kind}\u0000${model ?? ''}`).values()]
}
