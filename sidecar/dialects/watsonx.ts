import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { readOpenAiChoices } from './openai-chat.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** IBM watsonx: text generation (whole, streamed), chat in OpenAI's format, embeddings. */
export const watsonx: Dialect = {
  id: 'watsonx',
  matches: ({ path }) =>
    /\/ml\/v1[a-z0-9-]*\/(?:text\/(?:generation|chat)(?:_stream)?|generation\/text(?:_stream)?|text\/embeddings|deployments\/[^/]+\/text\/(?:generation|chat)(?:_stream)?)$/.test(
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

function readGeneration(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answers = objectsOf(view)
  const embeds = exchange.path.endsWith('/embeddings')
  const last = resultOf(answers.at(-1))
  const stopReason = asText(last?.stop_reason)
  const ended = view.form === 'json' || (stopReason !== undefined && stopReason !== 'not_finished')
  const error = answers.map((answer) => errorOf(answer, exchange.status) ?? listedError(answer)).find(Boolean)
  const counts = embeds ? countInput(answers[0]) : countGeneration(answers)
  const text = answers.map((answer) => asText(resultOf(answer)?.generated_text) ?? '').join('')
  const prompt = asText(body?.input)
  return {
    operation: embeds ? 'embeddings' : 'text_completion',
    stream: view.form === 'events',
    ...withoutUndefined({
      requestModel: asText(body?.model_id),
      responseModel: asText(answers[0]?.model_id),
      finishReasons: stopReason === undefined ? undefined : [stopReason],
      error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts,
      raw: undefined,
      whole: ended && counts?.input !== undefined,
      ended,
      failed: error !== undefined,
      started: text !== '',
    }),
    guardrails: [],
    billable: true,
    content: {
      ...(prompt === undefined ? {} : { input: [{ role: 'user', parts: [{ type: 'text', content: prompt }] }] }),
      ...(text === '' ? {} : { output: [{ role: 'assistant', parts: [{ type: 'text', content: text }] }] }),
    },
  }
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
