import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Answers of plain text generation: where each names its numbers, and where it may say none. */
interface Format {
  id: string
  path: RegExp
  count: (answers: readonly JsonObject[]) => Counts | undefined
  /** The answer's own end. */
  ended: (last: JsonObject) => boolean
  model: (answer: JsonObject) => string | undefined
  text: (answer: JsonObject) => string
}

/** Text generation inference (Hugging Face): numbers only where `details` were asked for. */
const TEXT_GENERATION: Format = {
  id: 'huggingface-generate',
  path: /(?:^|\/)generate(?:_stream)?$|^\/models\/[^/]+\/[^/:]+$/,
  count: (answers) => {
    const details = asObject(answers.at(-1)?.details)
    const output = asCount(details?.generated_tokens)
    const prefill = Array.isArray(details?.prefill) ? details.prefill.length : 0
    const input = asCount(details?.input_length) ?? (prefill > 0 ? prefill : undefined)
    return output === undefined ? undefined : withoutUndefined({ input, output })
  },
  ended: (last) => typeof last.generated_text === 'string',
  model: () => undefined,
  text: (answer) => asText(answer.generated_text) ?? '',
}

/** Replicate: a prediction, whole or polled; language models say their tokens in `metrics`. */
const REPLICATE: Format = {
  id: 'replicate',
  path: /\/v1\/(?:models\/[^/]+\/[^/]+\/|deployments\/[^/]+\/[^/]+\/)?predictions(?:\/[^/]+)?$/,
  count: (answers) => {
    const metrics = asObject(answers.at(-1)?.metrics)
    const input = asCount(metrics?.input_token_count)
    const output = asCount(metrics?.output_token_count)
    return input === undefined && output === undefined ? undefined : withoutUndefined({ input, output })
  },
  ended: (last) => last.status === 'succeeded',
  model: (answer) => asText(answer.model),
  text: (answer) =>
    asList(answer.output)
      .filter((piece) => typeof piece === 'string')
      .join(''),
}

/** Aleph Alpha's complete. */
const ALEPH_ALPHA: Format = {
  id: 'aleph-alpha',
  path: /^\/complete$/,
  count: (answers) => {
    const input = asCount(answers.at(-1)?.num_tokens_prompt_total)
    const output = asCount(answers.at(-1)?.num_tokens_generated)
    return input === undefined && output === undefined ? undefined : withoutUndefined({ input, output })
  },
  ended: (last) => last.num_tokens_generated !== undefined,
  model: (answer) => asText(answer.model_version),
  text: (answer) => asText(asObject(asList(answer.completions)[0])?.completion) ?? '',
}

export const hostedModels: readonly Dialect[] = [TEXT_GENERATION, REPLICATE, ALEPH_ALPHA].map((format) => ({
  id: format.id,
  matches: ({ path }) => format.path.test(path),
  read: (exchange, body) => readPlain(exchange, body, format),
}))

function readPlain(exchange: Exchange, body: JsonObject | undefined, format: Format): DialectReading {
  const view = viewResponse(exchange)
  const answers = objectsOf(view)
  const last = answers.at(-1)
  const ended = last !== undefined && format.ended(last)
  const error = answers.map((answer) => errorOf(answer, exchange.status)).find((found) => found !== undefined)
  const text = last === undefined ? '' : format.text(last)
  const counts = format.count(answers)
  const prompt = asText(body?.inputs) ?? asText(body?.prompt) ?? asText(asObject(body?.input)?.prompt)
  const working = view.form === 'json' && (last?.status === 'starting' || last?.status === 'processing')
  return {
    operation: 'text_completion',
    stream: view.form === 'events',
    ...withoutUndefined({
      requestModel: asText(body?.model) ?? asText(body?.version) ?? modelInPath(exchange.path),
      responseModel: last === undefined ? undefined : format.model(last),
      responseId: asText(last?.id),
      error,
    }),
    ...(working && counts === undefined
      ? { counts: {}, usageSource: 'none' as const, usageReason: 'pending' }
      : usageOutcome({
          status: exchange.status,
          form: view.form,
          counts,
          raw: asObject(last?.details) ?? asObject(last?.metrics),
          whole: ended,
          ended,
          failed: error !== undefined,
          started: text !== '',
        })),
    guardrails: [],
    billable: exchange.method !== 'GET' || counts !== undefined,
    content: {
      ...(prompt === undefined ? {} : { input: [{ role: 'user', parts: [{ type: 'text', content: prompt }] }] }),
      ...(text === '' ? {} : { output: [{ role: 'assistant', parts: [{ type: 'text', content: text }] }] }),
    },
  }
}

function modelInPath(path: string): string | undefined {
  return /\/models\/([^/]+\/[^/:]+?)(?:\/predictions)?$/.exec(path)?.[1]
}
