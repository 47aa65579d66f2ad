import type { Operation } from '../call.ts'
import { countCohere } from './cohere-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { countEmbeddings } from './openai-embeddings.ts'
import { errorOf } from './provider-error.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'
import { watchUsage } from './watched-usage.ts'

/** Cohere's embed, v1 and v2; classify and summarize answer alike, and so does Jina's classify, with usage as OpenAI says it. */
export const cohereEmbed: Dialect = {
  id: 'cohere-embed',
  // Old clients leave the version out.
  matches: ({ path, host }) =>
    /\/v[12]\/(?:embed|classify|summarize)$/.test(path) ||
    (/^\/(?:embed|classify|summarize)$/.test(path) && /(?:^|\.)cohere\.(?:com|ai)$/.test(host)),
  read: readEmbed,
}

const OPERATIONS: Readonly<Record<string, Operation>> = { classify: 'unknown', summarize: 'text_completion' }

function readEmbed(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const meta = watchUsage(asObject(answer.meta))
  const usage = watchUsage(view.form === 'cut_json' ? view.usage : asObject(answer.usage))
  const error = errorOf(answer, exchange.status)
  const sent = [...asList(body?.texts), ...asList(body?.inputs).flatMap(textsOf), body?.text]
  const texts = sent.filter((text) => typeof text === 'string')
  return {
    operation: OPERATIONS[exchange.path.slice(exchange.path.lastIndexOf('/') + 1)] ?? 'embeddings',
    stream: false,
    ...withoutUndefined({ requestModel: asText(body?.model), responseId: asText(answer.id), error }),
    ...usageOutcome({
      status: exchange.status,
      form: view.form,
      counts: (meta && countCohere(meta)) ?? (usage && countEmbeddings(usage)),
      raw: meta ?? usage,
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

/** v2's inputs: texts and images in one list. */
function textsOf(input: unknown): unknown[] {
  return typeof input === 'string' ? [input] : asList(asObject(input)?.content).map((part) => asObject(part)?.text)
}
