import type { GuardrailEvent } from '../call.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { addGuardrail, categorised, type GuardrailEvents } from './guardrail-events.ts'
import { asList, asNumber, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
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
  const guardrails: GuardrailEvents = new Map()
  for (const result of asList(answer.results))
    for (const event of flagged(asObject(result))) addGuardrail(guardrails, event)
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
    guardrails: [...guardrails.values()],
    billable: false,
  }
}

function flagged(result: JsonObject | undefined): GuardrailEvent[] {
  if (result?.flagged !== true) return []
  const scores = asObject(result.category_scores)
  const hit = Object.entries(asObject(result.categories) ?? {}).filter(([, found]) => found === true)
  const categories = Object.fromEntries(
    hit.map(([category]) => [category, asNumber(scores?.[category])?.toFixed(4) ?? 'flagged']),
  )
  return [categorised({ guardrail: 'openai.moderation', stage: 'input', action: 'flagged' }, categories)]
}
