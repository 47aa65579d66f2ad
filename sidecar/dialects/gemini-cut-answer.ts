import { lastObjectNamed } from './cut-json.ts'
import { asObject, type JsonObject, parseJson } from './json-value.ts'

/** How many places are tried, each of which may be parsed to the end of the text. */
const ATTEMPTS = 8

/**
 * The chunks at the end of an answer whose middle was cut out, of the first what the cut left of it: undefined where
 * the text does not run to the last bracket of the answer.
 */
export function endOfCutAnswer(tail: string, form: 'object' | 'list'): JsonObject[] | undefined {
  return (form === 'list' ? chunksAtEnd(tail) : undefined) ?? lastMembers(tail, form)
}

/** Inside of strings quotes are escaped: text that shows such a chunk is not taken for one. */
function chunksAtEnd(tail: string): JsonObject[] | undefined {
  let attempts = 0
  for (const { index } of tail.matchAll(/\{\s*"(?:candidates|usageMetadata|promptFeedback)"\s*:/g)) {
    if (++attempts > ATTEMPTS) return undefined
    const list = parseJson(`[${tail.slice(index)}`)
    if (Array.isArray(list)) return list.map(asObject).filter((chunk) => chunk !== undefined)
  }
  return undefined
}

/** From its `usageMetadata` on the last chunk is whole JSON again; what comes before is found by name. */
function lastMembers(tail: string, form: 'object' | 'list'): JsonObject[] | undefined {
  const at = tail.lastIndexOf('"usageMetadata"')
  if (at < 0) return undefined
  const rest = parseJson(`${form === 'list' ? '[{' : '{'}${tail.slice(at)}`)
  const members = asObject(Array.isArray(rest) ? rest[0] : rest)
  if (members === undefined) return undefined
  const before = tail.slice(0, at)
  const finishReason = lastValueNamed(before, 'finishReason')
  const groundingMetadata = lastObjectNamed(before, 'groundingMetadata')
  const candidate = { ...(finishReason === undefined ? {} : { finishReason }), groundingMetadata }
  const modelVersion = lastValueNamed(before, 'modelVersion')
  return [
    {
      ...(modelVersion === undefined ? {} : { modelVersion }),
      ...(finishReason === undefined && groundingMetadata === undefined ? {} : { candidates: [candidate] }),
      ...members,
    },
  ]
}

/** A word or a number: the value of the last member of this name. */
function lastValueNamed(text: string, name: string): unknown {
  const found = [...text.matchAll(new RegExp(`"${name}"\\s*:\\s*("[\\w./@-]{1,200}"|\\d{1,3})`, 'g'))].at(-1)?.[1]
  return found === undefined ? undefined : parseJson(found)
}
