import type { PriceAttributes } from '../call.ts'
import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, parseJson, withoutUndefined } from './json-value.ts'
import { countResponsesUsage } from './openai-responses.ts'
import { countOpenAiUsage } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { isRefusal, type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** OpenAI's images (generations, edits, variations), also as Azure, xAI and OpenRouter speak them. */
export const openAiImages: Dialect = {
  id: 'openai-images',
  matches: ({ path }) => /\/images(?:\/(?:generations|edits|variations))?$/.test(path),
  read: readImages,
}

function readImages(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const { answer, ended, error } = answerOf(view, exchange.status)
  const usage = watchUsage(view.form === 'cut_json' ? view.usage : asObject(answer.usage))
  const images = imagesOf(answer, view, body)
  const tokens = usage === undefined ? undefined : countImageUsage(usage)
  const outcome = usageOutcome({
    status: exchange.status,
    form: view.form,
    counts: tokens, // who is billed by tokens is not billed by the picture as well
    raw: usage,
    whole: ended,
    ended,
    failed: error !== undefined,
    started: false,
  })
  // DALL-E and others report nothing: they bill the image, by the size and quality that was asked for.
  const counted = outcome.usageSource === 'unknown' && images !== undefined && !isRefusal(exchange.status)
  return {
    operation: 'image_generation',
    stream: view.form === 'events',
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(answer.model),
      error,
      priceAttributes: attributesOf(answer, body),
    }),
    ...(counted
      ? { counts: { images }, usageSource: 'counted' as const, ...(usage && { usageSeen: usage }) }
      : outcome),
    guardrails:
      error?.type === 'moderation_blocked' || error?.type === 'content_policy_violation'
        ? [{ guardrail: 'openai.content_filter', stage: 'input', action: 'blocked' }]
        : [],
    billable: true,
    ...(asText(body?.prompt) === undefined
      ? {}
      : { content: { input: [{ role: 'user', parts: [{ type: 'text', content: asText(body?.prompt) as string }] }] } }),
  }
}

function answerOf(view: ResponseView, status: number) {
  if (view.form === 'json' || view.form === 'cut_json')
    return {
      answer: view.value,
      ended: view.form === 'json' || view.usage !== undefined,
      error: errorOf(view.value, status),
    }
  let answer: JsonObject = {}
  let error: DialectReading['error']
  if (view.form === 'events')
    for (const { data } of view.events) {
      const event = asObject(parseJson(data))
      if (event === undefined) continue
      // `image_generation.completed`, `image_edit.completed`: the partial images before it have no usage.
      if (asText(event.type)?.endsWith('.completed') === true) answer = event
      error = errorOf(event, status) ?? error
    }
  return { answer, ended: answer.type !== undefined, error }
}

/** gpt-image counts as the Responses API does; what it generates is image. OpenRouter counts as chat does. */
function countImageUsage(usage: JsonObject): Counts | undefined {
  const counts = countResponsesUsage(usage) ?? countOpenAiUsage(usage, '')
  if (counts?.output === undefined) return counts
  const text = asCount(asObject(usage.output_tokens_details)?.text_tokens) ?? 0
  return { ...counts, outputImage: counts.outputImage ?? Math.max(0, counts.output - text - (counts.reasoning ?? 0)) }
}

function imagesOf(answer: JsonObject, view: ResponseView, body: JsonObject | undefined): number | undefined {
  if (view.form === 'events') return asText(answer.b64_json) === undefined && answer.type === undefined ? undefined : 1
  const images = asList(answer.data).length
  if (images > 0) return images
  // A cut answer is one long image: how many came was asked for.
  return view.form === 'cut_json' ? (asCount(Number(body?.n ?? 1)) ?? 1) : undefined
}

function attributesOf(answer: JsonObject, body: JsonObject | undefined): PriceAttributes | undefined {
  const attributes: PriceAttributes = withoutUndefined({
    image_size: asText(answer.size) ?? asText(body?.size),
    image_quality: asText(answer.quality) ?? asText(body?.quality),
  })
  return Object.keys(attributes).length > 0 ? attributes : undefined
}
