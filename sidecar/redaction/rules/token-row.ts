import type { TokenRule } from '../rule.ts'

const ADDED = '2026-11-28'

/** A key with a beginning of its own. The fixed beginning is read from the pattern; alternatives have rows of their own. */
export function key(
  id: string,
  pattern: string,
  example: string,
  source: string,
  more: Partial<TokenRule> = {},
): TokenRule {
  return {
    id,
    kind: 'api_key',
    pattern,
    starts: [literalStart(pattern)],
    examples: [example],
    source,
    added: ADDED,
    ...more,
  }
}

/** A key that only its vendor's name beside it gives away: the pattern fits the whole token. */
export function named(
  id: string,
  near: readonly string[],
  pattern: string,
  example: string,
  source: string,
  more: Partial<TokenRule> = {},
): TokenRule {
  return { id, kind: 'api_key', pattern, near, examples: [example], source, added: ADDED, ...more }
}

/** The letters that every match begins with. */
export function literalStart(pattern: string): string {
  let start = ''
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!
    if ('[({?*+|^$.'.includes(character)) break
    if (character !== '\\') start += character
    else if ('.-+/~'.includes(pattern[at + 1] ?? '')) start += pattern[++at]
    else break
  }
  return start
}

/** Letters and digits, as a machine draws them: no word of a language, no kebab-case name. */
export function looksRandom(token: string): boolean {
  let digits = 0
  let upper = 0
  let lower = 0
  for (let at = 0; at < token.length; at++) {
    const code = token.charCodeAt(at)
    if (code >= 48 && code <= 57) digits++
    else if (code >= 65 && code <= 90) upper++
    else if (code >= 97 && code <= 122) lower++
  }
  return digits >= 2 ? upper + lower >= 1 : upper >= 3 && lower >= 3
}
