import type { LlmCall } from '../call.ts'
import type { Capture } from '../capture.ts'
import { isModelRequest } from '../dialects/index.ts'
import { withoutQuery } from './exchange-of.ts'

/**
 * A plugin on a route or a service has been put on LLM traffic: all that it sees is an LLM call. One that stands globally
 * sees every request of the gateway: of those count the ones to a known provider, in a format of one, or of Kong's AI
 * plugins; and, where no tap saw the bodies, the ones that post to a path of a model's format.
 */
export function isLlmCall(capture: Capture, call: Pick<LlmCall, 'dialect' | 'provider'>): boolean {
  if (capture.scope !== 'global') return true
  if (call.provider !== 'unknown' || call.dialect !== 'unknown' || capture.log.ai != null) return true
  const { service, upstream_uri, request } = capture.log
  const path = withoutQuery(upstream_uri ?? request.uri)
  return isModelRequest(request.method, (service?.host ?? '').toLowerCase(), path)
}
