import type { Counts } from './counts.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { countOf } from './openai-usage.ts'
import { errorOf } from './provider-error.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** OpenAI's embeddings, also as Azure, Mistral, Voyage, OpenRouter, Perplexity and others speak them. */
export const openAiEmbeddings: Dialect = {
  id: 'openai-embeddings',
  // Ollama's and watsonx's own embeddings have other paths that end alike.
  matches: ({ path }) =>
    /\/(?:multimodal|contextualized)?embeddings$/.test(path) && !/\/(?:api|text)\/embeddings$/.test(path),
  read: readEmbeddings,
}

function readEmbeddings(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  // The vectors come first and are long: of a cut answer only the end holds usage.
  const usage = watchUsage(view.form === 'cut_json' ? view.usage : asObject(answer.usage))
  const error = errorOf(answer, exchange.status)
  const texts =
    typeof body?.input === 'string' ? [body.input] : asList(body?.input).filter((text) => typeof text === 'string')
  return {
    operation: 'embeddings',
    stream: false,
    ...withoutUndefined({
      requestModel: asText(body?.model),
      responseModel: asText(answer.model),
      responseId: asText(answer.id),
      error,
    }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: usage === undefined ? undefined : countEmbeddings(usage),
      raw: usage,
      whole: true,
      ended: view.form === 'json',
      failed: error !== undefined,
      started: false,
    }),
    guardrails: [],
    billable: true,
    ...(texts.length === 0
      ? {}
      : {
          content: { input: texts.map((content) => ({ role: 'user', parts: [{ type: 'text' as const, content }] })) },
        }),
  }
}

/** An embedding has no output. Voyage names the total alone. */
export function countEmbeddings(usage: JsonObject): Counts | undefined {
  const total = asCount(usage.total_tokens)
  const input =
    countOf(usage, ['prompt_tokens', 'input_tokens', 'text_tokens', 'num_tokens', 'promptTokens', 'inputTokens']) ??
    total
  // An embedding has no output; some say so.
  countOf(usage, ['completion_tokens', 'output_tokens'])
  if (input === undefined) return undefined
  const details = asObject(usage.prompt_tokens_details)
  return withoutUndefined({
    input,
    inputImage: asCount(details?.image_tokens) ?? asCount(usage.image_tokens),
    inputAudio: asCount(details?.audio_tokens),
    total,
  })
}
