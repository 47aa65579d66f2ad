import type { LlmCall } from '../call.ts'
import type { Capture } from '../capture.ts'

/**
 * A plugin on a route or a service has been put on LLM traffic: all that it sees is an LLM call. One that stands globally
 * sees every request of the gateway: of those count the ones to a known provider, in a format of one, or of Kong's AI
 * plugins.
 */
export function isLlmCall(capture: Capture, call: Pick<LlmCall, 'dialect' | 'provider'>): boolean {
  if (capture.scope !== 'global') return true
  return call.provider !== 'unknown' || call.dialect !== 'unknown' || capture.log.ai != null
}
