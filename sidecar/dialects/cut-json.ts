import { asObject, type JsonObject, parseJson } from './json-value.ts'

const BACKSLASH = 0x5c
/** How many places are tried, each of which may be scanned to the end of the text. */
const ATTEMPTS = 8
/** Of the end of a text as many levels are looked into, each of which may be scanned back to its beginning. */
const MAX_LEVELS = 8

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

/** What stands whole at one level of the end of a JSON text: of an object its last members, of a list its last elements. */
export type EndLevel = { members: JsonObject; items?: never } | { items: unknown[]; members?: never }

/**
 * The end of a JSON text whose beginning is missing, read backwards from its last bracket: what stands whole in the
 * outermost value, then in the one inside of it that the cut went through, and so on inwards. Only for a text that is known
 * to have come to its end: of one that broke off, the last bracket is any. Nothing is searched for by name, so neither what
 * a model writes nor what it calls tools with is taken for more than it is.
 */
export function levelsAtEnd(text: string): EndLevel[] {
  const levels: EndLevel[] = []
  let at = beforeSpace(text, text.length - 1)
  while (levels.length < MAX_LEVELS) {
    const closing = text[at]
    if (closing !== '}' && closing !== ']') return levels
    const isObject = closing === '}'
    const members = new Map<string, unknown>()
    const items: unknown[] = []
    levels.push(isObject ? { members: {} } : { items })
    let cutAt: number | undefined
    at = beforeSpace(text, at - 1)
    while (at >= 0 && text[at] !== '{' && text[at] !== '[') {
      const start = startOfValue(text, at)
      if (start === undefined) {
        cutAt = at
        break
      }
      const value = parseJson(text.slice(start, at + 1))
      let before = beforeSpace(text, start - 1)
      if (isObject) {
        const key = text[before] === ':' ? keyBefore(text, before) : undefined
        if (key === undefined || value === undefined) break
        // Of a name that stands twice the last one counts, as for any reader of JSON.
        if (!members.has(key.name)) members.set(key.name, value)
        before = beforeSpace(text, key.start - 1)
      } else {
        if (value === undefined) break
        items.push(value)
      }
      if (text[before] !== ',') break
      at = beforeSpace(text, before - 1)
    }
    if (isObject) levels[levels.length - 1] = { members: Object.fromEntries(members) }
    else items.reverse()
    if (cutAt === undefined) return levels
    at = cutAt
  }
  return levels
}

/** The members that stand whole at the end of a JSON object whose beginning is missing. */
export function membersAfterCut(text: string): JsonObject {
  return levelsAtEnd(text)[0]?.members ?? {}
}

/** Index of the last character at or before `from` that is no space; -1 where there is none. */
function beforeSpace(text: string, from: number): number {
  let at = from
  while (at >= 0 && ' \t\r\n'.includes(text[at] as string)) at--
  return at
}

/** Where the value that ends here begins; undefined where that lies before the text. */
function startOfValue(text: string, end: number): number | undefined {
  const last = text[end]
  if (last === '"') return startOfString(text, end)
  if (last !== '}' && last !== ']') {
    let at = end
    while (at >= 0 && !',:{[ \t\r\n"'.includes(text[at] as string)) at--
    // One at the very beginning may have begun before the cut.
    return at >= 0 && at < end ? at + 1 : undefined
  }
  let depth = 0
  for (let at = end; at >= 0; at--) {
    const char = text[at]
    if (char === '"') {
      const start = startOfString(text, at)
      if (start === undefined) return undefined
      at = start
    } else if (char === '}' || char === ']') depth++
    else if (char === '{' || char === '[') {
      depth--
      if (depth === 0) return at
    }
  }
  return undefined
}

/**
 * Inside of a string each quote is escaped. Of one with nothing but backslashes before it nobody knows: the cut may hide one
 * more.
 */
function startOfString(text: string, end: number): number | undefined {
  for (let at = end - 1; at > 0; at--) {
    at = text.lastIndexOf('"', at)
    if (at <= 0) return undefined
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++
    if (at === backslashes) return undefined
    if (backslashes % 2 === 0) return at
  }
  return undefined
}

function keyBefore(text: string, colon: number): { name: string; start: number } | undefined {
  const end = beforeSpace(text, colon - 1)
  const start = text[end] === '"' ? startOfString(text, end) : undefined
  const name = start === undefined ? undefined : parseJson(text.slice(start, end + 1))
  return typeof name === 'string' ? { name, start: start as number } : undefined
}

/**
 * The last whole object named `key` in a part of a JSON text that was cut on both sides: what was said so far, never the
 * last word. Inside of strings the quotes are escaped, so content that talks about `"usage":` is not taken for it.
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
