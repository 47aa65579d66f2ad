import { anthropicMessages } from './anthropic-messages.ts'
import type { Dialect } from './dialect.ts'
import { geminiPriceAttributes, modelInGooglePath } from './gemini-usage.ts'
import { errorOf } from './provider-error.ts'
import { viewResponse } from './response-view.ts'

/** Claude on Vertex: Anthropic's messages under Google's path, whole (rawPredict) or streamed (streamRawPredict). */
export const vertexAnthropic: Dialect = {
  id: 'vertex-anthropic',
  // Counting tokens is free, and no message.
  matches: ({ path }) =>
    /\/publishers\/anthropic\/models\/(?!count-tokens)[^/:]+?(?::|%3A)(?:streamRawPredict|rawPredict)$/i.test(path),
  read(exchange, body) {
    const reading = anthropicMessages.read(exchange, body)
    const requestModel = modelInGooglePath(exchange.path)
    const place = geminiPriceAttributes(undefined, exchange.host, exchange.path)
    // Google refuses a stream with a list of one error.
    const view = viewResponse(exchange)
    const refused = view.form === 'json_list' ? errorOf(view.items[0] ?? {}, exchange.status) : undefined
    return {
      ...reading,
      ...(refused === undefined ? {} : { error: refused }),
      stream: reading.stream || /streamRawPredict$/i.test(exchange.path),
      ...(requestModel === undefined ? {} : { requestModel }),
      ...(place === undefined ? {} : { priceAttributes: { ...place, ...reading.priceAttributes } }),
    }
  },
}
