import type { AttributeValue } from '@opentelemetry/api'
import { ByteWriter } from './byte-writer.ts'
import {
  FLAGS,
  MAX_NAMES,
  microsecondsOf,
  SERVICE,
  type SpanHead,
  type SpanWriter,
  STATUS_CODE,
} from './span-writer.ts'

const TEXT = Buffer.from('{"stringValue":')
const END = ']}]}]}'
const NO_SPANS = Buffer.from('{"resourceSpans":[]}')

/** OTLP/JSON. */
export function makeJsonSpans(scope = SERVICE): SpanWriter {
  const begin = Buffer.from(
    `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"${SERVICE}"}}],"droppedAttributesCount":0},"scopeSpans":[{"scope":{"name":"${scope}"},"spans":[`,
  )
  const out = new ByteWriter(512 * 1024)
  /** Name → what stands before its value. */
  const keys = new Map<string, Buffer>()
  let head: SpanHead | undefined
  let spans = 0
  let attributes = 0

  function quoted(value: string): void {
    const start = out.at
    out.room(2)
    out.bytes[out.at++] = 0x22
    if (out.plain(value)) out.ascii('"')
    else {
      out.at = start
      out.utf8(JSON.stringify(value))
    }
  }
  function anyValue(value: AttributeValue | null | undefined): void {
    if (value === null || value === undefined) out.ascii('{}')
    else if (typeof value === 'string') {
      out.copy(TEXT)
      quoted(value)
      out.ascii('}')
    } else if (typeof value === 'number')
      out.ascii(Number.isInteger(value) ? `{"intValue":${value}}` : `{"doubleValue":${JSON.stringify(value)}}`)
    else if (typeof value === 'boolean') out.ascii(value ? '{"boolValue":true}' : '{"boolValue":false}')
    else {
      out.ascii('{"arrayValue":{"values":[')
      for (let index = 0; index < value.length; index++) {
        if (index > 0) out.ascii(',')
        anyValue(value[index])
      }
      out.ascii(']}}')
    }
  }
  function key(name: string): void {
    if (attributes++ > 0) out.ascii(',')
    let bytes = keys.get(name)
    if (bytes === undefined) {
      bytes = Buffer.from(`{"key":${JSON.stringify(name)},"value":`)
      if (keys.size < MAX_NAMES) keys.set(name, bytes)
    }
    out.copy(bytes)
  }
  function attribute(name: string, value: AttributeValue | undefined | null): void {
    if (value === undefined || value === null) return
    key(name)
    anyValue(value)
    out.ascii('}')
  }

  return {
    begin() {
      out.at = 0
      spans = 0
      out.copy(begin)
    },
    open(given) {
      head = given
      attributes = 0
      out.ascii(spans++ > 0 ? ',{"traceId":"' : '{"traceId":"')
      out.ascii(given.traceId)
      out.ascii('","spanId":"')
      out.ascii(given.spanId)
      if (given.parentSpanId !== undefined) {
        out.ascii('","parentSpanId":"')
        out.ascii(given.parentSpanId)
      }
      out.ascii('","name":')
      quoted(given.name)
      out.ascii(
        `,"kind":${given.kind},"startTimeUnixNano":"${nanoseconds(given.start)}","endTimeUnixNano":"${nanoseconds(given.end)}","attributes":[`,
      )
    },
    set: attribute,
    setEscaped(name, pieces) {
      key(name)
      out.copy(TEXT)
      out.ascii('"')
      for (const piece of pieces) out.utf8(piece)
      out.ascii('"}}')
    },
    block(write) {
      const before = attributes
      const at = out.at
      write()
      // Without the comma that stands before it here.
      return { from: before > 0 && attributes > before ? at + 1 : at, to: out.at, attributes: attributes - before }
    },
    repeat(block) {
      if (block.attributes === 0) return
      if (attributes > 0) out.ascii(',')
      out.again(block.from, block.to)
      attributes += block.attributes
    },
    close(events) {
      out.ascii('],"droppedAttributesCount":0,"events":[')
      for (let index = 0; index < events.length; index++) {
        const { name, at, setAttributes } = events[index]!
        out.ascii(index > 0 ? ',{"attributes":[' : '{"attributes":[')
        attributes = 0
        setAttributes(attribute)
        out.ascii('],"name":')
        quoted(name)
        out.ascii(`,"timeUnixNano":"${nanoseconds(at)}","droppedAttributesCount":0}`)
      }
      const { error, parentIsRemote } = head!
      out.ascii('],"droppedEventsCount":0,"status":{"code":')
      out.ascii(String(error === undefined ? STATUS_CODE.unset : STATUS_CODE.error))
      if (error !== undefined) {
        out.ascii(',"message":')
        quoted(error)
      }
      out.ascii(`},"links":[],"droppedLinksCount":0,"flags":${parentIsRemote ? FLAGS.remote : FLAGS.local}}`)
    },
    end() {
      if (spans === 0) return NO_SPANS
      out.ascii(END)
      return out.taken()
    },
  }
}

function nanoseconds(milliseconds: number): string {
  const micros = microsecondsOf(milliseconds)
  return micros === 0 ? '0' : micros > Number.MAX_SAFE_INTEGER ? String(BigInt(micros) * 1000n) : `${micros}000`
}
