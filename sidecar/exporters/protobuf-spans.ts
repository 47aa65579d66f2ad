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

/** Field number and wire type of each field, as one byte. */
const ANY = { text: 0x0a, bool: 0x10, int: 0x18, double: 0x21, list: 0x2a } as const
const SPAN_ATTRIBUTE = 0x4a
const EVENT_ATTRIBUTE = 0x1a
const SPAN = 0x12
const INT64 = 2 ** 63
/** What the bytes around a value can take at most: tags, lengths, a number. */
const MARGIN = 64
/** A value whose lengths are all one byte, whatever its key. */
const SHORT_TEXT = 48

/** OTLP protobuf. */
export function makeProtobufSpans(): SpanWriter {
  const out = new ByteWriter(256 * 1024)
  /** Name → its field with tag and length, and the tag of the value. */
  const keys = new Map<string, Buffer>()
  let head: SpanHead | undefined
  let spanStart = 0

  function byte(value: number): void {
    out.bytes[out.at++] = value
  }
  function varint(value: number): void {
    let rest = value
    while (rest >= 0x8000_0000) {
      byte((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    while (rest > 0x7f) {
      byte((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    byte(rest)
  }
  function int64(value: number): void {
    if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
      varint(value)
      return
    }
    let rest = BigInt.asUintN(64, BigInt(value))
    while (rest > 0x7fn) {
      byte(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    byte(Number(rest))
  }
  function fixed64(milliseconds: number): void {
    const micros = microsecondsOf(milliseconds)
    if (micros > Number.MAX_SAFE_INTEGER) {
      out.at = out.bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(micros) * 1000n), out.at)
      return
    }
    // In nanoseconds, by halves: the whole does not fit a float.
    const low = (micros % 0x1_0000_0000) * 1000
    const high = Math.floor(micros / 0x1_0000_0000) * 1000 + Math.floor(low / 0x1_0000_0000)
    out.at = out.bytes.writeUInt32LE(low % 0x1_0000_0000, out.at)
    out.at = out.bytes.writeUInt32LE(high % 0x1_0000_0000, out.at)
  }
  function fixed32(value: number): void {
    out.at = out.bytes.writeUInt32LE(value, out.at)
  }
  function hex(digits: string): void {
    byte(digits.length >> 1)
    for (let index = 0; index < digits.length; index += 2)
      byte((nibble(digits.charCodeAt(index)) << 4) | nibble(digits.charCodeAt(index + 1)))
  }
  /** With its length before it. */
  function text(value: string): void {
    const bytes = Buffer.byteLength(value)
    out.room(bytes + MARGIN)
    varint(bytes)
    out.at += out.bytes.write(value, out.at, 'utf8')
  }
  /** The length of what stands from `start` on, into the `reserved` bytes before it. */
  function closeLength(start: number, reserved: number): void {
    const length = out.at - start
    const size = varintSize(length)
    if (size !== reserved) {
      out.room(size)
      out.bytes.copyWithin(start - reserved + size, start, out.at)
    }
    const end = out.at + size - reserved
    out.at = start - reserved
    varint(length)
    out.at = end
  }

  function valueSize(value: AttributeValue): number {
    if (typeof value === 'string') return 1 + sizeWithLength(Buffer.byteLength(value))
    if (typeof value === 'boolean') return 2
    if (typeof value === 'number') return isInt64(value) ? 1 + (value < 0 ? 10 : varintSize(value)) : 9
    return 1 + sizeWithLength(itemsSize(value))
  }
  function itemsSize(items: readonly unknown[]): number {
    let size = 0
    for (const item of items) size += 1 + sizeWithLength(item == null ? 0 : valueSize(item as AttributeValue))
    return size
  }
  function anyValue(value: AttributeValue): void {
    if (typeof value === 'string') {
      byte(ANY.text)
      text(value)
    } else if (typeof value === 'boolean') {
      byte(ANY.bool)
      byte(value ? 1 : 0)
    } else if (typeof value === 'number') {
      if (isInt64(value)) {
        byte(ANY.int)
        int64(value)
      } else {
        byte(ANY.double)
        out.at = out.bytes.writeDoubleLE(value, out.at)
      }
    } else {
      byte(ANY.list)
      varint(itemsSize(value))
      for (const item of value) {
        out.room(MARGIN)
        byte(0x0a)
        varint(item == null ? 0 : valueSize(item))
        if (item != null) anyValue(item)
      }
    }
  }
  function keyOf(name: string): Buffer {
    let key = keys.get(name)
    if (key === undefined) {
      const start = out.at
      out.room(name.length * 3 + MARGIN)
      byte(0x0a)
      text(name)
      byte(0x12)
      key = Buffer.from(out.bytes.subarray(start, out.at))
      out.at = start
      if (keys.size < MAX_NAMES) keys.set(name, key)
    }
    return key
  }
  /** Most values are short ASCII: then each length is one byte, and the text is looked at once. False where it is none. */
  function shortText(tag: number, key: Buffer, value: string): boolean {
    const { length } = value
    if (length > SHORT_TEXT || key.length + length > 0x70) return false
    const start = out.at
    byte(tag)
    byte(key.length + length + 3)
    out.copy(key)
    byte(length + 2)
    byte(ANY.text)
    byte(length)
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index)
      if (code > 0x7f) {
        out.at = start
        return false
      }
      out.bytes[out.at + index] = code
    }
    out.at += length
    return true
  }
  function attribute(tag: number, name: string, value: AttributeValue | undefined | null): void {
    if (value === undefined || value === null) return
    const key = keyOf(name)
    out.room(key.length + MARGIN + SHORT_TEXT)
    if (typeof value === 'string' && shortText(tag, key, value)) return
    const size = valueSize(value)
    byte(tag)
    varint(key.length + sizeWithLength(size))
    out.copy(key)
    out.room(MARGIN)
    varint(size)
    anyValue(value)
  }

  return {
    begin() {
      out.at = 0
    },
    open(given) {
      head = given
      out.room(4 * MARGIN)
      byte(SPAN)
      // Most spans are 128 to 16,383 bytes long.
      out.at += 2
      spanStart = out.at
      byte(0x0a)
      hex(given.traceId)
      byte(0x12)
      hex(given.spanId)
      if (given.parentSpanId !== undefined) {
        byte(0x22)
        hex(given.parentSpanId)
      }
      byte(0x2a)
      text(given.name)
      out.room(MARGIN)
      byte(0x30)
      byte(given.kind)
      byte(0x39)
      fixed64(given.start)
      byte(0x41)
      fixed64(given.end)
    },
    set: (name, value) => attribute(SPAN_ATTRIBUTE, name, value),
    close(events) {
      out.room(MARGIN)
      byte(0x50)
      byte(0)
      for (const event of events) {
        out.room(MARGIN)
        byte(0x5a)
        const start = ++out.at
        byte(0x09)
        fixed64(event.at)
        byte(0x12)
        text(event.name)
        event.setAttributes((name, value) => attribute(EVENT_ATTRIBUTE, name, value))
        out.room(MARGIN)
        byte(0x20)
        byte(0)
        closeLength(start, 1)
      }
      out.room(MARGIN)
      byte(0x60)
      byte(0)
      byte(0x70)
      byte(0)
      byte(0x7a)
      const start = ++out.at
      if (head!.error !== undefined && head!.error !== '') {
        byte(0x12)
        text(head!.error)
        out.room(MARGIN)
      }
      byte(0x18)
      byte(head!.error === undefined ? STATUS_CODE.unset : STATUS_CODE.error)
      closeLength(start, 1)
      out.room(MARGIN)
      // 16, fixed32
      byte(0x85)
      byte(0x01)
      fixed32(head!.parentIsRemote ? FLAGS.remote : FLAGS.local)
      closeLength(spanStart, 2)
    },
    end() {
      const spans = out.taken()
      if (spans.length === 0) return spans
      const framed = (tag: number, parts: readonly Buffer[]): Buffer[] => {
        out.at = 0
        byte(tag)
        varint(parts.reduce((sum, part) => sum + part.length, 0))
        return [out.taken(), ...parts]
      }
      out.at = 0
      attribute(0x0a, 'service.name', SERVICE)
      byte(0x10)
      byte(0)
      const resource = out.taken()
      out.at = 0
      byte(0x0a)
      text(SERVICE)
      const scope = out.taken()
      const scopeSpans = framed(0x12, [...framed(0x0a, [scope]), spans])
      return Buffer.concat(framed(0x0a, [...framed(0x0a, [resource]), ...scopeSpans]))
    },
  }
}

function isInt64(value: number): boolean {
  return Number.isInteger(value) && value >= -INT64 && value < INT64
}

function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size++
  return size
}

function sizeWithLength(size: number): number {
  return varintSize(size) + size
}

function nibble(code: number): number {
  return code <= 0x39 ? code - 0x30 : code - 0x57
}
