import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { KongLog } from '../capture.ts'

export const UNATTRIBUTED = 'unattributed'

export const attributionConfigSchema = z.strictObject({
  /** Names of Kong routes whose clients may say who they are: tenant header, traceparent. Everywhere else they may not. */
  trustedRoutes: z.array(z.string()).default([]),
  tenantHeader: z.string().toLowerCase().default('x-tenant-id'),
  userHeader: z.string().toLowerCase().default('x-user-id'),
  sessionHeader: z.string().toLowerCase().default('x-session-id'),
  /** Users and sessions as a hash: the same one stays the same, and nobody reads who it is. */
  hashUsers: z.boolean().default(false),
})
export type AttributionConfig = z.infer<typeof attributionConfigSchema>

export interface Attribution {
  tenant: string
  tenantSource: string
  trusted: boolean
  consumer?: string
  user?: string
  session?: string
  team?: string
  app?: string
  environment?: string
}

const MAX_ID = 64
const MAX_LABEL = 200

/**
 * Who called, by what Kong authenticated (design law 12). First match wins: the consumer's tag `tenant:x`, its
 * custom_id, its username, the route's tag, the service's tag, and on trusted routes the client's header.
 * `body` is the request's JSON: it may name user and session, never the tenant.
 */
export function attribute(
  log: KongLog,
  body: Readonly<Record<string, unknown>> | undefined,
  config: AttributionConfig,
): Attribution {
  const { consumer, route, service } = log
  const headers = log.request.headers
  const trusted = typeof route?.name === 'string' && config.trustedRoutes.includes(route.name)
  const candidates: [source: string, value: string | undefined][] = [
    ['consumer_tag', tagOf(consumer?.tags, 'tenant')],
    ['consumer_custom_id', consumer?.custom_id ?? undefined],
    ['consumer_username', consumer?.username ?? undefined],
    ['route_tag', tagOf(route?.tags, 'tenant')],
    ['service_tag', tagOf(service?.tags, 'tenant')],
    ['trusted_header', trusted ? textOf(headers[config.tenantHeader]) : undefined],
  ]
  const found = candidates.find(([, value]) => value !== undefined && value !== '')
  const metadata = body?.metadata as Record<string, unknown> | null | undefined
  const person = (value: unknown) => personOf(value, config.hashUsers)
  const anyTag = (name: string) => tagOf(consumer?.tags, name) ?? tagOf(route?.tags, name) ?? tagOf(service?.tags, name)
  return defined({
    tenant: found === undefined ? UNATTRIBUTED : tenantId(found[1]!),
    tenantSource: found === undefined ? UNATTRIBUTED : found[0],
    trusted,
    consumer: label(consumer?.username ?? consumer?.custom_id ?? consumer?.id),
    user: person(textOf(headers[config.userHeader]) ?? body?.user ?? metadata?.user_id ?? body?.safety_identifier),
    session: person(textOf(headers[config.sessionHeader]) ?? metadata?.session_id),
    team: label(anyTag('team')),
    app: label(anyTag('app')),
    environment: label(anyTag('env')),
  })
}

/** At most 64 of [A-Za-z0-9._-]: a tenant is a label, a header value and a file name. */
export function tenantId(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, MAX_ID)
}

function tagOf(tags: readonly string[] | null | undefined, name: string): string | undefined {
  const value = tags?.find((tag) => tag.startsWith(`${name}:`))?.slice(name.length + 1)
  return value === '' ? undefined : value
}

function textOf(header: unknown): string | undefined {
  const first: unknown = Array.isArray(header) ? header[0] : header
  return typeof first === 'string' && first !== '' ? first : undefined
}

function personOf(value: unknown, hashed: boolean): string | undefined {
  const name = label(value)
  return name !== undefined && hashed ? createHash('sha256').update(name).digest('hex').slice(0, 32) : name
}

function label(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_LABEL) : undefined
}

function defined(attribution: { [K in keyof Attribution]: Attribution[K] | undefined }): Attribution {
  return Object.fromEntries(
    Object.entries(attribution).filter(([, value]) => value !== undefined),
  ) as unknown as Attribution
}
