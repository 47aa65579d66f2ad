import type { GuardrailEvent } from '../call.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { viewResponse } from './response-view.ts'

/** OpenAI's and Mistral's moderations: free of charge, and a guardrail's own words. */
export const openAiModerations: Dialect = {
  id: 'openai-moderations',
  matches: ({ path }) => /\/moderations$/.test(path),
  read: readModerations,
}

function readModerations(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const guardrails = asList(answer.results).flatMap((result) => flagged(asObject(result)))
  return {
    operation: 'moderation',
    stream: false,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(answer.model),
      responseId: asText(answer.id),
      error: errorOf(answer, exchange.status),
    }),
    counts: {},
    usageSource: 'none',
    guardrails,
    billable: false,
  }
}

function flagged(result: JsonObject | undefined): GuardrailEvent[] {
  if (result?.flagged !== true) return []
  const categories = Object.entries(asObject(result.categories) ?? {}).filter(([, hit]) => hit === true)
  return categories.map(([category]) => ({
    guardrail: 'openai.moderation',
    stage: 'input',
    action: 'flagged',
    reason: category.slice(0, 64),
  }))
}
