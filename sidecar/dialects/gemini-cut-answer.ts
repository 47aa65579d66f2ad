import { type EndLevel, levelsAtEnd } from './cut-json.ts'
import { asObject, type JsonObject } from './json-value.ts'

/**
 * The chunks at the end of an answer whose middle was cut out, of the first what the cut left of it: undefined where
 * the text does not run to the last bracket of the answer, or says no usage.
 */
export function endOfCutAnswer(tail: string, form: 'object' | 'list'): JsonObject[] | undefined {
  const levels = levelsAtEnd(tail)
  const whole = form === 'list' ? (levels.shift()?.items ?? []) : []
  const chunks = [cutChunk(levels), ...whole].map(asObject).filter((chunk) => chunk !== undefined)
  return chunks.some(({ usageMetadata }) => asObject(usageMetadata) !== undefined) ? chunks : undefined
}

/** The only list in a chunk is that of its candidates, where the cut goes through one. */
function cutChunk([chunk, candidates, candidate]: readonly EndLevel[]): JsonObject | undefined {
  if (chunk?.members === undefined || candidates?.items === undefined) return chunk?.members
  const cut = candidate?.members === undefined ? [] : [candidate.members]
  return { candidates: [...cut, ...candidates.items], ...chunk.members }
}
