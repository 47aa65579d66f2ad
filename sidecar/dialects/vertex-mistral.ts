import type { Dialect } from './dialect.ts'
import { geminiPriceAttributes, modelInGooglePath } from './gemini-usage.ts'
import { readOpenAiChoices } from './openai-chat.ts'

/** Models of other publishers on Vertex (Mistral, AI21, …): OpenAI's chat format under Google's path. */
export const vertexMistral: Dialect = {
  id: 'vertex-mistral',
  matches: ({ path }) =>
    /\/publishers\/(?!anthropic|google)[^/]+\/models\/[^/:]+:(?:streamRawPredict|rawPredict)$/.test(path),
  read(exchange, body) {
    const reading = readOpenAiChoices(exchange, body, 'chat')
    const requestModel = modelInGooglePath(exchange.path)
    const place = geminiPriceAttributes(undefined, exchange.host, exchange.path)
    return {
      ...reading,
      ...(requestModel === undefined ? {} : { requestModel }),
      ...(place === undefined ? {} : { priceAttributes: { ...place, ...reading.priceAttributes } }),
    }
  },
}
