import { z } from 'zod'
import type { TraceBaggage } from '../call.ts'
import type { Capture } from '../capture.ts'
import { decodeText, parseJson } from '../dialects/json-value.ts'
import { maskSecrets, type PersonMode } from '../redaction/redact.ts'
import { tenantId, tenantKey, UNATTRIBUTED } from '../tenant.ts'
import { readBaggage, traceBaggage } from './baggage.ts'

export { UNATTRIBUTED } from '../tenant.ts'

/** Where a tenant can be found. `path` and `trusted_header` are the client's own words: they count on trusted routes alone. */
const TENANT_SOURCES = [
  'consumer_tag',
  'consumer_custom_id',
  'consumer_username',
  'authenticated_entity',
  'jwt_claim',
  'route_tag',
  'service_tag',
  'workspace',
  'path',
  'trusted_header',
] as const
/** Where a user, a session, a team … can be found. None of these decides about money: a client may name them. */
const LABEL_SOURCES = [
  'tag',
  'jwt_claim',
  'header',
  'baggage',
  'body',
  'consumer_username',
  'consumer_custom_id',
] as const
type TenantSource = (typeof TENANT_SOURCES)[number]
type LabelSource = (typeof LABEL_SOURCES)[number]

/** Which tag, claim, header or field; where it may be left out, the default. */
const DEFAULT_NAMES: Partial<Record<TenantSource | LabelSource, string>> = {
  consumer_tag: 'tenant',
  route_tag: 'tenant',
  service_tag: 'tenant',
  trusted_header: 'x-tenant-id',
}
const NAMED: readonly string[] = [...Object.keys(DEFAULT_NAMES), 'jwt_claim', 'tag', 'header', 'baggage', 'body']

/** `consumer_tag`, or `{ by: jwt_claim, name: org.id, map: { acme: blue } }`. */
const ruleOf = <S extends TenantSource | LabelSource>(sources: readonly S[]) =>
  z.preprocess(
    (value) => (typeof value === 'string' ? { by: value } : value),
    z
      .strictObject({
        by: z.enum(sources, { error: `write one of ${sources.join(', ')}` }),
        name: z.string().min(1).optional(),
        /** Value found → what it stands for. A value that is not here is not found. */
        map: z.record(z.string(), z.string().min(1)).optional(),
      })
      .transform((rule, context) => {
        const name = rule.name ?? DEFAULT_NAMES[rule.by]
        if (NAMED.includes(rule.by) && name === undefined)
          context.addIssue({ code: 'custom', path: ['name'], message: `${rule.by} needs a name` })
        if (!NAMED.includes(rule.by) && rule.name !== undefined)
          context.addIssue({ code: 'custom', path: ['name'], message: `${rule.by} takes no name` })
        return {
          by: rule.by,
          name: rule.by === 'trusted_header' || rule.by === 'header' ? (name ?? '').toLowerCase() : (name ?? ''),
          map: rule.map,
        }
      }),
  )
interface Rule<S> {
  by: S
  name: string
  map: Record<string, string> | undefined
}
const labelRules = (...defaults: { by: LabelSource; name: string }[]) =>
  z.array(ruleOf(LABEL_SOURCES)).prefault(() => defaults)

export const attributionConfigSchema = z.strictObject({
  /** The tenant: tried in order, the first that finds one. */
  rules: z
    .array(ruleOf(TENANT_SOURCES))
    .prefault(() => [
      'consumer_tag',
      'consumer_custom_id',
      'consumer_username',
      'route_tag',
      'service_tag',
      'path',
      'trusted_header',
    ]),
  /**
   * Kong routes whose clients may say who they are: tenant header, tenant path, trace. Everywhere else they may not.
   * A route's id; `workspace/name`; or a name alone, which is a route of the workspace `default` (names are unique in a
   * workspace only).
   */
  trustedRoutes: z.array(z.string().min(1)).default([]),
  user: labelRules(
    { by: 'header', name: 'x-user-id' },
    { by: 'baggage', name: 'langfuse_user_id' },
    { by: 'body', name: 'user' },
    { by: 'body', name: 'metadata.user_id' },
    { by: 'body', name: 'safety_identifier' },
  ),
  session: labelRules(
    { by: 'header', name: 'x-session-id' },
    { by: 'baggage', name: 'langfuse_session_id' },
    { by: 'body', name: 'metadata.session_id' },
    { by: 'body', name: 'conversation.id' },
    { by: 'body', name: 'conversation' },
  ),
  team: labelRules({ by: 'tag', name: 'team' }),
  app: labelRules({ by: 'tag', name: 'app' }),
  environment: labelRules({ by: 'tag', name: 'env' }),
  /** pseudonym: an e-mail address or a phone as a user or session becomes a keyed pseudonym; all: every user and session; plain: as it came. */
  users: z.enum(['pseudonym', 'all', 'plain']).default('pseudonym'),
  /** Before 0.2: `true` means `users: all`. */
  hashUsers: z.boolean().optional(),
})
export type AttributionConfig = z.infer<typeof attributionConfigSchema>

