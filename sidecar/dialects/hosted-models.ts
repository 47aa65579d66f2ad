import type { Operation } from '../call.ts'
import { membersFrom } from './answer-end.ts'
import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asObject, asText, decodeText, type JsonObject, withoutUndefined } from './json-value.ts'
import { errorOf } from './provider-error.ts'
import { objectsOf, type ResponseView, viewResponse } from './response-view.ts'
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
  finishReason: (answer: JsonObject) => string | undefined
  /** Of a body whose middle was cut out, the member from which on the end counts. */
  endsFrom: string
  operation: (counts: Counts | undefined, path: string) => Operation
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
  finishReason: (answer) => asText(asObject(answer.details)?.finish_reason),
  endsFrom: 'details',
  operation: () => 'text_completion',
}

/** Replicate: a prediction, whole or polled; models billed by tokens, images or characters say so in `metrics`. */
const REPLICATE: Format = {
  id: 'replicate',
  path: /\/v1\/(?:models\/[^/]+\/[^/]+\/|deployments\/[^/]+\/[^/]+\/)?predictions(?:\/[^/]+)?$/,
  count: (answers) => {
    const metrics = asObject(answers.at(-1)?.metrics)
    const counts = withoutUndefined({
      input: asCount(metrics?.input_token_count) ?? asCount(metrics?.token_input_count),
      output: asCount(metrics?.output_token_count) ?? asCount(metrics?.token_output_count),
      images: asCount(metrics?.image_output_count) ?? asCount(metrics?.image_count),
      characters: asCount(metrics?.character_input_count),
    })
    return Object.keys(counts).length > 0 ? counts : undefined
  },
  ended: ({ status }) => status === 'succeeded' || status === 'failed' || status === 'canceled',
  model: (answer) => asText(answer.model),
  text: ({ output }) =>
    (Array.isArray(output) ? output : [output]).filter((piece) => typeof piece === 'string').join(''),
  finishReason: () => undefined,
  endsFrom: 'status',
  operation: (counts) => (counts?.images === undefined ? 'text_completion' : 'image_generation'),
}

/** Aleph Alpha's complete, evaluate and semantic embeddings. */
const ALEPH_ALPHA: Format = {
  id: 'aleph-alpha',
  path: /^\/(?:complete|evaluate|(?:batch_)?semantic_embed)$/,
  count: (answers) => {
    const input = asCount(answers.at(-1)?.num_tokens_prompt_total)
    const output = asCount(answers.at(-1)?.num_tokens_generated)
    return input === undefined && output === undefined ? undefined : withoutUndefined({ input, output })
  },
  ended: (last) => last.num_tokens_prompt_total !== undefined,
  model: (answer) => asText(answer.model_version),
  text: (answer) =>
    asList(answer.completions)
      .map((completion) => asText(asObject(completion)?.completion) ?? '')
      .join(''),
  finishReason: (answer) => asText(asObject(asList(answer.completions)[0])?.finish_reason),
  endsFrom: 'model_version',
  operation: (_, path) => (path.endsWith('_embed') ? 'embeddings' : 'text_completion'),
}

export const hostedModels: readonly Dialect[] = [TEXT_GENERATION, REPLICATE, ALEPH_ALPHA].map((format) => ({
  id: format.id,
  matches: ({ path }) => format.path.test(path),
  read: (exchange, body) => readPlain(exchange, body, format),
}))

function readPlain(exchange: Exchange, body: JsonObject | undefined, format: Format): DialectReading {
  const view = viewResponse(exchange)
  const answers = answersOf(view, exchange, format)
  const last = answers.at(-1)
  const working = view.form === 'json' && (last?.status === 'starting' || last?.status === 'processing')
  // Of a body that was cut, the last member that was kept may not be the last that is counted.
  const whole = view.form === 'json' || (view.form === 'json_list' && !view.cut)
  const ended = whole ? !working : view.form === 'events' && last !== undefined && format.ended(last)
  const error = answers.map((answer) => errorOf(answer, exchange.status)).find((found) => found !== undefined)
  const text = textOf(answers, view, format)
  const counts = format.count(answers)
  const finishReason = last === undefined ? undefined : format.finishReason(last)
  const prompt = promptOf(body)
  return {
    operation: format.operation(counts, exchange.path),
    stream: view.form === 'events',
    ...withoutUndefined({
      requestModel: asText(body?.model) ?? asText(body?.version) ?? modelInPath(exchange.path),
      responseModel: last === undefined ? undefined : format.model(last),
      responseId: asText(last?.id),
      finishReasons: finishReason === undefined ? undefined : [finishReason],
      error,
    }),
    ...(working && counts === undefined
      ? { counts: {}, usageSource: 'none' as const, usageReason: 'pending' }
      : usageOutcome({
          status: exchange.status,
          // A list is a whole answer here, not a stream.
          form: view.form === 'json_list' ? (view.cut ? 'cut_json' : 'json') : view.form,
          counts,
          raw: asObject(last?.details) ?? asObject(last?.metrics),
          whole: ended || endHeard(view, exchange, format),
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

function answersOf(view: ResponseView, exchange: Exchange, format: Format): readonly JsonObject[] {
  return view.form === 'cut_json' ? [{ ...view.head, ...endOf(exchange, format) }] : objectsOf(view)
}

function endOf({ responseTail }: Exchange, format: Format): JsonObject | undefined {
  return responseTail === undefined ? undefined : membersFrom(decodeText(responseTail), format.endsFrom)
}

/** What is counted stands after the member that the end starts from, so all of it was heard. */
function endHeard(view: ResponseView, exchange: Exchange, format: Format): boolean {
  const end = view.form === 'cut_json' ? endOf(exchange, format) : undefined
  return end !== undefined && end.status !== 'starting' && end.status !== 'processing'
}

/** The whole text stands in the last answer; of a stream that was cut, in what came before. */
function textOf(answers: readonly JsonObject[], view: ResponseView, format: Format): string {
  const last = answers.at(-1)
  const text = last === undefined ? '' : format.text(last)
  if (text !== '' || view.form !== 'events') return text
  const { gapAt } = view
  return answers.map(({ token }, at) => `${at > 0 && at === gapAt ? '[…]' : ''}${textOfToken(token)}`).join('')
}

function textOfToken(token: unknown): string {
  const piece = asObject(token)
  return piece?.special === true ? '' : (asText(piece?.text) ?? '')
}

/** A text, Replicate's `input.prompt`, or Aleph Alpha's list of typed parts. */
function promptOf(body: JsonObject | undefined): string | undefined {
  const prompt = body?.inputs ?? body?.prompt ?? asObject(body?.input)?.prompt
  if (!Array.isArray(prompt)) return asText(prompt)
  return asText(prompt.map((part) => asText(asObject(part)?.data) ?? '').join(''))
}
