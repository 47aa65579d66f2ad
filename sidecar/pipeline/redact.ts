import { z } from 'zod'
import type { Content, Message, MessagePart } from '../call.ts'

/**
 * Built-in patterns. Each is linear in the text: no nested quantifier, every repetition bounded or of a class that its
 * neighbours exclude. `edge` marks a match that could go on where the text was cut.
 */
interface Rule {
  mask: string
  pattern: RegExp
  /** Every match holds this text: without it the pattern is not tried. */
  hint?: string
  accept?: (match: string) => boolean
}

const BUILT_IN = {
  api_key: {
    mask: '[API_KEY]',
    pattern:
      /\b(?:sk-[A-Za-z0-9_-]{16,200}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,200}|xox[abprs]-[A-Za-z0-9-]{10,200}|AIza[0-9A-Za-z_-]{35})/g,
  },
  jwt: {
    mask: '[JWT]',
    hint: 'eyJ',
    pattern: /\beyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{0,4000}/g,
  },
  bearer: { mask: 'Bearer [TOKEN]', hint: 'Bearer ', pattern: /\bBearer [A-Za-z0-9._~+/-]{16,4000}=*/g },
  email: {
    mask: '[EMAIL]',
    hint: '@',
    pattern: /(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}/g,
  },
  credit_card: { mask: '[CREDIT_CARD]', pattern: /(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])/g, accept: passesLuhn },
  iban: { mask: '[IBAN]', pattern: /\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?\b/g, accept: passesIban },
  ssn: { mask: '[SSN]', pattern: /(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])/g },
  phone: {
    mask: '[PHONE]',
    hint: '+',
    pattern: /(?<![\w+])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){2,4}(?!\d)/g,
  },
} as const satisfies Record<string, Rule>
export const BUILT_IN_PATTERNS = Object.keys(BUILT_IN) as (keyof typeof BUILT_IN)[]

const MAX_PATTERN = 500

export const redactionConfigSchema = z.strictObject({
  enabled: z.boolean().default(true),
  /** Built-in patterns in use. */
  patterns: z.array(z.enum(BUILT_IN_PATTERNS)).default([...BUILT_IN_PATTERNS]),
  /** The operator's own; keep them linear, they run on every text. */
  custom: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[A-Z0-9_]{1,40}$/, 'a name in capitals, as in [NAME]'),
        pattern: z
          .string()
          .min(1)
          .max(MAX_PATTERN)
          .refine(isRegularExpression, 'not a valid regular expression')
          .refine(matchesSomething, 'matches the empty text, and so everywhere'),
      }),
    )
    .default([]),
})
export type RedactionConfig = z.infer<typeof redactionConfigSchema>

export interface Redactor {
  /** `cut`: the text was cut at its end, so that a match touching the end is masked whole though it may go on. */
  text(text: string, cut?: boolean): string
  content(content: Content): Content
}

/** Masks what must not rest (design law 11). Works on assembled text, never on chunks. */
export function makeRedactor(config: RedactionConfig): Redactor {
  const rules: Rule[] = config.enabled
    ? [
        ...config.custom.map(({ name, pattern }) => ({ mask: `[${name}]`, pattern: new RegExp(pattern, 'gu') })),
        ...config.patterns.map((name) => BUILT_IN[name]),
      ]
    : []

  function text(original: string, cut = false): string {
    let masked = original
    for (const { mask, pattern, accept, hint } of rules) {
      if (hint !== undefined && !masked.includes(hint)) continue
      masked = masked.replace(pattern, (match: string, ...rest: unknown[]) => {
        const offset = rest.find((value) => typeof value === 'number') as number
        const touchesCut = cut && offset + match.length === masked.length
        return touchesCut || accept === undefined || accept(match) ? mask : match
      })
    }
    return cut ? maskCutEnd(masked) : masked
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

const CUT_END =
  /(?:[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{0,80}|(?:sk-|gh[pousr]_|AKIA|eyJ|Bearer )[A-Za-z0-9._~+/-]{0,4000}|\+?\d[\d -]{5,30})$/

/** The beginning of something that a whole pattern would have masked, at the place where the text was cut. */
function maskCutEnd(text: string): string {
  const tailStart = Math.max(0, text.length - 4200)
  const tail = text.slice(tailStart).replace(CUT_END, '[CUT]')
  return text.slice(0, tailStart) + tail
}

function passesLuhn(match: string): boolean {
  const digits = match.replace(/\D/g, '')
  let sum = 0
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at])
    sum += at % 2 === 0 ? digit : digit < 5 ? digit * 2 : digit * 2 - 9
  }
  return sum % 10 === 0
}

function passesIban(match: string): boolean {
  const compact = match.replace(/ /g, '')
  if (compact.length < 15 || compact.length > 34) return false
  const rearranged = compact.slice(4) + compact.slice(0, 4)
  let remainder = 0
  for (const character of rearranged) {
    const value = Number.parseInt(character, 36)
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
  }
  return remainder === 1
}

function isRegularExpression(pattern: string): boolean {
  try {
    new RegExp(pattern, 'gu')
    return true
  } catch {
    return false
  }
}
function matchesSomething(pattern: string): boolean {
  return !isRegularExpression(pattern) || !new RegExp(pattern, 'u').test('')
}
