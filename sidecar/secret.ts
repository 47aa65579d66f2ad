import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { z } from 'zod'

/** A secret of the configuration. However it is printed – JSON, String(), inspect – it shows as ***. */
export class Secret {
  readonly #source: { text: string } | { env: string } | { file: string }
  constructor(source: { text: string } | { env: string } | { file: string }) {
    this.#source = source
  }
  /** The value itself. Throws with the name of the variable or file, never with a value. */
  reveal(environment: Readonly<Record<string, string | undefined>>): string {
    const source = this.#source
    if ('text' in source) return source.text
    if ('env' in source) {
      const value = environment[source.env]
      if (value === undefined || value === '')
        throw new Error(`the environment variable ${source.env} is not set; a secret is to come from it`)
      return value
    }
    let text: string
    try {
      text = readFileSync(source.file, 'utf8').trim()
    } catch (error) {
      throw new Error(
        `${source.file}: a secret is to come from this file, and it cannot be read (${(error as NodeJS.ErrnoException).code})`,
      )
    }
    if (text === '') throw new Error(`${source.file}: a secret is to come from this file, and it is empty`)
    return text
  }
  toString(): string {
    return '***'
  }
  toJSON(): string {
    return '***'
  }
  [inspect.custom](): string {
    return '***'
  }
}

/** `text`, `{ env: NAME }` or `{ file: PATH }`. */
export const secretSchema = z
  .union([z.string().min(1), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })], {
    error: 'write a secret as text, { env: NAME } or { file: PATH }',
  })
  .transform((value) => new Secret(typeof value === 'string' ? { text: value } : value))

export function resolveSecret(secret: Secret, environment: Readonly<Record<string, string | undefined>>): string {
  return secret.reveal(environment)
}
