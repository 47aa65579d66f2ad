import type { Exchange } from './dialect.ts'

/** What one capture may cost to read: bytes and lines of the beginning and of the end of an answer, each. */
export const MAX_BYTES = 1024 * 1024
export const MAX_LINES = 32 * 1024

const LF = 0x0a
const CR = 0x0d

/**
 * The same exchange with no more of its answer than a reader may look at: what is larger has its middle cut out, as the
 * tap does it. `limited` says that it was. Linear in what is kept.
 */
export function boundExchange(exchange: Exchange): { exchange: Exchange; limited: boolean } {
  const { responseBody, responseTail } = exchange
  if (responseBody === undefined) return { exchange, limited: false }
  const large = responseBody.length > 2 * MAX_BYTES || manyLines(responseBody)
  if (responseTail === undefined) {
    if (!large) return { exchange, limited: false }
    const head = headOf(responseBody)
    const tail = tailOf(responseBody.subarray(head.length))
    return { exchange: { ...exchange, responseBody: head, responseTail: tail }, limited: true }
  }
  const largeTail = responseTail.length > MAX_BYTES || manyLines(responseTail)
  if (!large && !largeTail) return { exchange, limited: false }
  return {
    exchange: { ...exchange, responseBody: headOf(responseBody), responseTail: tailOf(responseTail) },
    limited: true,
  }
}

function manyLines(bytes: Uint8Array): boolean {
  if (bytes.length <= 2 * MAX_LINES) return false
  let lines = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if ((byte === LF || byte === CR) && ++lines > 2 * MAX_LINES) return true
  }
  return false
}

function headOf(bytes: Uint8Array): Uint8Array {
  const end = Math.min(bytes.length, MAX_BYTES)
  let lines = 0
  for (let at = 0; at < end; at++) {
    const byte = bytes[at]
    if ((byte === LF || byte === CR) && ++lines >= MAX_LINES) return bytes.subarray(0, at + 1)
  }
  return bytes.subarray(0, end)
}

function tailOf(bytes: Uint8Array): Uint8Array {
  const start = Math.max(0, bytes.length - MAX_BYTES)
  let lines = 0
  for (let at = bytes.length - 1; at >= start; at--) {
    const byte = bytes[at]
    if ((byte === LF || byte === CR) && ++lines >= MAX_LINES) return bytes.subarray(at + 1)
  }
  return bytes.subarray(start)
}
