import { bedrockError, bedrockPriceAttributes } from './bedrock-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
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
  const reason = asText(answer.actionReason)?.slice(0, 200)
  const units = usage === undefined ? undefined : billedUnits(usage)
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
    guardrails:
      action === 'GUARDRAIL_INTERVENED'
        ? [
            {
              guardrail: 'aws.bedrock.guardrail',
              stage,
              action: 'blocked',
              ...(reason === undefined ? {} : { reason }),
            },
          ]
        : [],
    billable: true,
  }
}

/** `…PolicyUnits`, each a policy's; the free ones of regular expressions are not billed, nor the word filter. */
function billedUnits(usage: JsonObject): number | undefined {
  let units: number | undefined
  for (const [name, value] of Object.entries(usage)) {
    const count = asCount(value)
    if (count === undefined || !/Units$/.test(name) || /Free|^wordPolicy/.test(name)) continue
    units = (units ?? 0) + count
  }
  return units
}
