import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Content, LlmCall, Message, MessagePart } from '../call.ts'
import { secretSchema } from '../secret.ts'
import { maskEdges } from './edges.ts'
import { KnownTexts } from './known-texts.ts'
import { type ForeignHit, maskText } from './mask.ts'
import { operatorDetector, operatorPatternSchema } from './operator-patterns.ts'
import { isTrunkNumber } from './phone-numbers.ts'
import { contentPolicySchema } from './policy.ts'
import { makePseudonyms } from './pseudonyms.ts'
import { KINDS, type Kind, SECRET_KINDS } from './rule.ts'

/** Names of before 0.2: still read. */
const OLD_NAMES = { bearer: 'token' } as const
const NAMES = [...KINDS, ...(Object.keys(OLD_NAMES) as (keyof typeof OLD_NAMES)[])]

export const redactionConfigSchema = z.strictObject({
  enabled: z.boolean().default(true),
  /** The kinds that are masked (docs/privacy.md). */
  patterns: z
    .array(z.enum(NAMES))
    .default([...KINDS])
    .transform((names) => names.map((name): Kind => (name === 'bearer' ? OLD_NAMES.bearer : name))),
  /** What stands in the place of personal data: its kind, or a pseudonym that stays the same for a person of a tenant. Secrets are masked always. */
  replacement: z.enum(['mask', 'pseudonym']).default('mask'),
  /** The key of all pseudonyms. Without one, the sidecar makes `pseudonym.key` in its data folder. */
  key: secretSchema.optional(),
  custom: z.array(operatorPatternSchema).default([]),
  /** Who keeps content, and in which form. */
  policy: contentPolicySchema.prefault({}),
})
export type RedactionConfig = z.infer<typeof redactionConfigSchema>

/** A detector of somebody else, for street addresses and names; off unless one is given. Must not throw; offsets in UTF-16 units. */
export type Detector = (text: string) => readonly ForeignHit[]

export interface RedactorOptions {
  /** Of the pseudonyms. Absent: one of this process alone. */
  key?: Uint8Array | string
  detectors?: readonly Detector[]
  /** Bytes for results of texts that come again; 0 or absent: every text is looked at. Without effect beside detectors. */
  remember?: number
}
export interface TextOptions {
  /** The text was cut at its end: what touches the edge goes. */
  cut?: boolean
  /** Whose pseudonyms. */
  tenant?: string
}
/** pseudonym: e-mail addresses, phones and other personal data alone; all: every user and session; plain: as it came, but for secrets. */
export type PersonMode = 'pseudonym' | 'all' | 'plain'

export interface Redactor {
  text(text: string, options?: TextOptions): string
  /** A name, an id, a tag: what is certain in it, whatever `enabled` says of secrets. */
  label(text: string, tenant?: string): string
  /** A user or a session. */
  person(text: string, tenant: string, mode: PersonMode): string
  /** Every text of a content, of which nothing was cut. */
  content(content: Content, tenant?: string): Content
  /** Every text of a call but its content, its user and its session. */
  call(call: LlmCall): LlmCall
}

/** In a label stand names of machines: addresses of hosts, numbers of builds. These kinds are sure enough all the same. */
const LABEL_KINDS: readonly Kind[] = ['email', 'phone', 'credit_card', 'iban', 'ssn']
const PERSON_KINDS: readonly Kind[] = [...LABEL_KINDS, 'national_id', 'passport', 'ip', 'mac']
const NO_TENANT = ''
/** Nothing that is looked for is shorter. */
const SHORTEST = 6
const MAX_KNOWN = 4096
const MAX_KNOWN_LENGTH = 128

