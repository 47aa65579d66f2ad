import type { Content, GuardrailEvent, Message, PriceAttributes } from '../call.ts'
import type { Counts } from './counts.ts'
import { levelsAtEnd } from './cut-json.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { addGuardrail, type GuardrailEvents } from './guardrail-events.ts'
import {
  asCount,
  asList,
  asNumber,
  asObject,
  asText,
  decodeText,
  type JsonObject,
  parseJson,
  withoutUndefined,
} from './json-value.ts'
import { addFilterResults } from './openai-answer.ts'
import { messagesOfItems, responsesRequestContent } from './openai-responses-content.ts'
import { errorOf } from './provider-error.ts'
import { providerOfHost } from './provider-of-host.ts'
import { reportedCost } from './reported-cost.ts'
import { type ResponseView, viewResponse } from './response-view.ts'
import { endOfCutEvent } from './server-sent-events.ts'
import { usageOutcome } from './usage-outcome.ts'

/**
 * OpenAI's Responses, also as Azure, xAI, DeepSeek, OpenRouter and Bedrock's mantle speak them: whole, streamed, in the
 * background, polled (`GET /responses/{id}`), cancelled and compacted.
 */
export const openAiResponses: Dialect = {
  id: 'openai-responses',
  matches: ({ path }) =>
    /\/responses(?:\/(?!input_tokens$)[^/]+(?:\/cancel)?)?$/.test(path) && !path.includes('/threads/'),
  read: readResponses,
}

/** After these nothing more is said of the answer. */
const FINAL_STATES = new Set(['completed', 'incomplete', 'failed', 'cancelled'])
const FINAL_EVENTS = new Set([...FINAL_STATES].map((state) => `response.${state}`))
const PENDING_STATES = new Set(['queued', 'in_progress'])

interface Answer {
  response: JsonObject
  usage: JsonObject | undefined
  /** The answer's own end was heard. */
  ended: boolean
  started: boolean
  text: string
  error: DialectReading['error']
}

function readResponses(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'events' ? answerOfEvents(exchange, view) : answerOfBody(exchange, view)
  const { response, usage } = answer
  const status = asText(response.status)
  const reason = asText(asObject(response.incomplete_details)?.reason)
  const finishReasons = [status, reason].filter((word) => word !== undefined)
  const provider = providerOfHost(exchange.host) ?? 'openai'
  const output = asList(response.output)
  const counts = usage === undefined ? undefined : countResponsesUsage(usage, output)
  // A background answer that is still at work is billed once it is done: the poll that sees its usage bills it.
  const pending = counts === undefined && status !== undefined && PENDING_STATES.has(status) && view.form === 'json'
  const outcome = pending
    ? { counts: {}, usageSource: 'none' as const, usageReason: 'pending' }
    : usageOutcome({
        status: exchange.status,
        form: view.form,
        counts,
        raw: usage,
        whole: answer.ended,
        ended: answer.ended,
        failed: answer.error !== undefined,
        started: answer.started,
      })
  // The tokens of a generated image are in no usage object: the number is right for the model, not for the tool.
  const drew = output.some((item) => asObject(item)?.type === 'image_generation_call')
  const content = contentOf(exchange, body, answer)
  return {
    operation: 'chat',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(response.model),
      responseId: asText(response.id),
      serviceTier: asText(response.service_tier) ?? asText(exchange.responseHeaders['azureai-processed-tier']),
      parameters: body === undefined ? undefined : parametersOf(body),
      finishReasons: finishReasons.length > 0 ? finishReasons : undefined,
      error: answer.error,
      reportedPicoUsd: reportedCost(usage),
      priceAttributes: searchContext(body),
      usageReason: drew && outcome.usageSource === 'provider' ? 'image_tool_not_reported' : undefined,
    }),
    ...outcome,
    guardrails: guardrailsOf(response, reason, provider),
    billable: exchange.method !== 'GET' || outcome.usageSource !== 'unknown',
    content,
  }
}

function answerOfBody(exchange: Exchange, view: ResponseView): Answer {
  const response = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const usage = view.form === 'cut_json' ? view.usage : asObject(response.usage)
  const failure = asObject(response.error)
  return {
    response,
    usage,
    // Usage stands in the body once, when all is said.
    ended: view.form === 'json' || usage !== undefined,
    started: asList(response.output).length > 0,
    text: '',
    error: failure === undefined && exchange.status < 400 ? undefined : errorOf(response, exchange.status),
  }
}

