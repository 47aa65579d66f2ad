import { type AwsMessage, isAwsEventStream, parseAwsEventStream } from './aws-event-stream.ts'
import type { DialectReading, Exchange } from './dialect.ts'
import { asObject, asText, decodeText, type JsonObject, parseJson } from './json-value.ts'
import { isRefusal } from './response-view.ts'

/** One message of a stream: an event of the model, or the exception that ended it. */
export interface BedrockEvent {
  type: string
  value: JsonObject
  error: DialectReading['error']
}

export interface BedrockEvents {
  form: 'none' | 'events'
  events: readonly BedrockEvent[]
  /** The middle of the stream was cut out before this event. */
  gapAt: number | undefined
  /** Bytes were left that are no whole message: something was cut off, or came broken. */
  broken: boolean
}

/** A stream was asked for and answered as one; a refusal, or what a gateway put in its place, is a plain body. */
export function isStreamed({ path, status, responseBody, responseTail }: Exchange): boolean {
  if (!path.endsWith('-stream') || isRefusal(status)) return false
  if (responseBody === undefined || responseBody.length === 0 || isAwsEventStream(responseBody)) return true
  // JSON never begins with the zero of a message's length.
  return responseTail !== undefined || !/^\s*[{[<]/.test(decodeText(responseBody.subarray(0, 64)))
}

/** The events of head and tail; the beginning of a tail is found again by its checksums. */
export function bedrockEvents({ responseBody, responseTail }: Exchange): BedrockEvents {
  if (responseBody === undefined || responseBody.length === 0)
    return { form: 'none', events: [], gapAt: undefined, broken: false }
  const head = parseAwsEventStream(responseBody)
  const tail = responseTail === undefined ? undefined : parseAwsEventStream(responseTail)
  return {
    form: 'events',
    events: [...head.messages, ...(tail?.messages ?? [])].map(eventOf),
    gapAt: tail === undefined ? undefined : head.messages.length,
    broken: head.leftOver > 0 || (tail?.leftOver ?? 0) > 0,
  }
}

function eventOf({ headers, payload }: AwsMessage): BedrockEvent {
  const value = asObject(parseJson(decodeText(payload))) ?? {}
  const kind = headers[':message-type'] ?? 'event'
  // `exception`: one of the documented kinds; `error`: the stream itself broke, said in the headers alone.
  if (kind === 'event') return { type: headers[':event-type'] ?? '', value, error: undefined }
  const type = headers[':exception-type'] ?? headers[':error-code'] ?? 'exception'
  const message = asText(value.message) ?? asText(value.originalMessage) ?? headers[':error-message']
  return {
    type,
    value: {},
    error: { type: type.slice(0, 64), ...(message === undefined ? {} : { message: message.slice(0, 1024) }) },
  }
}
