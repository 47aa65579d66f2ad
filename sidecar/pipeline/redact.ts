import isSafe from 'safe-regex2'
import { z } from 'zod'
import type { Content, Message, MessagePart } from '../call.ts'
import { BUILT_IN, maskBy, type Rule } from './patterns.ts'

export const BUILT_IN_PATTERNS = Object.keys(BUILT_IN) as (keyof typeof BUILT_IN)[]
const MAX_PATTERN = 500

export const redactionConfigSchema = z.strictObject({
  enabled: z.boolean().default(true),
  /** Built-in patterns in use. */
  patterns: z.array(z.enum(BUILT_IN_PATTERNS)).default([...BUILT_IN_PATTERNS]),
  /** The operator's own. They run on every text, so one that may take exponential time is refused. */
  custom: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[A-Z0-9_]{1,40}$/, 'a name in capitals, as it will stand in [NAME]'),
        pattern: z
          .string()
          .min(1)
          .max(MAX_PATTERN)
          .superRefine((pattern, context) => {
            const problem = problemOf(pattern)
            if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
          }),
      }),
    )
    .default([]),
})
export type RedactionConfig = z.infer<typeof redactionConfigSchema>

function problemOf(pattern: string): string | undefined {
  let expression: RegExp
  try {
    expression = new RegExp(pattern, 'gu')
  } catch (error) {
    return `not a regular expression: ${(error as Error).message}`
  }
  if (expression.test('')) return 'it matches the empty text, and so everywhere'
  // No repetition inside of a repetition, and no choice inside of one: `(a|a)*b` takes as long as `(a+)+b`.
  if (!isSafe(pattern) || /\((?:[^()\\]|\\.)*\|(?:[^()\\]|\\.)*\)(?:[*+]|\{\d+,\d*\})/.test(pattern))
    return 'it may take exponential time (a repetition around a repetition or a choice): write it without, e.g. [a-z]{1,64}'
  return undefined
}

export interface Redactor {
  /** `cut`: the text was cut at its end. */
  text(text: string, cut?: boolean): string
  content(content: Content): Content
}

/** A dialect marks a gap in an assembled text so. */
const GAP = '[…]'
/** How far from an edge something is looked for. */
const WORD_LIMIT = 4000
const DIGITS_LIMIT = 40

/**
 * Masks what must not rest (design law 11). Works on assembled text, never on chunks. Where a text was cut, what
 * touches the edge is masked with it.
 */
export function makeRedactor(config: RedactionConfig): Redactor {
  const rules: Rule[] = config.enabled
    ? [
        ...config.custom.map(({ name, pattern }) => ({ mask: `[${name}]`, pattern: new RegExp(pattern, 'gu') })),
        ...BUILT_IN_PATTERNS.filter((name) => config.patterns.includes(name)).map((name): Rule => BUILT_IN[name]),
      ]
    : []

  function text(original: string, cut = false): string {
    if (rules.length === 0 || original === '') return original
    const whole = original.includes(GAP) || cut ? maskEdges(original, cut) : original
    let masked = whole
    for (const rule of rules) masked = maskBy(masked, rule)
    return masked
  }
  const part = (original: MessagePart, cut: boolean): MessagePart => {
    switch (original.type) {
      case 'text':
      case 'reasoning':
        return { ...original, content: text(original.content, cut) }
      case 'tool_call':
        return { ...original, name: text(original.name), arguments: text(original.arguments, cut) }
      case 'tool_call_response':
        return { ...original, response: text(original.response, cut) }
      case 'other':
        return original
    }
  }
  const message = (original: Message, cut: boolean): Message => ({
    ...original,
    parts: original.parts.map((each) => part(each, cut)),
  })

  return {
    text,
    content(content) {
      if (rules.length === 0) return content
      const cut = content.truncated === true
      return {
        ...content,
        ...(content.system !== undefined && { system: text(content.system, cut) }),
        ...(content.input !== undefined && { input: content.input.map((each) => message(each, cut)) }),
        ...(content.output !== undefined && { output: content.output.map((each) => message(each, cut)) }),
        ...(content.tools !== undefined && { tools: text(content.tools, cut) }),
      }
    },
  }
}

function maskEdges(original: string, cut: boolean): string {
  const pieces = original.split(GAP)
  return pieces
    .map((piece, index) => {
      const opened = index === 0 ? piece : withoutFirstWord(piece)
      return index === pieces.length - 1 && !cut ? opened : withoutLastWord(opened)
    })
    .join(GAP)
    .concat(cut ? GAP : '')
}

function withoutFirstWord(text: string): string {
  let end = 0
  while (end < text.length && end < WORD_LIMIT && !isSpace(text, end)) end++
  return text.slice(end)
}

/** The word that touches the edge, and the groups of digits before it: a card, a phone number, an account. */
function withoutLastWord(text: string): string {
  let start = text.length
  while (start > 0 && text.length - start < WORD_LIMIT && !isSpace(text, start - 1)) start--
  let digits = start
  for (let at = start; at > 0 && start - at < DIGITS_LIMIT && /[\d -]/.test(text[at - 1]!); at--)
    if (/\d/.test(text[at - 1]!)) digits = at - 1
  return text.slice(0, digits)
}

function isSpace(text: string, at: number): boolean {
  return /\s/.test(text[at]!)
}
