import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { partsOfContent } from './openai-content.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Mistral's conversations: started and continued, whole or streamed. Reading one again has no usage. */
export const mistralConversations: Dialect = {
  id: 'mistral-conversations',
  matches: ({ path, method, host }) =>
    method === 'POST' && host.endsWith('mistral.ai') && /\/v1\/conversations(?:\/[^/]+(?:\/restart)?)?$/.test(path),
  read: readConversation,
}

function readConversation(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const objects = objectsOf(view)
  const last = objects.findLast((object) => asObject(object.usage) !== undefined) ?? objects.at(-1) ?? {}
  const usage = watchUsage(view.form === 'cut_json' ? view.usage : asObject(last.usage))
  const error = objects.map((object) => errorOf(object, exchange.status)).find((found) => found !== undefined)
  const pieces = view.form === 'events' ? objects : asList(last.outputs).map(asObject)
  const text = pieces
    .flatMap((piece) => partsOfContent(piece?.content))
    .map((part) => (part.type === 'text' ? part.content : ''))
    .join('')
  const input = asText(body?.inputs)
  return {
    operation: 'chat',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model) ?? asText(body?.agent_id),
      responseModel: pieces.map((piece) => asText(piece?.model)).find((model) => model !== undefined),
      error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: usage === undefined ? undefined : countConversation(usage),
      raw: usage,
      whole: true, // only the event that ends the answer has usage
      ended: usage !== undefined || view.form === 'json',
      failed: error !== undefined,
      started: text !== '',
    }),
    guardrails: [],
    billable: true,
    content: {
      ...(input === undefined ? {} : { input: [{ role: 'user', parts: [{ type: 'text' as const, content: input }] }] }),
      ...(text === '' ? {} : { output: [{ role: 'assistant', parts: [{ type: 'text' as const, content: text }] }] }),
    },
  }
}

/** What connectors (search, code …) added to the prompt stands beside it: the total holds both. */
function countConversation(usage: JsonObject): Counts | undefined {
  const counts = countOpenAiUsage(usage, '')
  const connectors = asCount(usage.connector_tokens)
  // Each use of a connector has a fee.
  const connectorUses = asObject(usage.connectors) ?? {}
  const toolCalls = Object.keys(connectorUses).reduce((sum, name) => sum + (asCount(connectorUses[name]) ?? 0), 0)
  const fees = toolCalls > 0 ? { toolCalls } : {}
  if (counts?.input === undefined || connectors === undefined) return counts && { ...counts, ...fees }
  const beside = counts.total === counts.input + (counts.output ?? 0) + connectors
  return beside
    ? { ...counts, ...fees, input: counts.input + connectors, toolPrompt: connectors }
    : { ...counts, ...fees }
}
