import { lastObjectNamed, membersBeforeCut } from './cut-json.ts'
import type { Exchange } from './dialect.ts'
import { asObject, decodeText, type JsonObject, parseJson } from './json-value.ts'
import { afterFirstBlankLine, parseServerSentEvents, type ServerSentEvent } from './server-sent-events.ts'

/** The response body as far as it was captured, before anybody asks what it means. */
export type ResponseView =
  | { form: 'none' }
  | { form: 'unreadable' }
  | { form: 'json'; value: JsonObject }
  /** A JSON object that was cut: its members before the cut, and its `usage` if that stands in the end that was kept. */
  | { form: 'cut_json'; value: JsonObject; usage: JsonObject | undefined }
  /** `gapAt`: the middle of the stream was cut out before this event. */
  | { form: 'events'; events: readonly ServerSentEvent[]; gapAt: number | undefined }

export function viewResponse(exchange: Exchange): ResponseView {
  const { responseBody, responseTail } = exchange
  if (responseBody === undefined || responseBody.length === 0) return { form: 'none' }
  const text = decodeText(responseBody)
  const first = /\S/.exec(text)?.[0]
  if (first === '{') {
    if (responseTail === undefined) {
      const value = asObject(parseJson(text))
      if (value !== undefined) return { form: 'json', value }
      if (exchange.responseComplete) return { form: 'unreadable' }
      const members = membersBeforeCut(text)
      return { form: 'cut_json', value: members, usage: asObject(members.usage) }
    }
    const members = membersBeforeCut(text)
    const usage = asObject(members.usage) ?? lastObjectNamed(decodeText(responseTail), 'usage')
    return { form: 'cut_json', value: members, usage }
  }
  const contentType = exchange.responseHeaders['content-type'] ?? ''
  if (!contentType.includes('event-stream') && !/^\s*(?:data|event|id|retry)?:/.test(text))
    return { form: 'unreadable' }
  const head = eventsOf(text)
  if (responseTail === undefined) return { form: 'events', events: head, gapAt: undefined }
  const tail = decodeText(responseTail)
  const from = afterFirstBlankLine(tail)
  return { form: 'events', events: from < 0 ? head : [...head, ...eventsOf(tail.slice(from))], gapAt: head.length }
}

function eventsOf(text: string): ServerSentEvent[] {
  const { events, unfinished } = parseServerSentEvents(text)
  // The blank line after the last event is often lost; a cut event is not whole JSON, so nothing is invented here.
  if (unfinished !== undefined) events.push(unfinished)
  return events
}

/** The provider (or Kong) refused. 499 is Kong's word for a client that hung up: the provider answered all the same. */
export function isRefusal(status: number): boolean {
  return status >= 400 && status !== 499
}
