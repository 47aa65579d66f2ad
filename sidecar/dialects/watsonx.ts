import type { GuardrailEvent, Operation } from '../call.ts'
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
  withoutUndefined,
} from './json-value.ts'
import { readOpenAiChoices } from './openai-chat.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, type ResponseView, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** IBM watsonx: text generation (whole, streamed), chat in OpenAI's format, embeddings, reranking, counting of tokens. */
export const watsonx: Dialect = {
  id: 'watsonx',
  matches: ({ path }) =>
    /\/ml\/v1[a-z0-9-]*\/(?:text\/(?:generation|chat)(?:_stream)?|generation\/text(?:_stream)?|text\/(?:embeddings|rerank|tokenization)|deployments\/[^/]+\/text\/(?:generation|chat)(?:_stream)?)$/.test(
      path,
    ),
  read: (exchange, body) =>
    /\/chat(?:_stream)?$/.test(exchange.path)
      ? withModelId(readOpenAiChoices(exchange, body, 'chat'), body)
      : readGeneration(exchange, body),
}

function withModelId(reading: DialectReading, body: JsonObject | undefined): DialectReading {
  const requestModel = asText(body?.model_id)
  return requestModel === undefined ? reading : { ...reading, requestModel }
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  embeddings: 'embeddings',
  rerank: 'rerank',
  tokenization: 'count_tokens',
}

function readGeneration(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answers = answersOf(view, exchange)
  const operation = OPERATIONS[exchange.path.slice(exchange.path.lastIndexOf('/') + 1)] ?? 'text_completion'
  const last = resultOf(answers.at(-1))
  const stopReason = asText(last?.stop_reason)
  const ended = view.form === 'json' || (stopReason !== undefined && stopReason.toLowerCase() !== 'not_finished')
  const error = answers.map((answer) => errorOf(answer, exchange.status) ?? listedError(answer)).find(Boolean)
  const counts = operation === 'text_completion' ? countGeneration(answers) : countInput(answers[0])
  const gapAt = view.form === 'events' ? view.gapAt : undefined
  const text = answers
    .map((answer, at) => `${at > 0 && at === gapAt ? '[…]' : ''}${asText(resultOf(answer)?.generated_text) ?? ''}`)
    .join('')
  const parameters = asObject(body?.parameters) ?? {}
  const input = body?.input ?? body?.inputs ?? body?.query
  const prompts = (Array.isArray(input) ? input : [input]).filter((prompt) => typeof prompt === 'string')
  if (operation === 'count_tokens') return freeOf(body, answers[0], error)
  return {
    operation,
    stream: view.form === 'events',
    ...withoutUndefined({
      requestModel: asText(body?.model_id),
      responseModel: asText(answers[0]?.model_id),
      finishReasons: stopReason === undefined ? undefined : [stopReason],
      parameters: withoutUndefined({
        maxTokens: asCount(parameters.max_new_tokens),
        temperature: asNumber(parameters.temperature),
        topP: asNumber(parameters.top_p),
        topK: asNumber(parameters.top_k),
        seed: asNumber(parameters.random_seed),
      }),
      error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts,
      raw: undefined,
      whole: counts?.input !== undefined && (operation === 'text_completion' ? ended : true),
      ended,
      failed: error !== undefined,
      started: text !== '',
    }),
    guardrails: moderationsOf(answers),
    billable: true,
    content: {
      ...(prompts.length === 0
        ? {}
        : { input: prompts.map((content) => ({ role: 'user', parts: [{ type: 'text' as const, content }] })) }),
      ...(text === '' ? {} : { output: [{ role: 'assistant', parts: [{ type: 'text', content: text }] }] }),
    },
  }
}

/** Of a body whose middle was cut out (vectors are long), what was counted stands at the end. */
function answersOf(view: ResponseView, { responseTail }: Exchange): readonly JsonObject[] {
  if (view.form !== 'cut_json' || responseTail === undefined) return objectsOf(view)
  return [{ ...view.head, ...membersFrom(decodeText(responseTail), 'input_token_count') }]
}

/** Counting tokens: nobody bills them. */
function freeOf(body: JsonObject | undefined, answer: JsonObject | undefined, error: DialectReading['error']) {
  return {
    operation: 'count_tokens' as const,
    stream: false,
    ...withoutUndefined({ requestModel: asText(body?.model_id), responseModel: asText(answer?.model_id), error }),
    counts: {},
    usageSource: 'none' as const,
    guardrails: [],
    billable: false,
  }
}

/** Detectors (`hap`, `pii`, `granite_guardian`) say where they found something, in the input or in the answer. */
function moderationsOf(answers: readonly JsonObject[]): GuardrailEvent[] {
  const events = new Map<string, GuardrailEvent>()
  for (const answer of answers)
    for (const [name, found] of Object.entries(asObject(resultOf(answer)?.moderations) ?? {}).slice(0, 16))
      for (const item of asList(found)) {
        const stage = asObject(item)?.input === true ? 'input' : 'output'
        events.set(`${name} ${stage}`, { guardrail: `watsonx.${name.slice(0, 32)}`, stage, action: 'flagged' })
      }
  return [...events.values()]
}

function resultOf(answer: JsonObject | undefined): JsonObject | undefined {
  return asObject(asList(answer?.results)[0])
}

/** The prompt is counted in the first event, the output so far in each. */
function countGeneration(answers: readonly JsonObject[]): Counts | undefined {
  let input: number | undefined
  let output: number | undefined
  for (const answer of answers)
    for (const item of asList(answer.results)) {
      const result = asObject(item)
      const prompt = asCount(result?.input_token_count)
      if (prompt !== undefined && prompt > 0) input = prompt // 0 in later events
      output = asCount(result?.generated_token_count) ?? output
    }
  return output === undefined ? undefined : withoutUndefined({ input, output })
}

function countInput(answer: JsonObject | undefined): Counts | undefined {
  const input = asCount(answer?.input_token_count)
  return input === undefined ? undefined : { input }
}

function listedError(answer: JsonObject): DialectReading['error'] {
  const first = asObject(asList(answer.errors)[0])
  const message = asText(first?.message)
  return first === undefined
    ? undefined
    : {
        type: asText(first.code)?.slice(0, 64) ?? 'error',
        ...(message === undefined ? {} : { message: message.slice(0, 1024) }),
      }
}
