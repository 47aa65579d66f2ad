import type { Content } from '../call.ts'
import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { addGuardrail } from './guardrail-events.ts'
import { asCount, asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import {
  addFilterResults,
  addToOpenAiAnswer,
  emptyOpenAiAnswer,
  everyChoiceFinished,
  markGap,
  type OpenAiAnswer,
  outputMessages,
} from './openai-answer.ts'
import { openAiBilledLines, openAiFees, openAiPriceAttributes } from './openai-billed-lines.ts'
import { openAiParameters, openAiRequestContent } from './openai-content.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { providerOfHost } from './provider-of-host.ts'
import { usesByName } from './provider-tools.ts'
import { reportedBeside, reportedInUsage } from './reported-cost.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** OpenAI's chat completions, also as Azure, Groq, DeepSeek, Mistral, xAI, OpenRouter and many others speak them. */
export const openAiChat: Dialect = {
  id: 'openai-chat',
  // Mistral completes code and calls agents in the same format; Writer has its own path for it.
  // Databricks and SageMaker serve it under the name of the endpoint; xAI's deferred completions are polled.
  matches: ({ path, host }) =>
    /\/(?:chat|fim|agents)\/completions(?:\/[^/]+)?$|\/chat\/deferred-completion\/[^/]+$/.test(path) ||
    (host === 'api.writer.com' && path === '/v1/chat') ||
    (/\/serving-endpoints\/[^/]+\/invocations$/.test(path) && /databricks/.test(host)),
  read: (exchange, body) => readOpenAiChoices(exchange, body, 'chat'),
}

/** OpenAI's completions of a prompt: the same answer with `text` where a chat has messages. */
export const openAiCompletions: Dialect = {
  id: 'openai-completions',
  matches: ({ path }) => path.endsWith('/completions'),
  read: (exchange, body) => readOpenAiChoices(exchange, body, 'text_completion'),
}

export function readOpenAiChoices(
  exchange: Exchange,
  body: JsonObject | undefined,
  operation: 'chat' | 'text_completion',
): DialectReading {
  const view = viewResponse(exchange)
  const provider = providerOfHost(exchange.host) ?? 'openai'
  const answer = emptyOpenAiAnswer()
  let error: DialectReading['error']
  let done = false
  let before: JsonObject | undefined
  let pending = false

  if (view.form === 'json' || view.form === 'cut_json') {
    // Perplexity's asynchronous completions wrap the answer.
    const wrapped = view.value.choices === undefined ? asObject(view.value.response) : undefined
    pending = view.form === 'json' && isPending(view.value)
    addToOpenAiAnswer(answer, wrapped ?? view.value, provider)
    if (view.form === 'cut_json' && view.usage !== undefined) answer.usage = view.usage
    error = errorOf(view.value, exchange.status)
    addErrorFilters(answer, view.value, provider)
    answer.usageIsFinal = true
    done = view.form === 'json'
  } else if (view.form === 'events') {
    for (let position = 0; position < view.events.length; position++) {
      if (position === view.gapAt) {
        markGap(answer)
        answer.usageIsFinal = false
        before = answer.usage
      }
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

  // A running count from before the cut is not the last word, whatever ended there.
  const gapAtEnd = view.form === 'events' && view.gapAt !== undefined && view.gapAt >= view.events.length
  const beforeCut = answer.usage !== undefined && (gapAtEnd || answer.usage === before)
  if (beforeCut) answer.usageIsFinal = false
  const ended = done || (view.form === 'events' && exchange.responseComplete && everyChoiceFinished(answer))
  const usage = watchUsage(answer.usage)
  const tokens = usage === undefined ? undefined : countOpenAiUsage(usage, exchange.host)
  const model = answer.model ?? asText(body?.model)
  const outcome = usageOutcome({
    status: exchange.status,
    form: view.form,
    counts: usage && tokens && { ...tokens, ...openAiFees(usage, provider, model), ...toolsOf(answer, usage) },
    raw: usage,
    whole: answer.usageIsFinal || (ended && !beforeCut),
    ended,
    failed: error !== undefined,
    started: answer.choices.size > 0,
  })

  const output = outputMessages(answer)
  const cut = exchange.requestTruncated || !exchange.responseComplete || exchange.responseTail !== undefined
  const content: Content = {
    ...(body === undefined ? {} : openAiRequestContent(body)),
    ...(output.length > 0 ? { output } : {}),
    ...(cut ? { truncated: true } : {}),
  }
  const finishReasons = output.flatMap((message) => message.finishReason ?? [])
  return {
    operation,
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model) ?? endpointInPath(exchange.path),
      responseModel: answer.model,
      responseId: answer.id,
      // Azure names the tier that served in a header.
      serviceTier: answer.serviceTier ?? asText(exchange.responseHeaders['azureai-processed-tier']),
      systemFingerprint: answer.systemFingerprint,
      parameters: body === undefined ? undefined : openAiParameters(body),
      finishReasons: finishReasons.length > 0 ? finishReasons : undefined,
      error,
      reportedPicoUsd: reportedInUsage(usage, exchange.host) ?? reportedBeside(answer.last, exchange.responseHeaders),
      billedLines: withFees(
        usage && openAiBilledLines(usage, outcome.counts, provider, answer.breakdown),
        outcome.counts,
      ),
      priceAttributes: openAiPriceAttributes(usage, body),
    }),
    ...(pending && outcome.usageSource === 'unknown'
      ? { counts: {}, usageSource: 'none' as const, usageReason: 'pending' }
      : outcome),
    guardrails: [...answer.guardrails.values()],
    // A stored completion read again is recognised by its id (billing key); a list of them is nobody's answer.
    billable: exchange.method !== 'GET' || outcome.usageSource !== 'unknown',
    content,
  }
}

