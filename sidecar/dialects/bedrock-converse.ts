import type { Content, GuardrailEvent, Message } from '../call.ts'
import {
  addConverseDelta,
  bedrockParameters,
  type ConverseBlocks,
  converseRequestContent,
  markConverseGap,
  partsInOrder,
  partsOfConverse,
  startConverseBlock,
} from './bedrock-content.ts'
import { guardrailEvents } from './bedrock-guardrail.ts'
import { bedrockEvents, isStreamed } from './bedrock-stream.ts'
import { bedrockError, bedrockPriceAttributes, countConverseUsage, modelInBedrockPath } from './bedrock-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Bedrock's converse: one format for every model, whole or as a binary stream of events. */
export const bedrockConverse: Dialect = {
  id: 'bedrock-converse',
  matches: ({ path }) => /\/model\/.+\/converse(?:-stream)?$/.test(path),
  read: readConverse,
}

interface Answer {
  form: 'none' | 'json' | 'cut_json' | 'events' | 'unreadable'
  usage?: JsonObject
  stopReason?: string
  serviceTier?: string
  latency?: string
  /** The model that a prompt router chose. */
  model?: string
  guardrail?: JsonObject
  message: Message
  started: boolean
  /** Something was cut off, or out. */
  cut: boolean
  error: DialectReading['error']
}

function readConverse(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const answer = isStreamed(exchange) ? answerOfStream(exchange) : answerOfBody(exchange)
  const { stopReason, message } = answer
  const usage = watchUsage(answer.usage)
  const finishReason = stopReason === undefined ? {} : { finishReason: stopReason }
  const content: Content = {
    ...(body === undefined ? {} : converseRequestContent(body)),
    ...(message.parts.length > 0 ? { output: [{ ...message, ...finishReason }] } : {}),
    ...(exchange.requestTruncated || answer.cut ? { truncated: true } : {}),
  }
  return {
    operation: 'chat',
    stream: exchange.path.endsWith('-stream'),
    ...withoutUndefined({
      requestModel: modelInBedrockPath(exchange.path),
      responseModel: answer.model,
      serviceTier: answer.serviceTier,
      parameters: bedrockParameters(body?.inferenceConfig, body?.additionalModelRequestFields),
      finishReasons: stopReason === undefined ? undefined : [stopReason],
      priceAttributes: bedrockPriceAttributes(exchange.host, answer.latency),
      error: answer.error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: answer.form,
      counts: usage === undefined ? undefined : countConverseUsage(usage),
      raw: usage,
      // Usage is said once, in one object: the metadata event that ends a stream, or a member of the body.
      whole: true,
      ended: answer.form === 'events' ? stopReason !== undefined : answer.form === 'json',
      failed: answer.error !== undefined,
      started: answer.started,
    }),
    guardrails: guardrailsOf(answer),
    billable: true,
    content,
  }
}

function emptyAnswer(form: Answer['form'], cut: boolean): Answer {
  return { form, message: { role: 'assistant', parts: [] }, started: false, cut, error: undefined }
}

function answerOfBody(exchange: Exchange): Answer {
  const view = viewResponse(exchange)
  const cut = !exchange.responseComplete || exchange.responseTail !== undefined
  if (view.form !== 'json' && view.form !== 'cut_json')
    return emptyAnswer(view.form === 'none' ? 'none' : 'unreadable', cut)
  const answer = emptyAnswer(view.form, cut || view.form === 'cut_json')
  const { value } = view
  const message = asObject(asObject(value.output)?.message)
  answer.message = { role: asText(message?.role) ?? 'assistant', parts: partsOfConverse(message?.content) }
  answer.started = answer.message.parts.length > 0
  answer.error = bedrockError(value, exchange)
  const stopReason = asText(value.stopReason)
  if (stopReason !== undefined) answer.stopReason = stopReason
  addMetadata(answer, view.form === 'cut_json' ? { ...value, usage: view.usage } : value)
  return answer
}

/** What stands beside the message: in a whole body, or in a stream's metadata event. */
function addMetadata(answer: Answer, metadata: JsonObject): void {
  const usage = asObject(metadata.usage)
  if (usage !== undefined) answer.usage = usage
  const trace = asObject(metadata.trace)
  const guardrail = asObject(trace?.guardrail)
  if (guardrail !== undefined) answer.guardrail = guardrail
  const model = asText(asObject(trace?.promptRouter)?.invokedModelId)
  if (model !== undefined) answer.model = model
  const tier = asText(asObject(metadata.serviceTier)?.type)
  if (tier !== undefined) answer.serviceTier = tier
  const latency = asText(asObject(metadata.performanceConfig)?.latency)
  if (latency !== undefined) answer.latency = latency
}

function answerOfStream(exchange: Exchange): Answer {
  const { form, events, gapAt, broken } = bedrockEvents(exchange)
  const answer = emptyAnswer(form, broken || !exchange.responseComplete || gapAt !== undefined)
  const blocks: ConverseBlocks = { parts: new Map() }
  for (let position = 0; position < events.length; position++) {
    const { type, value, error } = events[position] as (typeof events)[number]
    if (position === gapAt) markConverseGap(blocks)
    if (error !== undefined) answer.error = error
    switch (type) {
      case 'messageStart':
        answer.message.role = asText(value.role) ?? 'assistant'
        break
      case 'contentBlockStart':
        answer.started = true
        startConverseBlock(blocks, value)
        break
      case 'contentBlockDelta':
        answer.started = true
        addConverseDelta(blocks, value)
        break
      case 'messageStop': {
        const stopReason = asText(value.stopReason)
        if (stopReason !== undefined) answer.stopReason = stopReason
        break
      }
      case 'metadata':
        addMetadata(answer, value)
    }
  }
  answer.message.parts = partsInOrder(blocks)
  return answer
}

function guardrailsOf({ stopReason, guardrail, usage }: Answer): GuardrailEvent[] {
  const events = guardrailEvents({
    input: guardrail?.inputAssessment,
    output: guardrail?.outputAssessments,
    intervened: stopReason === 'guardrail_intervened',
    // A prompt that was blocked never reached the model.
    stage: (asCount(usage?.outputTokens) ?? 0) > 0 ? 'output' : 'input',
    reason: asText(guardrail?.actionReason),
  })
  // The model's own filter, not the operator's guardrail.
  if (stopReason === 'content_filtered' || stopReason === 'refusal')
    events.push({
      guardrail: `aws.bedrock.${stopReason === 'refusal' ? 'refusal' : 'content_filter'}`,
      stage: 'output',
      action: 'blocked',
    })
  return events
}
