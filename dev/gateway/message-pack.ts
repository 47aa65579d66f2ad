/**
 * MessagePack as Kong's Lua writes and reads it: the byte forms of lua-MessagePack with its defaults.
 *
 * - A string is bytes: raw of 5, 16 or 32 bits of length, never `str 8`.
 * - A number without fraction is the shortest integer, any other a double: Lua has one kind of number.
 * - An empty table is an empty array. An empty `Map` is an empty map (Kong writes one where it means a map).
 */
export type Packable =
  | null
  | undefined
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Packable[]
  | ReadonlyMap<string | number, Packable>
  | { readonly [key: string]: Packable }

const utf8 = new TextEncoder()
const FIRST_SIZE = 1024

export function pack(value: Packable): Buffer {
  const writer = makeWriter()
  writeValue(writer, value)
  return writer.bytes()
}

function writeValue(writer: Writer, value: Packable): void {
  if (value === null || value === undefined) writer.byte(0xc0)
  else if (typeof value === 'boolean') writer.byte(value ? 0xc3 : 0xc2)
  else if (typeof value === 'number') writeNumber(writer, value)
  else if (typeof value === 'string') writeRaw(writer, utf8.encode(value))
  else if (value instanceof Uint8Array) writeRaw(writer, value)
  else if (Array.isArray(value)) writeArray(writer, value)
  else if (value instanceof Map) writeMap(writer, [...value])
  else {
    const entries = Object.entries(value as Record<string, Packable>).filter(([, item]) => item !== undefined)
    if (entries.length === 0) writeArray(writer, [])
    else writeMap(writer, entries)
  }
}

function writeArray(writer: Writer, items: readonly Packable[]): void {
  writer.length(items.length, 0x90, 0xdc)
  for (const item of items) writeValue(writer, item)
}

function writeMap(writer: Writer, entries: readonly (readonly [string | number, Packable])[]): void {
  writer.length(entries.length, 0x80, 0xde)
  for (const [key, item] of entries) {
    writeValue(writer, key)
    writeValue(writer, item)
  }
}

function writeRaw(writer: Writer, bytes: Uint8Array): void {
  const { length } = bytes
  if (length <= 0x1f) writer.byte(0xa0 | length)
  else if (length <= 0xffff) writer.number(0xda, 2, (view, at) => view.setUint16(at, length))
  else writer.number(0xdb, 4, (view, at) => view.setUint32(at, length))
  writer.append(bytes)
}

function writeNumber(writer: Writer, value: number): void {
  if (!Number.isSafeInteger(value)) writer.number(0xcb, 8, (view, at) => view.setFloat64(at, value))
  else if (value >= 0) {
    if (value <= 0x7f) writer.byte(value)
    else if (value <= 0xff) writer.number(0xcc, 1, (view, at) => view.setUint8(at, value))
    else if (value <= 0xffff) writer.number(0xcd, 2, (view, at) => view.setUint16(at, value))
    else if (value <= 0xffffffff) writer.number(0xce, 4, (view, at) => view.setUint32(at, value))
    else writer.number(0xcf, 8, (view, at) => view.setBigUint64(at, BigInt(value)))
  } else if (value >= -0x20) writer.byte(value & 0xff)
  else if (value >= -0x80) writer.number(0xd0, 1, (view, at) => view.setInt8(at, value))
  else if (value >= -0x8000) writer.number(0xd1, 2, (view, at) => view.setInt16(at, value))
  else if (value >= -0x80000000) writer.number(0xd2, 4, (view, at) => view.setInt32(at, value))
  else writer.number(0xd3, 8, (view, at) => view.setBigInt64(at, BigInt(value)))
}

type Writer = ReturnType<typeof makeWriter>

