import { elementsBeforeCut, membersAfterCut, membersBeforeCut } from './cut-json.ts'
import type { Exchange } from './dialect.ts'
import { asObject, decodeText, type JsonObject, parseJson } from './json-value.ts'
import { afterFirstBlankLine, parseServerSentEvents, type ServerSentEvent } from './server-sent-events.ts'

/** The response body as far as it was captured, before anybody asks what it means. */
export type ResponseView =
  | { form: 'none' }
  | { form: 'unreadable' }
  | { form: 'json'; value: JsonObject }
  /**
   * A JSON object that was cut: its members that stand whole before the cut (`head`) and behind it, and of them its `usage`.
   * A format that counts in several members must not take those behind the cut for all of them.
   */
  | { form: 'cut_json'; value: JsonObject; head: JsonObject; usage: JsonObject | undefined }
  /** `gapAt`: the middle of the stream was cut out before this event. */
  | { form: 'events'; events: readonly ServerSentEvent[]; gapAt: number | undefined }
  /** A JSON object on each line. `cut`: something else than a whole line stands last. */
  | { form: 'json_lines'; items: readonly JsonObject[]; gapAt: number | undefined; cut: boolean }
  /** One JSON array, as Gemini streams it. Of one that was cut: the elements before it, and the text of the end. */
  | { form: 'json_list'; items: readonly JsonObject[]; cut: boolean; tail: string | undefined }

export function viewResponse(exchange: Exchange): ResponseView {
  const { responseBody, responseTail } = exchange
  if (responseBody === undefined || responseBody.length === 0) return { form: 'none' }
  const text = decodeText(responseBody)
  const tail = responseTail === undefined ? undefined : decodeText(responseTail)
  const first = /\S/.exec(text)?.[0]
  if (first === '{') return viewObject(text, tail, exchange.responseComplete)
  if (first === '[') return viewList(text, tail)
  const contentType = exchange.responseHeaders['content-type'] ?? ''
  if (!contentType.includes('event-stream') && !/^\s*(?:data|event|id|retry)?:/.test(text))
    return { form: 'unreadable' }
  const head = eventsOf(text)
  if (tail === undefined) return { form: 'events', events: head, gapAt: undefined }
  const from = afterFirstBlankLine(tail)
  return { form: 'events', events: from < 0 ? head : [...head, ...eventsOf(tail.slice(from))], gapAt: head.length }
}

function viewObject(text: string, tail: string | undefined, complete: boolean): ResponseView {
  const whole = tail === undefined ? asObject(parseJson(text)) : undefined
  if (whole !== undefined) return { form: 'json', value: whole }
  const start = text.trimStart()
  const firstLine = start.slice(0, start.indexOf('\n'))
  if (firstLine !== '' && asObject(parseJson(firstLine)) !== undefined) return viewLines(start, tail)
  if (tail === undefined && complete) return { form: 'unreadable' }
  const head = membersBeforeCut(text)
  // Of an answer that broke off, the last bracket may be one of a tool call in it.
  const value = { ...(tail === undefined || !complete ? {} : membersAfterCut(tail)), ...head }
  return { form: 'cut_json', value, head, usage: asObject(value.usage) }
}

function viewLines(text: string, tail: string | undefined): ResponseView {
  const head = objectsOfLines(text)
  if (tail === undefined) return { form: 'json_lines', ...head, gapAt: undefined }
  const lineEnd = tail.indexOf('\n')
  const end = lineEnd < 0 ? { items: [], cut: true } : objectsOfLines(tail.slice(lineEnd + 1))
  return { form: 'json_lines', items: [...head.items, ...end.items], gapAt: head.items.length, cut: end.cut }
}

function objectsOfLines(text: string): { items: JsonObject[]; cut: boolean } {
  const items: JsonObject[] = []
  let cut = false
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const item = asObject(parseJson(line))
    cut = item === undefined
    if (item !== undefined) items.push(item)
  }
  return { items, cut }
}

function viewList(text: string, tail: string | undefined): ResponseView {
  const whole = tail === undefined ? parseJson(text) : undefined
  const items: readonly unknown[] = Array.isArray(whole) ? whole : elementsBeforeCut(text)
  return {
    form: 'json_list',
    items: items.map(asObject).filter((item) => item !== undefined),
    cut: whole === undefined,
    tail,
  }
}

function eventsOf(text: string): ServerSentEvent[] {
  const { events, unfinished } = parseServerSentEvents(text)
  // The blank line after the last event is often lost; a cut event is not whole JSON, so nothing is invented here.
  if (unfinished !== undefined) events.push(unfinished)
  return events
}

/** Every JSON object of an answer, in order: the body, the lines, the elements, or the data of the events. */
export function objectsOf(view: ResponseView): readonly JsonObject[] {
  switch (view.form) {
    case 'json':
    case 'cut_json':
      return [view.value]
    case 'json_lines':
    case 'json_list':
      return view.items
    case 'events':
      return view.events.map(({ data }) => asObject(parseJson(data))).filter((object) => object !== undefined)
    default:
      return []
  }
}

/** The provider (or Kong) refused. 499 is Kong's word for a client that hung up: the provider answered all the same. */
export function isRefusal(status: number): boolean {
  return status >= 400 && status !== 499
}
