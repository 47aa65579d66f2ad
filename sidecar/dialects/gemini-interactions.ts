import type { Counts } from './counts.ts'
import { lastObjectNamed } from './cut-json.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import {
  asCount,
  asList,
  asObject,
  asText,
  decodeText,
  type JsonObject,
  parseJson,
  withoutUndefined,
} from './json-value.ts'
import { partsOfContent } from './openai-content.ts'
import { errorOf } from './provider-error.ts'
import { type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Gemini's interactions: whole, streamed, in the background and polled (`GET /interactions/{id}`). */
export const geminiInteractions: Dialect = {
  id: 'gemini-interactions',
  matches: ({ path }) => /\/interactions(?:\/[^/]+(?:\/cancel)?)?$/.test(path),
  read: readInteraction,
}

function readInteraction(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const { interaction, text, error, started } = answerOf(view, exchange.status)
  const usage =
    asObject(interaction.usage) ??
    // The last event repeats the whole: its beginning may lie in the part that was cut out.
    (exchange.responseTail === undefined ? undefined : lastObjectNamed(decodeText(exchange.responseTail), 'usage'))
  const counts = usage === undefined ? undefined : countInteraction(usage)
  const status = asText(interaction.status)
  // At work in the background: the poll that sees its usage bills it.
  const pending = counts === undefined && status === 'in_progress' && view.form === 'json'
  const input = asText(body?.input)
  const output = text === '' ? outputOf(interaction) : text
  const outcome = pending
    ? { counts: {}, usageSource: 'none' as const, usageReason: 'pending' }
    : usageOutcome({
        status: exchange.status,
        form: view.form,
        counts,
        raw: usage,
        whole: true, // usage is said once, at the end
        ended: view.form === 'json' || (status !== undefined && status !== 'in_progress'),
        failed: error !== undefined,
        started,
      })
  return {
    operation: 'generate_content',
    stream: view.form === 'events' || body?.stream === true,
    ...withoutUndefined({
      requestModel: asText(body?.model) ?? asText(body?.agent),
      responseModel: asText(interaction.model),
      responseId: asText(interaction.id),
      serviceTier: asText(interaction.service_tier),
      error,
    }),
    ...outcome,
    guardrails: [],
    billable: exchange.method !== 'GET' || outcome.usageSource !== 'unknown',
    content: {
      ...(input === undefined ? {} : { input: [{ role: 'user', parts: [{ type: 'text' as const, content: input }] }] }),
      ...(output === ''
        ? {}
        : { output: [{ role: 'assistant', parts: [{ type: 'text' as const, content: output }] }] }),
    },
  }
}

function answerOf(view: ResponseView, status: number) {
  if (view.form === 'json' || view.form === 'cut_json')
    return { interaction: view.value, text: '', error: errorOf(view.value, status), started: false }
  let interaction: JsonObject = {}
  let text = ''
  let error: DialectReading['error']
  let started = false
  if (view.form === 'events')
    for (const { data } of view.events) {
      const event = asObject(parseJson(data))
      if (event === undefined) continue
      const own = asObject(event.interaction)
      if (own !== undefined) interaction = { ...interaction, ...own }
      error = errorOf(event, status) ?? error
      const delta = asObject(event.delta)
      if (delta !== undefined) started = true
      if (delta?.type === 'text') text += asText(delta.text) ?? ''
    }
  return { interaction, text, error, started }
}

/** `total_output_tokens` leaves the thoughts out, `total_input_tokens` what tools added. */
function countInteraction(usage: JsonObject): Counts | undefined {
  const prompt = asCount(usage.total_input_tokens)
  const generated = asCount(usage.total_output_tokens)
  if (prompt === undefined && generated === undefined) return undefined
  const tools = asCount(usage.total_tool_use_tokens)
  const thoughts = asCount(usage.total_thought_tokens) ?? asCount(usage.total_reasoning_tokens)
  return withoutUndefined({
    input: prompt === undefined ? undefined : prompt + (tools ?? 0),
    output: generated === undefined && thoughts === undefined ? undefined : (generated ?? 0) + (thoughts ?? 0),
    cacheRead: asCount(usage.total_cached_tokens),
    toolPrompt: tools,
    reasoning: thoughts,
    inputAudio: ofModality(usage.input_tokens_by_modality, 'audio'),
    inputImage: ofModality(usage.input_tokens_by_modality, 'image'),
    cacheReadAudio: ofModality(usage.cached_tokens_by_modality, 'audio'),
    outputAudio: ofModality(usage.output_tokens_by_modality, 'audio'),
    outputImage: ofModality(usage.output_tokens_by_modality, 'image'),
    total: asCount(usage.total_tokens),
  })
}

function ofModality(list: unknown, wanted: string): number | undefined {
  for (const item of asList(list)) {
    const detail = asObject(item)
    if (detail?.modality === wanted) return asCount(detail.tokens)
  }
  return undefined
}

function outputOf(interaction: JsonObject): string {
  const items = [...asList(interaction.steps), ...asList(interaction.outputs)]
  return items
    .flatMap((item) => {
      const step = asObject(item)
      return step?.type === 'thought' ? [] : partsOfContent(step?.content ?? [step])
    })
    .map((part) => (part.type === 'text' ? part.content : ''))
    .join('')
}
