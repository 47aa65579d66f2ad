import { z } from 'zod'
import { billedPicoUsd, type LlmCall } from '../call.ts'
import { ofTenant, tenantMap } from '../tenant.ts'

const ratio = z.number().min(0).max(1)

/** Default 1, so that a Collector can count before it samples. */
export const samplingConfigSchema = z.strictObject({
  ratio: ratio.default(1),
  tenants: tenantMap(ratio).prefault({}),
  /** Always kept, whatever the ratio. */
  keepAboveUsd: z.number().nonnegative().optional(),
  keepAboveSeconds: z.number().nonnegative().optional(),
})
export type SamplingConfig = z.infer<typeof samplingConfigSchema>

/**
 * Whether a call is kept, and by which ratio. Deterministic by trace id, as OpenTelemetry's consistent probability
 * sampling does it: the last 56 bits are the trace's random number (here their upper 52, which a float holds exactly),
 * and those at or above the threshold are kept. So every observer that uses the same ratio decides alike, and what a
 * smaller ratio keeps a larger one keeps too.
 */
export function makeSampler(config: SamplingConfig) {
  const ratioOf = (call: LlmCall) => ofTenant(config.tenants, call.tenant) ?? config.ratio
  const alwaysKept = (call: LlmCall) =>
    call.status !== 'ok' ||
    call.guardrails.length > 0 ||
    (config.keepAboveUsd !== undefined && billedPicoUsd(call) > config.keepAboveUsd * 1e12) ||
    (config.keepAboveSeconds !== undefined && call.durationMs > config.keepAboveSeconds * 1000)
  return {
    keeps: (call: LlmCall): boolean => {
      const share = ratioOf(call)
      return (
        share >= 1 ||
        alwaysKept(call) ||
        Number.parseInt(call.trace.traceId.slice(-14, -1), 16) >= (1 - share) * 2 ** 52
      )
    },
    /** By how much a kept call stands for others: 1 where it was kept for what it is. */
    ratioFor: (call: LlmCall): number => (alwaysKept(call) ? 1 : ratioOf(call)),
  }
}