function makeWriter() {
  let buffer = Buffer.allocUnsafe(FIRST_SIZE)
  let view = new DataView(buffer.buffer, buffer.byteOffset)
  let used = 0

  const room = (bytes: number) => {
    if (used + bytes <= buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, used + bytes))
    buffer.copy(larger, 0, 0, used)
    buffer = larger
    view = new DataView(buffer.buffer, buffer.byteOffset)
  }
  const writer = {
    byte(value: number) {
      room(1)
      buffer[used++] = value
    },
    number(head: number, size: number, set: (view: DataView, at: number) => void) {
      room(1 + size)
      buffer[used] = head
      set(view, used + 1)
      used += 1 + size
    },
    /** Of an array or a map: in the head byte where it is under 16. */
    length(count: number, fixed: number, wide: number) {
      if (count <= 0xf) writer.byte(fixed | count)
      else if (count <= 0xffff) writer.number(wide, 2, (to, at) => to.setUint16(at, count))
      else writer.number(wide + 1, 4, (to, at) => to.setUint32(at, count))
    },
    append(bytes: Uint8Array) {
      room(bytes.length)
      buffer.set(bytes, used)
      used += bytes.length
    },
    bytes: () => buffer.subarray(0, used),
  }
  return writer
}

export type Unpacked = null | boolean | number | string | Uint8Array | Unpacked[] | Map<unknown, Unpacked>

/** Thrown inside where a message has not arrived whole. */
const INCOMPLETE = Symbol('incomplete')

export interface UnpackOptions {
  /** Strings as the bytes they are. Otherwise they are read as UTF-8. */
  raw?: boolean
}

/** The first message in `bytes` and where it ends; `undefined` where it has not arrived whole. Maps become `Map`. */
export function unpack(bytes: Buffer, options: UnpackOptions = {}): { value: Unpacked; end: number } | undefined {
  let at = 0
  const take = (size: number) => {
    if (at + size > bytes.length) throw INCOMPLETE
    at += size
    return at - size
  }
  const text = (length: number) => {
    const from = take(length)
    return options.raw ? bytes.subarray(from, from + length) : bytes.toString('utf8', from, from + length)
  }
  const list = (count: number) => {
    const items: Unpacked[] = []
    for (let index = 0; index < count; index++) items.push(value())
    return items
  }
  const map = (count: number) => {
    const entries = new Map<unknown, Unpacked>()
    for (let index = 0; index < count; index++) {
      const key = value()
      entries.set(key instanceof Uint8Array ? Buffer.from(key).toString('latin1') : key, value())
    }
    return entries
  }
  const value = (): Unpacked => {
    const head = bytes.readUInt8(take(1))
    if (head <= 0x7f) return head
    if (head >= 0xe0) return head - 0x100
    if (head <= 0x8f) return map(head & 0xf)
    if (head <= 0x9f) return list(head & 0xf)
    if (head <= 0xbf) return text(head & 0x1f)
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
      case 0xd9:
        return text(bytes.readUInt8(take(1)))
      case 0xc5:
      case 0xda:
        return text(bytes.readUInt16BE(take(2)))
      case 0xc6:
      case 0xdb:
        return text(bytes.readUInt32BE(take(4)))
      case 0xca:
        return bytes.readFloatBE(take(4))
      case 0xcb:
        return bytes.readDoubleBE(take(8))
      case 0xcc:
        return bytes.readUInt8(take(1))
      case 0xcd:
        return bytes.readUInt16BE(take(2))
      case 0xce:
        return bytes.readUInt32BE(take(4))
      case 0xcf:
        return Number(bytes.readBigUInt64BE(take(8)))
      case 0xd0:
        return bytes.readInt8(take(1))
      case 0xd1:
        return bytes.readInt16BE(take(2))
      case 0xd2:
        return bytes.readInt32BE(take(4))
      case 0xd3:
        return Number(bytes.readBigInt64BE(take(8)))
      case 0xdc:
        return list(bytes.readUInt16BE(take(2)))
      case 0xdd:
        return list(bytes.readUInt32BE(take(4)))
      case 0xde:
        return map(bytes.readUInt16BE(take(2)))
      case 0xdf:
        return map(bytes.readUInt32BE(take(4)))
      default:
        throw new Error(`MessagePack: byte 0x${head.toString(16)} starts nothing that is spoken here`)
    }
  }
  try {
    return { value: value(), end: at }
  } catch (error) {
    if (error === INCOMPLETE) return undefined
    throw error
  }
}
