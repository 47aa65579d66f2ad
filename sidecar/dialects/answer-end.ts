import { asObject, type JsonObject, parseJson } from './json-value.ts'

/** How many places are tried, each of which may be parsed to the end of the text. */
const ATTEMPTS = 8

/**
 * The last members of a JSON object whose beginning is missing, from the member `key` on: only where the text runs to
 * the object's own end, so that members of an object inside of it are never taken for its own.
 */
export function membersFrom(tail: string, key: string): JsonObject | undefined {
  const quoted = JSON.stringify(key)
  let attempts = 0
  for (let at = tail.lastIndexOf(quoted); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf(quoted, at - 1)) {
    if (++attempts > ATTEMPTS) return undefined
    const members = asObject(parseJson(`{${tail.slice(at)}`))
    if (members !== undefined) return members
  }
  return undefined
}
