import type { DialectReading } from './dialect.ts'
import { asObject, asText, type JsonObject } from './json-value.ts'

const MESSAGE_LIMIT = 1024

/**
 * The error in a body or an event: OpenAI's `{error: {type, code, message}}`, Anthropic's `{type: 'error', error: …}`,
 * Kong's and many others' `{message}` (`detail`). The type is the provider's own word where it has a short one.
 */
export function errorOf(body: JsonObject, status: number): NonNullable<DialectReading['error']> | undefined {
  const error = asObject(body.error)
  const message =
    asText(error?.message) ??
    asText(body.error) ??
    (status >= 400 ? (asText(body.message) ?? asText(body.detail)) : undefined)
  if (error === undefined && message === undefined) return undefined
  // Google's codes are numbers; its `status` is the word.
  const code = typeof error?.code === 'number' ? (shortWord(error.type) ?? shortWord(error.status)) : undefined
  const type =
    code ??
    shortWord(error?.code) ??
    shortWord(error?.type) ??
    shortWord(body.code) ??
    shortWord(body.error_type) ??
    String(status)
  return message === undefined ? { type } : { type, message: message.slice(0, MESSAGE_LIMIT) }
}

function shortWord(value: unknown): string | undefined {
  const word = typeof value === 'number' ? String(value) : value
  return typeof word === 'string' && /^[\w.:-]{1,64}$/.test(word) ? word : undefined
}
