import { z } from 'zod'
import { closestName } from './closest-name.ts'

/** What is wrong and what to write instead, for every issue of zod that a schema says nothing of itself about. */
export function plainWords(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return `is missing: write ${kindOf(issue.expected)}`
      return `write ${kindOf(issue.expected)}, not ${inputKind(issue.input)}`
    case 'invalid_value':
      return `write ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`
    case 'unrecognized_keys':
      return unknownKey(issue)
    case 'too_small':
      return boundText(issue.origin, issue.minimum, 'least', issue.inclusive !== false)
    case 'too_big':
      return boundText(issue.origin, issue.maximum, 'most', issue.inclusive !== false)
    case 'invalid_format':
      return issue.format === 'url' ? 'write an address as http://host:port or https://host' : undefined
    case 'not_multiple_of':
      return 'write a whole number'
    default:
      return undefined
  }
}

const KINDS: Readonly<Record<string, string>> = {
  object: 'a mapping (name: value)',
  record: 'a mapping (name: value)',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}

function kindOf(expected: string): string {
  return KINDS[expected] ?? expected
}

/** Its kind only: a value in the wrong place may be a secret. */
function inputKind(input: unknown): string {
  if (input === null) return 'nothing'
  if (Array.isArray(input)) return 'a list'
  if (typeof input === 'object') return 'a mapping'
  if (typeof input === 'string') return 'a text'
  if (typeof input === 'number') return Number.isInteger(input) ? 'a number' : 'a number with decimals'
  return typeof input === 'boolean' ? 'true or false' : typeof input
}

function boundText(origin: string, bound: number | bigint, side: 'least' | 'most', inclusive: boolean): string {
  if (origin === 'string' && side === 'least' && Number(bound) === 1) return 'write a text, not an empty one'
  const what = origin === 'string' ? ' characters' : origin === 'array' ? ' entries' : ''
  if (!inclusive) return `write a number ${side === 'least' ? 'above' : 'below'} ${bound}`
  return `write ${what === '' ? '' : 'a text or list of '}at ${side} ${bound}${what}`
}

function unknownKey(issue: z.core.$ZodRawIssue<z.core.$ZodIssueUnrecognizedKeys>): string {
  const known = issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape) : []
  const nearest = issue.keys.length === 1 ? closestName(issue.keys[0]!, known) : undefined
  if (nearest !== undefined) return `no such setting; did you mean ${nearest}?`
  return known.length === 0 ? 'no such setting' : `no such setting; there are ${known.join(', ')}`
}