function answerOfEvents(exchange: Exchange, view: Extract<ResponseView, { form: 'events' }>): Answer {
  let ended = false
  const answer: Answer = { response: {}, usage: undefined, ended: false, started: false, text: '', error: undefined }
  for (let position = 0; position < view.events.length; position++) {
    if (position === view.gapAt && answer.text !== '') answer.text += '[…]'
    const event = asObject(parseJson((view.events[position] as (typeof view.events)[number]).data))
    if (event === undefined) continue
    const response = asObject(event.response)
    if (response !== undefined) {
      answer.response = { ...answer.response, ...response }
      const failure = asObject(response.error)
      if (failure !== undefined) answer.error = errorOf(response, exchange.status)
    }
    const type = asText(event.type)
    if (type !== undefined && FINAL_EVENTS.has(type)) ended = true
    if (type === 'response.output_text.delta') {
      answer.started = true
      answer.text += asText(event.delta) ?? ''
    } else if (type === 'error')
      answer.error = errorOf(event.error === undefined ? { error: event } : event, exchange.status)
    else if (type?.endsWith('.delta') === true) answer.started = true
  }
  // Earlier events say `usage: null`: only the last one, of a final state, holds it.
  const status = asText(answer.response.status)
  answer.ended = ended || (status !== undefined && FINAL_STATES.has(status))
  answer.usage = asObject(answer.response.usage)
  if (answer.usage === undefined && exchange.responseTail !== undefined) {
    // The last event repeats the whole answer: its beginning may lie in the part that was cut out.
    const [event, response] = levelsAtEnd(endOfCutEvent(decodeText(exchange.responseTail)))
    const usage = asObject((asObject(event?.members?.response) ?? response?.members)?.usage)
    if (usage !== undefined && asCount(usage.input_tokens) !== undefined) {
      answer.usage = usage
      answer.ended = true
    }
  }
  return answer
}

/** `input_tokens` holds the cached ones, `output_tokens` the reasoning. */
export function countResponsesUsage(raw: JsonObject, output: readonly unknown[] = []): Counts | undefined {
  const input = asCount(raw.input_tokens)
  const generated = asCount(raw.output_tokens)
  if (input === undefined && generated === undefined) return undefined
  const inputDetails = asObject(raw.input_tokens_details) ?? asObject(raw.input_token_details) // transcriptions: singular
  const outputDetails = asObject(raw.output_tokens_details) ?? asObject(raw.output_token_details)
  return withoutUndefined({
    input,
    output: generated,
    cacheRead: asCount(inputDetails?.cached_tokens),
    cacheWrite: asCount(inputDetails?.cache_write_tokens),
    inputAudio: asCount(inputDetails?.audio_tokens),
    inputImage: asCount(inputDetails?.image_tokens),
    reasoning: asCount(outputDetails?.reasoning_tokens),
    outputAudio: asCount(outputDetails?.audio_tokens),
    outputImage: asCount(outputDetails?.image_tokens),
    total: asCount(raw.total_tokens),
    webSearches: webSearches(raw, output),
  })
}

/** Billed by the search; opening a page that was found, or looking for words in it, is not one. */
function webSearches(raw: JsonObject, output: readonly unknown[]): number | undefined {
  const told = asCount(asObject(raw.server_side_tool_usage_details)?.web_search_calls) // xAI
  const seen = output.filter((entry) => {
    const item = asObject(entry)
    const action = asText(asObject(item?.action)?.type)
    return item?.type === 'web_search_call' && (action === undefined || action === 'search')
  }).length
  return told ?? (seen > 0 ? seen : undefined)
}

function searchContext(body: JsonObject | undefined): PriceAttributes | undefined {
  for (const entry of asList(body?.tools)) {
    const tool = asObject(entry)
    const size = asText(tool?.search_context_size)
    if (asText(tool?.type)?.startsWith('web_search') === true && size !== undefined)
      return { search_context_size: size }
  }
  return undefined
}

function guardrailsOf(response: JsonObject, reason: string | undefined, provider: string): GuardrailEvent[] {
  const guardrails: GuardrailEvents = new Map()
  if (reason === 'content_filter')
    addGuardrail(guardrails, { guardrail: `${provider}.content_filter`, stage: 'output', action: 'blocked' })
  for (const item of asList(response.output))
    for (const part of asList(asObject(item)?.content))
      if (asObject(part)?.type === 'refusal')
        addGuardrail(guardrails, { guardrail: `${provider}.refusal`, stage: 'output', action: 'blocked' })
  // Azure: one result for the prompt, one for the completion.
  for (const entry of asList(response.content_filters)) {
    const filter = asObject(entry)
    const stage = filter?.source_type === 'prompt' ? 'input' : 'output'
    addFilterResults({ guardrails }, asObject(filter?.content_filter_results), stage, provider)
  }
  return [...guardrails.values()]
}

function parametersOf(body: JsonObject): DialectReading['parameters'] {
  const format = asText(asObject(asObject(body.text)?.format)?.type)
  return withoutUndefined({
    maxTokens: asCount(body.max_output_tokens),
    temperature: asNumber(body.temperature),
    topP: asNumber(body.top_p),
    outputType: format === undefined ? undefined : format.startsWith('json') ? 'json' : format,
  })
}

function contentOf(exchange: Exchange, body: JsonObject | undefined, answer: Answer): Content {
  const whole = messagesOfItems(answer.response.output)
  const pieces: Message[] =
    answer.text === '' ? [] : [{ role: 'assistant', parts: [{ type: 'text', content: answer.text }] }]
  const output = whole.length > 0 ? whole : pieces
  const finish = asText(asObject(answer.response.incomplete_details)?.reason) ?? asText(answer.response.status)
  const last = output.at(-1)
  if (last !== undefined && finish !== undefined) last.finishReason = finish
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  return {
    ...(body === undefined ? {} : responsesRequestContent(body)),
    ...(output.length > 0 ? { output } : {}),
    ...(cut ? { truncated: true } : {}),
  }
}
