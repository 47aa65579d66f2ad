import type { Exchange } from '../dialects/dialect.ts'
import { read } from '../dialects/index.ts'
import { makeExchange } from './make-exchange.ts'

export const HOST = 'bedrock-runtime.eu-central-1.amazonaws.com'
export const MODEL = 'eu.anthropic.claude-haiku-4-5-20251001-v1:0'

/** Host and path of an action on a model, as Bedrock's runtime names them. */
export const at = (action: string, model = MODEL) => ({
  host: HOST,
  path: `/model/${encodeURIComponent(model)}/${action}`,
})

/** The reading of an answer in AWS's event stream. */
export const readBinary = (bytes: Uint8Array, place: object, more: Partial<Exchange> = {}) =>
  read(
    makeExchange({}, undefined, {
      ...place,
      responseBody: bytes,
      responseHeaders: { 'content-type': 'application/vnd.amazon.eventstream' },
      ...more,
    }),
  )
