import type { Message } from '../call.ts'
import { membersFrom } from './answer-end.ts'
import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import {
  asCount,
  asList,
  asNumber,
  asObject,
  asText,
  decodeText,
  type JsonObject,
  toJson,
  withoutUndefined,
} from './json-value.ts'
import { openAiRequestContent } from './openai-content.ts'
import { errorOf } from './provider-error.ts'
import { type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Ollama's own API: chat and generate, whole or a line for each piece, and embed. */
export const ollama: Dialect = {
  id: 'ollama',
  matches: ({ path }) => /\/api\/(?:chat|generate|embed|embeddings)$/.test(path),
  read: readOllama,
}

function readOllama(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const items = itemsOf(view, exchange)
  const embeds = /\/(?:embed|embeddings)$/.test(exchange.path)
  const last =
    items.findLast((item) => item.done === true || item.total_duration !== undefined) ?? (embeds ? items[0] : undefined)
  const error = items.map((item) => errorOf(item, exchange.status)).find((found) => found !== undefined)
  const counts = last === undefined ? undefined : countOllama(last, embeds)
  const message = messageOf(items, view.form === 'json_lines' ? view.gapAt : undefined)
  const finishReason = asText(last?.done_reason)
  const options = asObject(body?.options) ?? {}
  const prompt = body?.prompt ?? (embeds ? body?.input : undefined)
  // Asked for nothing, it loads the model, or unloads it.
  const loads = finishReason === 'load' || finishReason === 'unload'
  return {
    operation: embeds ? 'embeddings' : exchange.path.endsWith('/chat') ? 'chat' : 'text_completion',
    stream: view.form === 'json_lines' || /ndjson/.test(exchange.responseHeaders['content-type'] ?? ''),
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(items[0]?.model),
      finishReasons: finishReason === undefined ? undefined : [finishReason],
      parameters: withoutUndefined({
        maxTokens: asCount(options.num_predict),
        temperature: asNumber(options.temperature),
        topP: asNumber(options.top_p),
        topK: asNumber(options.top_k),
        seed: asNumber(options.seed),
      }),
      // Older versions leave the prompt out where their cache had it.
      usageReason: counts !== undefined && counts.input === undefined ? 'prompt_not_counted' : undefined,
      error,
    }),
    ...(loads && counts === undefined
      ? { counts: {}, usageSource: 'none' as const }
      : usageOutcome({
          status: exchange.status,
          form: view.form,
          counts,
          raw: last === undefined ? undefined : numbersOf(last),
          // Only the line that says `done` has counts; of one that was cut, some may be missing.
          whole: view.form !== 'cut_json' || (counts?.input !== undefined && (embeds || counts.output !== undefined)),
          ended: last !== undefined && view.form !== 'cut_json',
          failed: error !== undefined,
          started: message.parts.length > 0,
        })),
    guardrails: [],
    billable: true,
    content: {
      ...(body === undefined ? {} : openAiRequestContent(prompt === undefined ? body : { ...body, prompt })),
      ...(message.parts.length > 0
        ? { output: [{ ...message, ...(finishReason === undefined ? {} : { finishReason }) }] }
        : {}),
    },
  }
}

function countOllama(last: JsonObject, embeds: boolean): Counts | undefined {
  const input = asCount(last.prompt_eval_count)
  const output = embeds ? undefined : asCount(last.eval_count)
  if (input === undefined && output === undefined) return undefined
  return withoutUndefined({ input, output, cacheRead: asCount(last.prompt_eval_cached_count) })
}

/** The body, or the lines. Of a body whose middle was cut out, what is counted stands at the end. */
function itemsOf(view: ResponseView, { responseTail }: Exchange): readonly JsonObject[] {
  if (view.form === 'json_lines') return view.items
  if (view.form === 'json') return [view.value]
  if (view.form !== 'cut_json') return []
  const tail = responseTail === undefined ? '' : decodeText(responseTail)
  return [{ ...view.head, ...(membersFrom(tail, 'done') ?? membersFrom(tail, 'total_duration')) }]
}

function numbersOf(last: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(last).filter(([, value]) => typeof value === 'number'))
}

function messageOf(items: readonly JsonObject[], gapAt: number | undefined): Message {
  let text = ''
  let thoughts = ''
  const message: Message = { role: 'assistant', parts: [] }
  for (let position = 0; position < items.length; position++) {
    // The two ends of a text are not read as one.
    if (position === gapAt && text !== '') text += '[…]'
    else if (position === gapAt && thoughts !== '') thoughts += '[…]'
    const item = items[position] as JsonObject
    const piece = asObject(item.message)
    text += asText(piece?.content) ?? asText(item.response) ?? ''
    thoughts += asText(piece?.thinking) ?? asText(item.thinking) ?? ''
    for (const entry of asList(piece?.tool_calls)) {
      const invoked = asObject(asObject(entry)?.function)
      if (invoked !== undefined)
        message.parts.push({
          type: 'tool_call',
          name: asText(invoked.name) ?? '',
          arguments: toJson(invoked.arguments ?? {}) ?? '',
        })
    }
  }
  if (text !== '') message.parts.unshift({ type: 'text', content: text })
  if (thoughts !== '') message.parts.unshift({ type: 'reasoning', content: thoughts })
  return message
}