/** Lines of models leave the fees of tools out: they stand in a line of their own, at the first line's model. */
function withFees(lines: DialectReading['billedLines'], counts: Counts): DialectReading['billedLines'] {
  const { webSearches, toolCalls, liveSearchSources } = counts
  const fees = withoutUndefined({ webSearches, toolCalls, liveSearchSources })
  const first = lines?.[0]
  if (lines === undefined || first === undefined || Object.keys(fees).length === 0) return lines
  if (lines.some((line) => line.counts.webSearches !== undefined || line.counts.toolCalls !== undefined)) return lines
  return [
    ...lines,
    { kind: 'server_tools', ...(first.model === undefined ? {} : { model: first.model }), counts: fees },
  ]
}

/** An answer that is still to come: xAI's deferred, Perplexity's asynchronous completions. */
function isPending({ choices, status, request_id }: JsonObject): boolean {
  if (choices !== undefined) return false
  return (
    /^(?:created|queued|pending|in_progress|processing)$/i.test(asText(status) ?? '') ||
    asText(request_id) !== undefined
  )
}

/** Databricks: `/serving-endpoints/<name>/invocations`; Azure: `/openai/deployments/<name>/…`. */
function endpointInPath(path: string): string | undefined {
  return /\/(?:serving-endpoints|deployments)\/([^/]+)\//.exec(path)?.[1]
}

/** Uses of the provider's own tools that the answer tells: Groq's, Kimi's `$web_search`, Z.ai's search, xAI's live search. */
function toolsOf(
  answer: OpenAiAnswer,
  usage: JsonObject,
): Pick<Counts, 'webSearches' | 'toolCalls' | 'liveSearchSources'> {
  let toolCalls = answer.toolCalls
  for (const choice of answer.choices.values())
    for (const { name } of choice.toolCalls.values()) if (name.startsWith('$')) toolCalls++
  const plugins = usesByName(asObject(usage.plugins))
  const xAi = usesByName(asObject(usage.server_side_tool_usage_details))
  const searches = (xAi.webSearches ?? 0) + (plugins.webSearches ?? 0) + answer.webSearches
  const sources = asCount(usage.num_sources_used) ?? 0
  const others = toolCalls + (plugins.toolCalls ?? 0) + (xAi.toolCalls ?? 0)
  return {
    ...(searches > 0 ? { webSearches: searches } : {}),
    ...(others > 0 ? { toolCalls: others } : {}),
    ...(sources > 0 ? { liveSearchSources: sources } : {}),
  }
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
    addGuardrail(answer.guardrails, { guardrail: `${provider}.content_filter`, stage: 'input', action: 'blocked' })
}
