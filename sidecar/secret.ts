import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { inspect } from 'node:util'
import { z } from 'zod'

type Source = { text: string } | { env: string } | { file: string }
type Environment = Readonly<Record<string, string | undefined>>

/** A secret of the configuration. However it is printed – JSON, String(), inspect – it shows as ***. */
export class Secret {
  readonly #source: Source
  constructor(source: Source) {
    this.#source = source
  }
  /** The value itself. Throws with the name of the variable or file, never with a value. */
  reveal(environment: Environment): string {
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
  /** The same secret; the path of its file starts at `folder`. */
  relativeTo(folder: string): Secret {
    return 'file' in this.#source ? new Secret({ file: resolve(folder, this.#source.file) }) : this
  }
  /** Its file, where it comes from one. */
  get file(): string | undefined {
    return 'file' in this.#source ? this.#source.file : undefined
  }
  /** Tells one value from another and shows neither; of a secret that cannot be read, the reason. */
  fingerprint(environment: Environment): string {
    try {
      return createHash('sha256').update(this.reveal(environment)).digest('base64')
    } catch (error) {
      return (error as Error).message
    }
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

export function resolveSecret(secret: Secret, environment: Environment): string {
  return secret.reveal(environment)
}

/** Every secret in a configuration, with its path. */
export function secretsOf(value: unknown, path: readonly string[] = []): { path: readonly string[]; secret: Secret }[] {
  if (value instanceof Secret) return [{ path, secret: value }]
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([name, member]) => secretsOf(member, [...path, name]))
}

/** The same configuration, the paths of its secrets' files starting at `folder`. */
export function withSecretsIn<T>(value: T, folder: string): T {
  if (value instanceof Secret) return value.relativeTo(folder) as T
  if (Array.isArray(value)) return value.map((member) => withSecretsIn(member, folder)) as T
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withSecretsIn(member, folder)])) as T
}
