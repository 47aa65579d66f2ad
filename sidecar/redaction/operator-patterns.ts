import { RE2JS } from 're2js'
import { z } from 'zod'
import type { ForeignHit } from './mask.ts'

const MAX_PATTERN = 500

/** The operator's own patterns. They run on re2js alone, which is linear whatever they say (RE2 syntax: no look-around, no back-reference). */
export const operatorPatternSchema = z.strictObject({
  name: z.string().regex(/^[A-Z0-9_]{1,40}$/, 'a name in capitals, as it will stand in [NAME]'),
  pattern: z
    .string()
    .min(1)
    .max(MAX_PATTERN)
    .superRefine((pattern, context) => {
      const problem = problemOf(pattern)
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    }),
})
export type OperatorPattern = z.infer<typeof operatorPatternSchema>

function problemOf(pattern: string): string | undefined {
  try {
    const compiled = compile(pattern)
    return compiled.matcher('').find() ? 'it matches the empty text, and so everywhere' : undefined
  } catch (error) {
    return `not a regular expression of RE2: ${(error as Error).message}`
  }
}

function compile(pattern: string): RE2JS {
  return RE2JS.compile(RE2JS.translateRegExp(pattern))
}

/** All patterns as one detector. Linear in the text. */
export function operatorDetector(patterns: readonly OperatorPattern[]): (text: string) => ForeignHit[] {
  const compiled = patterns.map(({ name, pattern }) => ({ name, pattern: compile(pattern) }))
  return (text) => {
    const hits: ForeignHit[] = []
    for (const { name, pattern } of compiled) {
      const matcher = pattern.matcher(text)
      while (matcher.find())
        if (matcher.end() > matcher.start()) hits.push({ start: matcher.start(), end: matcher.end(), name })
    }
    return hits
  }
}
