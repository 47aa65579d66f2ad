import { crc32 } from 'node:zlib'

/*
 * application/vnd.amazon.eventstream, as the AWS SDKs write it. Big endian.
 *
 *   ┌ total length u32 ┬ headers length u32 ┬ CRC of these 8 bytes u32 ┬ headers … ┬ payload … ┬ CRC of all before u32 ┐
 *   header: name length u8, name, type u8, value (type 7, a string: length u16, bytes)
 *
 * A message whose CRC is wrong is left out, and so is one that was cut. Where the beginning is missing, or something in
 * the middle, reading goes on at the first place whose prelude has a right CRC and a whole message with a right CRC
 * behind it.
 */
export interface AwsMessage {
  /** Of the headers those that are text: `:event-type`, `:message-type`, `:exception-type`, … */
  headers: Readonly<Record<string, string>>
  payload: Uint8Array
}

export interface AwsMessages {
  messages: AwsMessage[]
  /** Bytes that are no whole message: at the end of a cut stream, or between messages. */
  leftOver: number
}

const PRELUDE = 12
const OVERHEAD = 16
/** AWS allows 24 MB of payload; one that says more is none. */
const MAX_MESSAGE = 25 * 1024 * 1024
/** … and 128 KB of headers. */
const MAX_HEADERS = 128 * 1024

export function parseAwsEventStream(bytes: Uint8Array): AwsMessages {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const messages: AwsMessage[] = []
  let taken = 0
  let at = 0
  // Preludes made to look right could have every byte summed many times over: after this many in vain they are believed.
  let inVain = buffer.length * 4
  while (at + OVERHEAD <= buffer.length) {
    const total = lengthAt(buffer, at)
    const fits = total !== undefined && at + total <= buffer.length
    const message = fits ? messageAt(buffer, at, total) : undefined
    if (message !== undefined) {
      messages.push(message)
      taken += total as number
    } else if (fits) inVain -= total
    at += message !== undefined || (fits && inVain < 0) ? (total as number) : 1
  }
  return { messages, leftOver: buffer.length - taken }
}

/** True where the bytes begin as a stream of messages does. */
export function isAwsEventStream(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.length >= PRELUDE && lengthAt(buffer, 0) !== undefined
}

/** The message's whole length where a prelude stands here. */
function lengthAt(buffer: Buffer, at: number): number | undefined {
  const total = buffer.readUInt32BE(at)
  if (total < OVERHEAD || total > MAX_MESSAGE) return undefined
  const headers = buffer.readUInt32BE(at + 4)
  if (headers > total - OVERHEAD || headers > MAX_HEADERS) return undefined
  return crc32(buffer.subarray(at, at + 8)) === buffer.readUInt32BE(at + 8) ? total : undefined
}

function messageAt(buffer: Buffer, at: number, total: number): AwsMessage | undefined {
  const end = at + total
  if (crc32(buffer.subarray(at, end - 4)) !== buffer.readUInt32BE(end - 4)) return undefined
  const headersEnd = at + PRELUDE + buffer.readUInt32BE(at + 4)
  return { headers: headersOf(buffer, at + PRELUDE, headersEnd), payload: buffer.subarray(headersEnd, end - 4) }
}

/** Bytes of each type's value; 6 and 7 say their own length. */
const SIZES: Readonly<Record<number, number>> = { 0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16 }

function headersOf(buffer: Buffer, from: number, end: number): Record<string, string> {
  const headers = new Map<string, string>()
  let at = from
  while (at + 2 <= end) {
    const nameEnd = at + 1 + buffer.readUInt8(at)
    if (nameEnd + 1 > end) break
    const name = buffer.toString('utf8', at + 1, nameEnd)
    const type = buffer.readUInt8(nameEnd)
    at = nameEnd + 1
    if (type === 6 || type === 7) {
      if (at + 2 > end) break
      const valueEnd = at + 2 + buffer.readUInt16BE(at)
      if (valueEnd > end) break
      if (type === 7) headers.set(name, buffer.toString('utf8', at + 2, valueEnd))
      at = valueEnd
    } else {
      const size = SIZES[type]
      if (size === undefined) break
      at += size
    }
  }
  return Object.fromEntries(headers)
}
