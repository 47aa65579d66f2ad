import { createHash } from 'node:crypto'
import { z } from 'zod'

/**
 * Tenant keys. A tenant is a metric label, a value of HTTP headers (Loki's organisation), a file name and a key of the store,
 * so its name is encoded into at most 64 of `[A-Za-z0-9._!-]`, the characters that Loki, Mimir and Tempo take.
 * `tenantId` is injective: two names never have one key (up to a collision of 128 bits of SHA-256 where a name is too long).
 *
 * | name | key |
 * |---|---|
 * | 1 to 64 of `[A-Za-z0-9._-]` and not reserved | itself |
 * | anything else | each other character as `!XX`, a byte of its UTF-8; of a reserved name the first one |
 * | what would be longer than 64 then, or holds half of a surrogate pair | its beginning, `!-`, and 22 characters of the name's hash |
 *
 * It is not idempotent: `acme!2Feu` as a name is another tenant than `acme/eu`. So it is applied once, where the name is
 * read from Kong's log; what an operator writes goes through `tenantKey`, which is idempotent.
 */
export const MAX_TENANT_KEY = 64

export const UNATTRIBUTED = 'unattributed'
/** Where labels fold (sidecar/ledger), and the organisation of the platform's own logs in Loki: never a tenant. */
const NEVER_TENANTS: readonly string[] = ['__other__', 'platform']
/** `__…` is ours, `.` and `..` are folders, the others are members of every JavaScript object. */
const RESERVED: ReadonlySet<string> = new Set([
  UNATTRIBUTED,
  ...NEVER_TENANTS,
  '.',
  '..',
  ...Object.getOwnPropertyNames(Object.prototype),
])

const PLAIN = /^[A-Za-z0-9._-]+$/
const ENCODED = /^(?:[A-Za-z0-9._-]|![0-9A-F]{2})+$/
const HASH_LENGTH = 22
const HASHED = /^(?:[A-Za-z0-9._-]|![0-9A-F]{2})*!-[A-Za-z0-9_-]{22}$/
const HEAD_LENGTH = MAX_TENANT_KEY - HASH_LENGTH - 2

/** The key of an authenticated name. */
export function tenantId(name: string): string {
  if (name.length <= MAX_TENANT_KEY && PLAIN.test(name) && !isReserved(name)) return name
  let key = ''
  let head = 0
  for (const character of name) {
    const next = PLAIN.test(character) ? character : escaped(character)
    key += key === '' && isReserved(name) ? escaped(character) : next
    if (key.length <= HEAD_LENGTH) head = key.length
    if (key.length > MAX_TENANT_KEY) break
  }
  if (key !== '' && key.length <= MAX_TENANT_KEY && name.isWellFormed()) return key
  return `${key.slice(0, head)}!-${hashOf(name)}`
}

/** The name that a key stands for; undefined where it cannot be told (a hashed name), or where it is no key. */
export function tenantNameOf(key: string): string | undefined {
  if (key === UNATTRIBUTED || !ENCODED.test(key)) return undefined
  const bytes = Buffer.from(
    key.replace(/!([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
  const name = decodeUtf8(bytes)
  return name !== undefined && tenantId(name) === key ? name : undefined
}

/**
 * The key of a tenant as an operator writes it: by name, or by the key that labels and boards show. A text that is a
 * well-formed key is that key. Undefined: no call can ever have this tenant.
 */
export function tenantKey(written: string): string | undefined {
  if (written === '' || NEVER_TENANTS.includes(written)) return undefined
  if (written === UNATTRIBUTED || isTenantKey(written)) return written
  return tenantId(written)
}

/** Whether this is a key that `tenantId` makes. */
function isTenantKey(text: string): boolean {
  return (text.length <= MAX_TENANT_KEY && HASHED.test(text)) || tenantNameOf(text) !== undefined
}

/** A tenant in a configuration file: its key. */
export const tenantSchema = z.string().transform((written, context) => {
  const key = tenantKey(written)
  if (key !== undefined) return key
  context.addIssue({ code: 'custom', message: neverMessage(written) })
  return z.NEVER
})

/** A mapping by tenant: its keys become tenant keys. Two spellings of one tenant are refused. Look up with `ofTenant`. */
export function tenantMap<V extends z.ZodType>(value: V) {
  return z
    .preprocess(nameOfProto, z.record(z.string(), value))
    .transform((map, context): Record<string, z.output<V>> => {
      const byKey = new Map<string, z.output<V>>()
      const spelling = new Map<string, string>()
      for (const [written, settings] of Object.entries(map) as [string, z.output<V>][]) {
        const key = tenantKey(written)
        const fault = (message: string) => context.addIssue({ code: 'custom', path: [written], message })
        if (key === undefined) fault(neverMessage(written))
        else if (spelling.has(key)) fault(`is the same tenant as ${JSON.stringify(spelling.get(key))}: write it once`)
        else {
          spelling.set(key, written)
          byKey.set(key, settings)
        }
      }
      return Object.fromEntries(byKey)
    })
}

/** zod passes over a member called `__proto__`: it goes by its key. */
function nameOfProto(map: unknown): unknown {
  if (map === null || typeof map !== 'object' || !Object.hasOwn(map, '__proto__')) return map
  return Object.fromEntries(
    Object.entries(map).map(([name, value]) => [name === '__proto__' ? tenantId(name) : name, value]),
  )
}

/** What a map by tenant says of one; undefined: nothing. */
export function ofTenant<V>(map: Readonly<Record<string, V>>, tenant: string): V | undefined {
  return Object.hasOwn(map, tenant) ? map[tenant] : undefined
}

function neverMessage(written: string): string {
  if (written === '') return 'write the name of a tenant, not an empty text'
  return `no call ever has the tenant ${written}, a name of ours; a consumer of that name is the tenant ${tenantId(written)}`
}

function isReserved(name: string): boolean {
  return name.startsWith('__') || RESERVED.has(name)
}

/** The UTF-8 bytes of one character, each as `!XX`. */
function escaped(character: string): string {
  return [...Buffer.from(character)].map((byte) => `!${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** 128 bits. UTF-16, so that half surrogate pairs differ too. */
function hashOf(name: string): string {
  return createHash('sha256').update(Buffer.from(name, 'utf16le')).digest('base64url').slice(0, HASH_LENGTH)
}
