import type { RateLimit, RateLimitBudget } from '../call.ts'
import type { Headers } from './exchange-of.ts'

const MAX_BUDGETS = 16
const MAX_NAME = 64
const PARTS = { limit: 'limit', remaining: 'remaining', reset: 'resetSeconds' } as const
/** Windows by which Kong's own rate-limiting plugins name their budgets. Providers name what is counted. */
const WINDOWS = new Set(['second', 'minute', 'hour', 'day', 'month', 'year'])

type By = RateLimitBudget['by']

/**
 * What limiters say in their headers: Kong's (`X-AI-RateLimit-Remaining-30-openai`, `X-RateLimit-Remaining-Minute`,
 * `RateLimit-Remaining`) and the providers' (`x-ratelimit-remaining-tokens`, `anthropic-ratelimit-tokens-remaining`).
 */
export function readRateLimit(
  headers: Headers,
  call: { httpStatus: number; source: string | null | undefined; endedAt: number },
): RateLimit | undefined {
  const budgets = new Map<string, RateLimitBudget>()
  for (const header in headers) {
    const value = headers[header]
    // All names have it, most headers do not.
    const part = header.includes('ratelimit') ? partOf(header) : undefined
    if (part === undefined || value === undefined) continue
    const amount = part.field === 'resetSeconds' ? secondsOf(value, call.endedAt) : countOf(value)
    if (amount === undefined) continue
    const key = `${part.by} ${part.name}`
    let budget = budgets.get(key)
    if (budget === undefined) {
      if (budgets.size === MAX_BUDGETS) continue
      budget = { by: part.by, name: part.name.slice(0, MAX_NAME) }
      budgets.set(key, budget)
    }
    budget[part.field] = amount
  }
  const refused = call.httpStatus === 429
  const retryAfter = secondsOf(headers['retry-after'] ?? headers['x-ai-ratelimit-retry-after'], call.endedAt)
  if (!refused && budgets.size === 0) return undefined
  return {
    ...(refused && { refusedBy: call.source === 'upstream' ? ('provider' as const) : ('gateway' as const) }),
    ...(refused && retryAfter !== undefined && { retryAfterSeconds: retryAfter }),
    budgets: [...budgets.values()],
  }
}

interface Part {
  by: By
  name: string
  field: (typeof PARTS)[keyof typeof PARTS]
}

function partOf(header: string): Part | undefined {
  const kongAi = /^x-ai-ratelimit-(limit|remaining|reset)-(.+)$/.exec(header)
  if (kongAi !== null) return part('gateway', kongAi[1]!, kongAi[2]!)
  const anthropic = /^anthropic-ratelimit-(.+)-(limit|remaining|reset)$/.exec(header)
  if (anthropic !== null) return part('provider', anthropic[2]!, anthropic[1]!)
  const common = /^x-ratelimit-(limit|remaining|reset)-(.+)$/.exec(header)
  if (common !== null) return part(WINDOWS.has(common[2]!) ? 'gateway' : 'provider', common[1]!, common[2]!)
  // The draft's names without a window: Kong's rate-limiting sends them beside its own.
  const draft = /^ratelimit-(limit|remaining|reset)$/.exec(header)
  return draft === null ? undefined : part('gateway', draft[1]!, 'requests')
}

function part(by: By, field: string, name: string): Part {
  return { by, name, field: PARTS[field as keyof typeof PARTS] }
}

function countOf(text: string): number | undefined {
  const value = /^\d{1,15}/.exec(text.trim())?.[0]
  return value === undefined ? undefined : Number(value)
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }

/** `51`, `0.8`, `6m0s`, `20ms`, an instant of time (RFC 3339 or HTTP date). Rounded to a thousandth. */
export function secondsOf(value: string | undefined, now: number): number | undefined {
  const text = value?.trim() ?? ''
  if (text === '' || text.length > 64) return undefined
  let seconds: number
  if (/^\d+(\.\d+)?$/.test(text)) seconds = Number(text)
  else if (/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    seconds = 0
    for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
      seconds += Number(amount) * UNIT_SECONDS[unit!]!
  } else {
    const instant = Date.parse(text)
    if (Number.isNaN(instant)) return undefined
    seconds = (instant - now) / 1000
  }
  // Some say an instant in seconds of the epoch.
  if (seconds > 1e9) seconds -= now / 1000
  return seconds < 0 || seconds > 1e8 ? undefined : Math.round(seconds * 1000) / 1000
}
