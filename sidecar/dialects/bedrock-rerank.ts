import { bedrockError, bedrockPriceAttributes } from './bedrock-usage.ts'
import type { Dialect, DialectReading, Exchange } from './dialect.ts'
import { asList, asObject, asText, type JsonObject, toJson, withoutUndefined } from './json-value.ts'
import { viewResponse } from './response-view.ts'
import { usageOutcome } from './usage-outcome.ts'

/** Bedrock's own rerank, on the host of its agents. It reports no usage. */
export const bedrockRerank: Dialect = {
  id: 'bedrock-rerank',
  matches: ({ path, host }) => path.endsWith('/rerank') && host.includes('bedrock-agent-runtime'),
  read: readRerank,
}

function readRerank(exchange: Exchange, body: JsonObject | undefined): DialectReading {
  const view = viewResponse(exchange)
  const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
  const configuration = asObject(asObject(body?.rerankingConfiguration)?.bedrockRerankingConfiguration)
  const query = asText(asObject(asObject(asList(body?.queries)[0])?.textQuery)?.text)
  const documents = asList(body?.sources).map((source) => {
    const inline = asObject(asObject(source)?.inlineDocumentSource)
    return asText(asObject(inline?.textDocument)?.text) ?? toJson(inline?.jsonDocument)
  })
  const error = bedrockError(answer, exchange)
  const outcome = usageOutcome({
    status: exchange.status,
    form: view.form,
    counts: undefined,
    raw: undefined,
    whole: false,
    ended: view.form === 'json',
    failed: error !== undefined,
    started: false,
  })
  const seen = view.form === 'json' && Array.isArray(answer.results) && !exchange.requestTruncated
  const searchUnits = seen ? searchUnitsOf(query, documents) : undefined
  return {
    operation: 'rerank',
    stream: false,
    ...withoutUndefined({
      requestModel: asText(asObject(configuration?.modelConfiguration)?.modelArn),
      priceAttributes: bedrockPriceAttributes(exchange.host),
      error,
    }),
    ...(outcome.usageSource === 'unknown' && searchUnits !== undefined
      ? { counts: { searchUnits }, usageSource: 'counted' as const }
      : outcome),
    guardrails: [],
    billable: true,
    ...(query === undefined
      ? {}
      : { content: { input: [{ role: 'user', parts: [{ type: 'text', content: query }] }] } }),
  }
}

const DOCUMENTS_IN_A_UNIT = 100
/** A document of more than 500 tokens, with the query, is billed as several; a token is at least a byte. */
const SURELY_ONE_DOCUMENT = 500

/** A query is billed for each 100 documents. Of long documents nobody but AWS can count the pieces. */
export function searchUnitsOf(query: unknown, documents: readonly unknown[]): number | undefined {
  const asked = Buffer.byteLength(asText(query) ?? '')
  const short = documents.every((item) => {
    const text = asText(item) ?? asText(asObject(item)?.text)
    return text !== undefined && Buffer.byteLength(text) + asked <= SURELY_ONE_DOCUMENT
  })
  return documents.length > 0 && short ? Math.ceil(documents.length / DOCUMENTS_IN_A_UNIT) : undefined
}
