import { billedGuardrailUnits, guardrailEvents } from './bedrock-guardrail.ts'
import { bedrockError, bedrockPriceAttributes } from './bedrock-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { boundedRawUsage } from './raw-usage.ts'
import { isRefusal, viewResponse } from './response-view.ts'

/** Bedrock's ApplyGuardrail: a guardrail asked on its own. Each policy bills its units of text. */
export const bedrockApplyGuardrail: Dialect = {
  id: 'bedrock-apply-guardrail',
  matches: ({ path }) => /\/guardrail\/[^/]+\/version\/[^/]+\/apply$/.test(path),
  read: readApplyGuardrail,
}

function readApplyGuardrail(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const usage = view.form === 'cut_json' ? view.usage : asObject(answer.usage)
  const action = asText(answer.action)
  const units = usage === undefined ? undefined : billedGuardrailUnits(usage)
  const stage = body?.source === 'OUTPUT' ? 'output' : 'input'
  const outcome =
    units === undefined
      ? isRefusal(exchange.status)
        ? { counts: {}, usageSource: 'none' as const }
        : { counts: {}, usageSource: 'unknown' as const, usageReason: 'body_without_usage' }
      : { counts: { guardrailUnits: units }, usageSource: 'counted' as const, rawUsage: boundedRawUsage(usage!) }
  return {
    operation: 'guardrail',
    stream: false,
    ...withoutUndefined({
      requestModel: /\/guardrail\/([^/]+)\//.exec(exchange.path)?.[1],
      finishReasons: action === undefined ? undefined : [action],
      priceAttributes: bedrockPriceAttributes(exchange.host),
      error: bedrockError(answer, exchange),
    }),
    ...outcome,
    guardrails: guardrailEvents({
      input: stage === 'input' ? answer.assessments : undefined,
      output: stage === 'output' ? answer.assessments : undefined,
      intervened: action === 'GUARDRAIL_INTERVENED',
      stage,
      reason: asText(answer.actionReason),
    }),
    billable: true,
  }
}