export interface Attribution {
  /** A key of sidecar/tenant.ts. */
  tenant: string
  /** The name that the key stands for, where it differs: for people to read, at most 200 characters. */
  tenantName?: string
  /** The rule that found it. */
  tenantSource: string
  /** Key of another tenant that the client named itself to be, and was not believed. */
  claimedTenant?: string
  trusted: boolean
  /** Of a trusted route alone. */
  baggage?: TraceBaggage
  consumer?: string
  user?: string
  session?: string
  team?: string
  app?: string
  environment?: string
}

const MAX_LABEL = 200
const TENANT_PATH = /(?:^|\/)v1\/tenants\/([^/?#]+)(?:[/?#]|$)/

/** What a rule looks at. `body` is the request's JSON: it may name user and session, never the tenant. */
interface Known {
  capture: Pick<Capture, 'log' | 'jwt_payload'>
  body: Readonly<Record<string, unknown>> | undefined
  trusted: boolean
  claims: () => unknown
  /** Empty where the route is not trusted. */
  baggage: ReadonlyMap<string, string>
}

const NO_BAGGAGE: ReadonlyMap<string, string> = new Map()

/** Who called, by what Kong authenticated (design law 12). */
export function attribute(
  capture: Pick<Capture, 'log' | 'jwt_payload'>,
  body: Readonly<Record<string, unknown>> | undefined,
  config: AttributionConfig,
): Attribution {
  const { consumer } = capture.log
  const trusted = isTrusted(capture.log, config.trustedRoutes)
  let decoded: { claims: unknown } | undefined
  const claims = () => {
    decoded ??= { claims: claimsOf(capture.jwt_payload) }
    return decoded.claims
  }
  const sent = trusted ? capture.log.request.headers.baggage : undefined
  const baggage = sent == null ? NO_BAGGAGE : readBaggage(String(sent))
  const known: Known = { capture, body, trusted, claims, baggage }

  const found = firstFound(config.rules, (rule) => tenantBy(rule, known))
  const tenant = found === undefined ? UNATTRIBUTED : keyOf(found)
  const claimed = claimOfClient(known, config)
  return defined({
    tenant,
    tenantName: found === undefined || found.value === tenant ? undefined : label(found.value),
    tenantSource: found === undefined ? UNATTRIBUTED : found.by,
    claimedTenant: claimed === undefined || claimed === tenant ? undefined : claimed,
    trusted,
    baggage: traceBaggage(baggage, label),
    consumer: label(consumer?.username ?? consumer?.custom_id ?? consumer?.id),
    user: labelBy(config.user, known),
    session: labelBy(config.session, known),
    team: labelBy(config.team, known),
    app: labelBy(config.app, known),
    environment: labelBy(config.environment, known),
  })
}

const DEFAULT_WORKSPACE = 'default'

function isTrusted({ route, workspace, workspace_name }: Capture['log'], routes: readonly string[]): boolean {
  if (routes.length === 0 || route == null) return false
  if (typeof route.id === 'string' && routes.includes(route.id)) return true
  if (typeof route.name !== 'string') return false
  const { name } = route
  // A log without any workspace is of a gateway that has one.
  const isDefault = workspace_name === DEFAULT_WORKSPACE || (workspace_name == null && workspace == null)
  return (
    (isDefault && !name.includes('/') && routes.includes(name)) ||
    [workspace_name, workspace].some((space) => typeof space === 'string' && routes.includes(`${space}/${name}`))
  )
}

interface Found<S> {
  by: S
  value: string
  /** The value is the operator's, from the rule's map. */
  mapped: boolean
}

function firstFound<S>(rules: readonly Rule<S>[], look: (rule: Rule<S>) => unknown): Found<S> | undefined {
  for (const rule of rules) {
    const given = scalar(look(rule))
    if (given === undefined) continue
    if (rule.map === undefined) return { by: rule.by, value: given, mapped: false }
    if (Object.hasOwn(rule.map, given)) return { by: rule.by, value: rule.map[given]!, mapped: true }
  }
  return undefined
}

function tenantBy({ by, name }: Rule<TenantSource>, { capture, trusted, claims }: Known): unknown {
  const { consumer, route, service, request, workspace_name, workspace, authenticated_entity } = capture.log
  switch (by) {
    case 'consumer_tag':
      return tagOf(consumer?.tags, name)
    case 'consumer_custom_id':
      return consumer?.custom_id
    case 'consumer_username':
      return consumer?.username
    case 'authenticated_entity':
      return authenticated_entity?.id
    case 'jwt_claim':
      return fieldOf(claims(), name)
    case 'route_tag':
      return tagOf(route?.tags, name)
    case 'service_tag':
      return tagOf(service?.tags, name)
    case 'workspace':
      return workspace_name ?? workspace
    case 'path':
      return trusted ? tenantInPath(request.uri) : undefined
    case 'trusted_header':
      return trusted ? request.headers[name] : undefined
  }
}

function labelBy(rules: readonly Rule<LabelSource>[], { capture, body, claims, baggage }: Known): string | undefined {
  const { consumer, route, service, request } = capture.log
  const found = firstFound(rules, ({ by, name }) => {
    switch (by) {
      case 'tag':
        return tagOf(consumer?.tags, name) ?? tagOf(route?.tags, name) ?? tagOf(service?.tags, name)
      case 'jwt_claim':
        return fieldOf(claims(), name)
      case 'header':
        return request.headers[name]
      case 'baggage':
        return baggage.get(name)
      case 'body':
        return fieldOf(body, name)
      case 'consumer_username':
        return consumer?.username
      case 'consumer_custom_id':
        return consumer?.custom_id
    }
  })
  return label(found?.value)
}

/** Whom the client says that it is, believed or not: by the headers and the path that a rule would read if it were trusted. */
function claimOfClient(known: Known, { rules }: AttributionConfig): string | undefined {
  const asTrusted = { ...known, trusted: true }
  const named = rules.filter(({ by }) => by === 'path' || by === 'trusted_header')
  const found = firstFound(named, (rule) => tenantBy(rule, asTrusted))
  return found === undefined ? undefined : keyOf(found)
}

/** A name that an operator's map gives is written as in every other setting: a name or a key. */
function keyOf({ value, mapped }: Found<TenantSource>): string {
  return (mapped ? tenantKey(value) : undefined) ?? tenantId(value)
}

function tenantInPath(uri: string): string | undefined {
  const name = TENANT_PATH.exec(uri)?.[1]
  try {
    return name === undefined ? undefined : decodeURIComponent(name)
  } catch {
    return name
  }
}

/** The payload of a token that Kong has verified; undefined where it is none. */
function claimsOf(payload: string | null | undefined): unknown {
  if (payload == null) return undefined
  return parseJson(decodeText(Buffer.from(payload, 'base64url')))
}

/** `org.id`: a member of that very name, else member by member; of a list the first. */
function fieldOf(from: unknown, path: string): unknown {
  const whole = memberOf(from, path)
  if (whole !== undefined) return whole
  let value = from
  for (const name of path.split('.')) {
    value = memberOf(value, name)
    if (value === undefined) return undefined
  }
  return value
}

function memberOf(value: unknown, name: string): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || !Object.hasOwn(value, name))
    return undefined
  return (value as Record<string, unknown>)[name]
}

function tagOf(tags: readonly string[] | null | undefined, name: string): string | undefined {
  return tags?.find((tag) => tag.startsWith(`${name}:`))?.slice(name.length + 1)
}

/** Text or number; of a list the first; nothing else, and no empty text. */
function scalar(value: unknown): string | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : value
  if (typeof first === 'number' && Number.isFinite(first)) return String(first)
  return typeof first === 'string' && first !== '' ? first : undefined
}

/** How users and sessions are named, the setting of before 0.2 included. */
export function personMode({ users, hashUsers }: Pick<AttributionConfig, 'users' | 'hashUsers'>): PersonMode {
  return hashUsers === true ? 'all' : users
}

function label(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? maskSecrets(value).slice(0, MAX_LABEL) : undefined
}

function defined(attribution: { [K in keyof Attribution]: Attribution[K] | undefined }): Attribution {
  const found: Record<string, unknown> = {}
  for (const name in attribution) {
    const value = attribution[name as keyof Attribution]
    if (value !== undefined) found[name] = value
  }
  return found as unknown as Attribution
}
