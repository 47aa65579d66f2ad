import { decodeText } from './json-value.ts'

/**
 * Server-sent events as the WHATWG HTML standard parses them (section 9.2.6), over a whole text: LF, CRLF and CR end
 * a line (and nothing else does, U+2028 neither), one leading BOM is dropped, several `data:` lines join with LF, lines
 * that begin with a colon are comments. A blank line dispatches an event; one without data is none.
 */
export interface ServerSentEvent {
  /** `message` where the stream names none. */
  event: string
  data: string
}

export interface ServerSentEvents {
  events: ServerSentEvent[]
  /** What stood after the last blank line: by the standard no event. Where it is whole JSON, a capture was cut in the blank line. */
  unfinished: ServerSentEvent | undefined
}

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const COLON = 0x3a

export function parseServerSentEvents(input: string | Uint8Array): ServerSentEvents {
  const text = typeof input === 'string' ? input.replace(/^\uFEFF/, '') : decodeText(input)
  const events: ServerSentEvent[] = []
  let event = ''
  let data: string | undefined
  let lineFeed = text.indexOf('\n')
  let carriageReturn = text.indexOf('\r')
  let at = 0
  while (at < text.length) {
    if (lineFeed >= 0 && lineFeed < at) lineFeed = text.indexOf('\n', at)
    if (carriageReturn >= 0 && carriageReturn < at) carriageReturn = text.indexOf('\r', at)
    const end = lineFeed < 0 ? carriageReturn : carriageReturn < 0 ? lineFeed : Math.min(lineFeed, carriageReturn)
    const lineEnd = end < 0 ? text.length : end
    if (lineEnd === at) {
      if (data !== undefined) events.push({ event: event || 'message', data })
      event = ''
      data = undefined
    } else {
      // Only two fields are read: whatever else a line is, it is not looked into.
      const name = text.startsWith('data', at) ? 'data' : text.startsWith('event', at) ? 'event' : undefined
      const nameEnd = name === undefined ? at : at + name.length
      if (name !== undefined && (nameEnd === lineEnd || text.charCodeAt(nameEnd) === COLON)) {
        let from = Math.min(nameEnd + 1, lineEnd)
        if (from < lineEnd && text.charCodeAt(from) === SPACE) from++
        const value = text.slice(from, lineEnd)
        if (name === 'event') event = value
        else data = data === undefined ? value : `${data}\n${value}`
      }
    }
    at = lineEnd + 1
    if (text.charCodeAt(lineEnd) === CR && text.charCodeAt(at) === LF) at++
  }
  return { events, unfinished: data === undefined ? undefined : { event: event || 'message', data } }
}

/** Where the second event of a text begins whose own beginning is missing: after the first blank line; -1 if there is none. */
export function afterFirstBlankLine(text: string): number {
  const found = /\r\n\r\n|\n\r\n|\r\n\n|\n\n|\r\r(?!\n)|\n\r(?!\n)/.exec(text)
  return found === null ? -1 : found.index + found[0].length
}

/** The rest of an event that a text begins in the middle of, up to the blank line that ends it; empty where none does. */
export function endOfCutEvent(text: string): string {
  return text.slice(0, Math.max(0, afterFirstBlankLine(text))).trimEnd()
}