/** Masks what must not rest (design law 11). Works on assembled text, never on chunks. */
export function makeRedactor(
  config: RedactionConfig,
  { key, detectors = [], remember = 0 }: RedactorOptions = {},
): Redactor {
  const kinds: ReadonlySet<string> = new Set(config.patterns)
  const labelKinds = new Set<string>([
    ...SECRET_KINDS,
    ...LABEL_KINDS.filter((kind) => config.enabled && kinds.has(kind)),
  ])
  const pseudonyms = makePseudonyms(key ?? randomBytes(32))
  const more = [...(config.custom.length > 0 ? [operatorDetector(config.custom)] : []), ...detectors]
  const replaces = config.replacement === 'pseudonym'

  const knownTexts = new KnownTexts(detectors.length > 0 ? 0 : remember)
  const masked = (original: string) => maskText(original, { kinds, more })
  function text(original: string, { cut = false, tenant = NO_TENANT }: TextOptions = {}): string {
    if (!config.enabled || original === '') return original
    const whole = maskEdges(original, cut)
    if (!replaces) return knownTexts.through(whole, masked, false)
    const pseudonym = (kind: Kind, value: string) => `[${kind.toUpperCase()}:${pseudonyms(tenant, kind, value)}]`
    return knownTexts.through(whole, (each) => maskText(each, { kinds, more, pseudonym }), true)
  }
  function label(original: string, tenant = NO_TENANT): string {
    return maskText(original, {
      kinds: labelKinds,
      label: true,
      pseudonym: (kind, value) => `${kind}_${pseudonyms(tenant, kind, value)}`,
    })
  }
  // Names of models, routes and providers come again with every call.
  const known = new Map<string, string>()
  function knownLabel(original: string, tenant: string): string {
    const masked = known.get(original)
    if (masked !== undefined) return masked
    const shown = label(original, tenant)
    // A pseudonym is of one tenant: only what stays as it is is the same for all.
    if (shown === original && original.length <= MAX_KNOWN_LENGTH) {
      if (known.size >= MAX_KNOWN) known.clear()
      known.set(original, shown)
    }
    return shown
  }
  const plainKinds = new Set<string>(SECRET_KINDS)
  const personKinds = new Set<string>([...SECRET_KINDS, ...PERSON_KINDS])
  function person(original: string, tenant: string, mode: PersonMode): string {
    if (mode === 'all') return `user_${pseudonyms(tenant, 'user', original)}`
    if (mode === 'pseudonym' && isDialled(original)) return `phone_${pseudonyms(tenant, 'phone', original)}`
    return maskText(original, {
      kinds: mode === 'plain' ? plainKinds : personKinds,
      label: true,
      pseudonym: (kind, value) => `${kind}_${pseudonyms(tenant, kind, value)}`,
    })
  }
  const part = (original: MessagePart, tenant: string | undefined): MessagePart => {
    const options = tenant === undefined ? {} : { tenant }
    switch (original.type) {
      case 'text':
      case 'reasoning':
        return { ...original, content: text(original.content, options) }
      case 'tool_call':
        return {
          ...original,
          ...(original.id !== undefined && { id: label(original.id, tenant) }),
          name: text(original.name, options),
          arguments: text(original.arguments, options),
        }
      case 'tool_call_response':
        return {
          ...original,
          ...(original.id !== undefined && { id: label(original.id, tenant) }),
          response: text(original.response, options),
        }
      case 'other':
        return { ...original, kind: text(original.kind, options) }
    }
  }
  const message = (original: Message, tenant: string | undefined): Message => ({
    ...original,
    role: text(original.role, tenant === undefined ? {} : { tenant }),
    parts: original.parts.map((each) => part(each, tenant)),
    ...(original.finishReason !== undefined && { finishReason: label(original.finishReason, tenant) }),
  })

  return {
    text,
    label,
    person,
    content(content, tenant) {
      if (!config.enabled) return content
      const options = tenant === undefined ? {} : { tenant }
      return {
        ...content,
        ...(content.system !== undefined && { system: text(content.system, options) }),
        ...(content.input !== undefined && { input: content.input.map((each) => message(each, tenant)) }),
        ...(content.output !== undefined && { output: content.output.map((each) => message(each, tenant)) }),
        ...(content.tools !== undefined && { tools: text(content.tools, options) }),
      }
    },
    call(call) {
      const mask = (each: string) => knownLabel(each, call.tenant)
      let masked: LlmCall = call
      for (const name in call) {
        if (CALL_FIELDS_LEFT.has(name)) continue
        const value = call[name as keyof LlmCall]
        const shown = maskStrings(value, mask)
        if (shown === value) continue
        if (masked === call) masked = { ...call }
        ;(masked as unknown as Record<string, unknown>)[name] = shown
      }
      return masked
    },
  }
}

/** Closed vocabularies, identities that the ledger joins by, and what has been masked on its own. */
const CALL_FIELDS_LEFT: ReadonlySet<string> = new Set([
  'id',
  'operation',
  'dialect',
  'tenant',
  'tenantSource',
  'user',
  'session',
  'usage',
  'usageSource',
  'cost',
  'status',
  'trace',
  'content',
  'errorMessage',
] satisfies (keyof LlmCall)[])

/** Every string masked, names of members too; the same value where nothing was to be masked. */
function maskStrings(value: unknown, mask: (text: string) => string): unknown {
  if (typeof value === 'string') return value.length < SHORTEST ? value : mask(value)
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) {
    let masked: unknown[] | undefined
    for (let index = 0; index < value.length; index++) {
      const shown = maskStrings(value[index], mask)
      if (shown === value[index]) continue
      masked ??= [...value]
      masked[index] = shown
    }
    return masked ?? value
  }
  const entries = Object.entries(value)
  const shown = entries.map(([name, member]) => [
    name.length < SHORTEST ? name : mask(name),
    maskStrings(member, mask),
  ]) as [string, unknown][]
  return shown.every(([name, member], index) => name === entries[index]![0] && member === entries[index]![1])
    ? value
    : Object.fromEntries(shown)
}

/** A whole user that is a number as one dials it at home. */
function isDialled(text: string): boolean {
  return /^\(?0[\d ()./-]{8,15}$/.test(text) && isTrunkNumber(text.replace(/\D/g, ''))
}

const secretsOnly = new Set<string>(SECRET_KINDS)
/** Secrets alone, in what is no prose: a name of a model, a user. */
export function maskSecrets(text: string): string {
  return maskText(text, { kinds: secretsOnly, label: true })
}
