import type { Content } from '../call.ts'
import type { Dialect, Exchange, Reading } from './dialect.ts'
import { asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import {
  addFilterResults,
  addToOpenAiAnswer,
  emptyOpenAiAnswer,
  everyChoiceFinished,
  markGap,
  type OpenAiAnswer,
  outputMessages,
} from './openai-answer.ts'
import { openAiParameters, openAiRequestContent } from './openai-content.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { providerOfHost } from './provider-of-host.ts'
import { boundedRawUsage } from './raw-usage.ts'
import { isRefusal, viewResponse } from './response-view.ts'

/** OpenAI's chat completions, also as Azure, Groq, DeepSeek, Mistral, xAI, OpenRouter and many others speak them. */
export const openAiChat: Dialect = {
  id: 'openai-chat',
  matches: ({ path }) => path.endsWith('/chat/completions'),
  read: readOpenAiChat,
}

type UsageOutcome = Pick<Reading, 'usage' | 'usageSource' | 'usageReason' | 'rawUsage'>

function readOpenAiChat(exchange: Exchange, body: JsonObject | undefined): Reading {
  const view = viewResponse(exchange)
  const provider = providerOfHost(exchange.host) ?? 'openai'
  const answer = emptyOpenAiAnswer()
  let error: Reading['error']
  let done = false
  let outcome: UsageOutcome

  if (view.form === 'json' || view.form === 'cut_json') {
    addToOpenAiAnswer(answer, view.value, provider)
    if (view.form === 'cut_json' && view.usage !== undefined) answer.usage = view.usage
    error = errorOf(view.value, exchange.status)
    addErrorFilters(answer, view.value, provider)
    answer.usageIsFinal = true
    done = view.form === 'json'
  } else if (view.form === 'events') {
    for (let position = 0; position < view.events.length; position++) {
      if (position === view.gapAt) markGap(answer)
      const { data } = view.events[position] as (typeof view.events)[number]
      if (data.startsWith('[DONE]')) {
        done = true
        continue
      }
      const chunk = asObject(parseJson(data))
      if (chunk === undefined) continue
      addToOpenAiAnswer(answer, chunk, provider)
      error = errorOf(chunk, exchange.status) ?? error
    }
  }

  if (isRefusal(exchange.status)) outcome = { usage: {}, usageSource: 'none' }
  else if (view.form === 'none') outcome = { usage: {}, usageSource: 'unknown', usageReason: 'no_body' }
  else if (view.form === 'unreadable') outcome = { usage: {}, usageSource: 'unknown', usageReason: 'unreadable_body' }
  else outcome = usageOutcome(exchange, answer, view.form === 'events', done, error !== undefined)

  const output = outputMessages(answer)
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  const content: Content = {
    ...(body === undefined ? {} : openAiRequestContent(body)),
    ...(output.length > 0 ? { output } : {}),
    ...(cut ? { truncated: true } : {}),
  }
  const finishReasons = output.flatMap((message) => message.finishReason ?? [])
  return {
    operation: 'chat',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: answer.model,
      responseId: answer.id,
      serviceTier: answer.serviceTier,
      systemFingerprint: answer.systemFingerprint,
      parameters: body === undefined ? undefined : openAiParameters(body),
      finishReasons: finishReasons.length > 0 ? finishReasons : undefined,
      error,
    }),
    ...outcome,
    guardrails: [...answer.guardrails.values()],
    billable: exchange.method !== 'GET', // reading a stored completion again costs nothing
    content,
  }
}

function usageOutcome(
  exchange: Exchange,
  answer: OpenAiAnswer,
  stream: boolean,
  done: boolean,
  failed: boolean,
): UsageOutcome {
  const counted = answer.usage === undefined ? undefined : countOpenAiUsage(answer.usage, exchange.host)
  const cut = !done && !(stream && exchange.responseComplete && everyChoiceFinished(answer))
  if (answer.usage !== undefined && counted !== undefined) {
    const whole = answer.usageIsFinal || !cut
    const reason = counted.reason ?? (whole ? undefined : failed ? 'stream_error' : 'stream_cut')
    return {
      usage: counted.usage,
      usageSource: whole ? 'provider' : 'partial',
      ...(reason === undefined ? {} : { usageReason: reason }),
      rawUsage: boundedRawUsage(answer.usage),
    }
  }
  // An error before the first word: nothing was generated, nothing is billed.
  if (failed && answer.choices.size === 0) return { usage: {}, usageSource: 'none' }
  const usageReason = failed
    ? 'stream_error'
    : !stream
      ? cut
        ? 'body_cut'
        : 'body_without_usage'
      : cut
        ? 'stream_cut'
        : 'stream_without_usage'
  return { usage: {}, usageSource: 'unknown', usageReason }
}

/** Azure refuses a prompt with a 400 whose innererror names the categories. */
function addErrorFilters(answer: OpenAiAnswer, body: JsonObject, provider: string): void {
  const error = asObject(body.error)
  if (error?.code !== 'content_filter') return
  const inner = asObject(error.innererror)
  const results = asObject(inner?.content_filter_result) ?? asObject(inner?.content_filter_results)
  const before = answer.guardrails.size
  addFilterResults(answer, results, 'input', provider)
  if (answer.guardrails.size === before)
    answer.guardrails.set('error', { guardrail: `${provider}.content_filter`, stage: 'input', action: 'blocked' })
}
