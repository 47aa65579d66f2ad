import type { Attempt } from '../call.ts'
import type { KongLog } from '../capture.ts'
import { asList, asObject, asText } from '../dialects/json-value.ts'
import { providerOfKong } from '../dialects/kong-ai-log.ts'

const ROOTS = ['proxy', 'ai-proxy', 'ai-proxy-advanced']
const MAX_ATTEMPTS = 16
const MAX_NAME = 128

/** What is known of the attempt that gave the answer. */
export interface Answered {
  httpStatus: number
  failed: boolean
  startedAt: number
  durationMs: number
  picoUsd: number | undefined
}

/**
 * Several targets for one call, in order: Kong's balancer (`tries`), and ai-proxy-advanced, which names provider and
 * model (`tried_targets`). One call, of which only the last attempt's answer was seen. Undefined where there was one.
 */
export function readAttempts(log: KongLog, answered: Answered): Attempt[] | undefined {
  const tries = log.tries ?? []
  if (tries.length < 2 && log.ai == null) return undefined
  const targets = triedTargets(log.ai)
  const count = Math.min(MAX_ATTEMPTS, Math.max(tries.length, targets.length))
  if (count < 2) return undefined
  const statuses = statusesOf(log.upstream_status)
  const end = answered.startedAt + answered.durationMs
  return Array.from({ length: count }, (_, index): Attempt => {
    const last = index === count - 1
    const tried = tries[index]
    const started = asTime(tried?.balancer_start)
    const next = last ? end : asTime(tries[index + 1]?.balancer_start)
    const status = last ? answered.httpStatus : (asStatus(tried?.code) ?? statuses[index])
    return {
      ...targets[index],
      ...(targets[index]?.address === undefined && tried?.ip != null && { address: addressOf(tried.ip, tried.port) }),
      ...(started !== undefined && { startedAt: started }),
      ...(started !== undefined && next !== undefined && { durationMs: Math.max(0, next - started) }),
      ...(status !== undefined && { httpStatus: status }),
      failed: last ? answered.failed : true,
      ...(last && answered.picoUsd !== undefined && { picoUsd: answered.picoUsd }),
    }
  })
}

function triedTargets(ai: unknown): Partial<Attempt>[] {
  const roots = asObject(ai)
  const root = ROOTS.map((name) => asObject(roots?.[name])).find((found) => found?.tried_targets !== undefined)
  return (asList(root?.tried_targets) ?? []).map((item) => {
    const target = asObject(item)
    const provider = providerOfKong(target?.provider)?.slice(0, MAX_NAME)
    const model = asText(target?.model)?.slice(0, MAX_NAME)
    const host = (asText(target?.host) ?? asText(target?.ip))?.slice(0, MAX_NAME)
    return {
      ...(provider !== undefined && { provider }),
      ...(model !== undefined && { model }),
      ...(host !== undefined && { address: addressOf(host, target?.port) }),
    }
  })
}

function addressOf(host: string, port: unknown): string {
  return typeof port === 'number' ? `${host}:${port}` : host
}

/** nginx's variable: one status an attempt, `502, 200`; `-` where a target was never heard. */
function statusesOf(upstreamStatus: string | number | null | undefined): (number | undefined)[] {
  return String(upstreamStatus ?? '')
    .split(/[,:]/)
    .map((text) => asStatus(Number(text.trim())))
}

function asStatus(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 100 && value <= 599 ? value : undefined
}

/** Epoch milliseconds, whole, from this century. */
function asTime(value: number | null | undefined): number | undefined {
  return typeof value === 'number' && value > 946_684_800_000 && value < 8.64e15 ? Math.round(value) : undefined
}
