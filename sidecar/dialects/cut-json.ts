import { asObject, type JsonObject, parseJson } from './json-value.ts'

const BACKSLASH = 0x5c
/** How many places are tried, each of which may be scanned to the end of the text. */
const ATTEMPTS = 8

/** The members of a JSON object that stand whole before the place where the text was cut off. */
export function membersBeforeCut(text: string): JsonObject {
  const members: [string, unknown][] = []
  let at = skipSpace(text, 0)
  if (text[at] !== '{') return {}
  at = skipSpace(text, at + 1)
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at)
    if (keyEnd === undefined) break
    const colon = skipSpace(text, keyEnd)
    if (text[colon] !== ':') break
    const start = skipSpace(text, colon + 1)
    const end = endOfValue(text, start)
    if (end === undefined) break
    const key = parseJson(text.slice(at, keyEnd))
    const value = parseJson(text.slice(start, end))
    if (typeof key !== 'string' || value === undefined) break
    members.push([key, value])
    const comma = skipSpace(text, end)
    if (text[comma] !== ',') break
    at = skipSpace(text, comma + 1)
  }
  return Object.fromEntries(members)
}

/** The elements of a JSON array that stand whole before the place where the text was cut off. */
export function elementsBeforeCut(text: string): unknown[] {
  const elements: unknown[] = []
  let at = skipSpace(text, 0)
  if (text[at] !== '[') return elements
  at = skipSpace(text, at + 1)
  while (at < text.length && text[at] !== ']') {
    const end = endOfValue(text, at)
    const value = end === undefined ? undefined : parseJson(text.slice(at, end))
    if (end === undefined || value === undefined) break
    elements.push(value)
    const comma = skipSpace(text, end)
    if (text[comma] !== ',') break
    at = skipSpace(text, comma + 1)
  }
  return elements
}

/**
 * The last whole object named `key` in the end of a JSON text whose beginning is missing. Inside of strings the
 * quotes are escaped, so content that talks about `"usage":` is not taken for it.
 */
export function lastObjectNamed(text: string, key: string): JsonObject | undefined {
  const quoted = JSON.stringify(key)
  let attempts = 0
  for (let at = text.lastIndexOf(quoted); at >= 0; at = at === 0 ? -1 : text.lastIndexOf(quoted, at - 1)) {
    if (at > 0 && text.charCodeAt(at - 1) === BACKSLASH) continue
    const colon = skipSpace(text, at + quoted.length)
    if (text[colon] !== ':') continue
    if (++attempts > ATTEMPTS) return undefined
    const start = skipSpace(text, colon + 1)
    const end = text[start] === '{' ? endOfValue(text, start) : undefined
    const found = end === undefined ? undefined : asObject(parseJson(text.slice(start, end)))
    if (found !== undefined) return found
  }
  return undefined
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length && ' \t\r\n'.includes(text[at] as string)) at++
  return at
}

/** Index after the closing quote; undefined where the text ends first. */
function endOfString(text: string, start: number): number | undefined {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end + 1
  }
  return undefined
}

/** Index after the value that starts here; undefined where the text ends first (also inside a number: it may go on). */
function endOfValue(text: string, start: number): number | undefined {
  const first = text[start]
  if (first === '"') return endOfString(text, start)
  if (first !== '{' && first !== '[') {
    let at = start
    while (at < text.length && !',}] \t\r\n'.includes(text[at] as string)) at++
    return at < text.length ? at : undefined
  }
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      if (end === undefined) return undefined
      at = end - 1
    } else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') {
      depth--
      if (depth === 0) return at + 1
    }
  }
  return undefined
}
