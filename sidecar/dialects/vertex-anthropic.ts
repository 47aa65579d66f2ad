import { anthropicMessages } from './anthropic-messages.ts'
import type { Dialect } from './dialect.ts'
import { geminiPriceAttributes, modelInGooglePath } from './gemini-usage.ts'

/** Claude on Vertex: Anthropic's messages under Google's path, whole (rawPredict) or streamed (streamRawPredict). */
export const vertexAnthropic: Dialect = {
  id: 'vertex-anthropic',
  matches: ({ path }) =>
    /\/publishers\/anthropic\/models\/(?!count-tokens)[^/:]+:(?:streamRawPredict|rawPredict)$/.test(path),
  read(exchange, body) {
    const reading = anthropicMessages.read(exchange, body)
    const requestModel = modelInGooglePath(exchange.path)
    const place = geminiPriceAttributes(undefined, exchange.host, exchange.path)
    return {
      ...reading,
      ...(requestModel === undefined ? {} : { requestModel }),
      ...(place === undefined ? {} : { priceAttributes: { ...place, ...reading.priceAttributes } }),
    }
  },
}
