import { z } from 'zod'
import type { PriceBook } from '../../pricing/price-book.ts'
import type { CacheLookup, CacheStatus } from '../call.ts'
import type { KongLog } from '../capture.ts'
import { asCount, asObject, asText, type JsonObject } from '../dialects/json-value.ts'
import { providerOfKong } from '../dialects/kong-ai-log.ts'
import { optional } from '../optional.ts'
import type { Headers } from './exchange-of.ts'

/** Caches that are not Kong's: which header says hit or miss. Values are compared without case. */
const ruleSchema = z.strictObject({
  header: z.string().toLowerCase().min(1),
  hit: z.array(z.string().toLowerCase()).min(1),
  miss: z.array(z.string().toLowerCase()).default([]),
  /** Kong routes and services by name; everywhere where neither is given. */
  routes: z.array(z.string()).optional(),
  services: z.array(z.string()).optional(),
})
export const semanticCacheConfigSchema = z.strictObject({ rules: z.array(ruleSchema).default([]) })
export type SemanticCacheConfig = z.infer<typeof semanticCacheConfigSchema>

export interface CacheReading {
  status?: CacheStatus
  lookup?: CacheLookup
}

const STATUSES: Readonly<Record<string, CacheStatus>> = {
  hit: 'hit',
  miss: 'miss',
  bypass: 'bypass',
  refresh: 'refresh',
}
const ROOTS = ['proxy', 'ai-proxy', 'ai-proxy-advanced']
const MAX_NAME = 128

/**
 * The operator's rules first; then Kong's own cache: its log, or its headers. It names its key beside the status, and on
 * a hit answers itself. A bare `X-Cache-Status` of an upstream may be a CDN's: believing it would make a billed call free.
 */
export function readCache(log: KongLog, responseHeaders: Headers, config: SemanticCacheConfig): CacheReading {
  const logged = cacheLog(log.ai)
  const status = statusByRule(log, responseHeaders, config) ?? statusByHeader(log, responseHeaders) ?? statusOf(logged)
  if (status === undefined) return {}
  const lookup = logged === undefined ? undefined : lookupOf(logged)
  return { status, ...(lookup !== undefined && { lookup }) }
}

/** The embedding of the look-up is spend of its own, whether it hit or not. */
export function priceLookup(lookup: CacheLookup, book: PriceBook, tenant: string, at: number): CacheLookup {
  const { embeddingsProvider: provider, embeddingsModel: model, embeddingsTokens: input } = lookup
  if (provider === undefined || model === undefined || input === undefined) return lookup
  const cost = book.costOf({ tenant, provider, models: [model], at }, { input })
  return cost.state === 'priced' ? { ...lookup, picoUsd: cost.picoUsd } : lookup
}

function statusByRule(log: KongLog, headers: Headers, { rules }: SemanticCacheConfig): CacheStatus | undefined {
  for (const { header, hit, miss, routes, services } of rules) {
    const elsewhere =
      (routes !== undefined || services !== undefined) &&
      !routes?.includes(log.route?.name ?? '') &&
      !services?.includes(log.service?.name ?? '')
    const value = elsewhere ? undefined : headers[header]?.toLowerCase()
    if (value === undefined) continue
    if (hit.includes(value)) return 'hit'
    if (miss.includes(value)) return 'miss'
  }
  return undefined
}

function statusByHeader({ source }: KongLog, headers: Headers): CacheStatus | undefined {
  const named = headers['x-cache-status']?.toLowerCase() ?? ''
  if (!Object.hasOwn(STATUSES, named)) return undefined
  return headers['x-cache-key'] !== undefined || source === 'kong' || source === 'exit' ? STATUSES[named] : undefined
}

function statusOf(logged: JsonObject | undefined): CacheStatus | undefined {
  const named = asText(logged?.cache_status)?.toLowerCase() ?? ''
  return Object.hasOwn(STATUSES, named) ? STATUSES[named] : undefined
}

function cacheLog(ai: unknown): JsonObject | undefined {
  const roots = asObject(ai)
  if (roots === undefined) return undefined
  for (const name of ROOTS) {
    const cache = asObject(asObject(roots[name])?.cache)
    if (cache !== undefined) return cache
  }
  return undefined
}

function lookupOf(logged: JsonObject): CacheLookup | undefined {
  const lookup: CacheLookup = {
    ...optional('lookupMs', asCount(logged.fetch_latency)),
    ...optional('embeddingsProvider', providerOfKong(logged.embeddings_provider)?.slice(0, MAX_NAME)),
    ...optional('embeddingsModel', asText(logged.embeddings_model)?.slice(0, MAX_NAME)),
    ...optional('embeddingsTokens', asCount(logged.embeddings_tokens)),
    ...optional('embeddingsMs', asCount(logged.embeddings_latency)),
  }
  return Object.keys(lookup).length > 0 ? lookup : undefined
}
