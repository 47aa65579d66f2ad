import type { LlmCall } from '../call.ts'
import { contentJson } from '../content-json.ts'

/**
 * Calls on their way to the thread that writes: JSON in UTF-8, one behind the other in one buffer, which is transferred
 * instead of copied. In each the content comes last: the thread needs nothing of it, and parses what stands before.
 */
export interface PackedCalls {
  bytes: Buffer<ArrayBuffer>
  /** Of each call: where it ends. */
  ends: Uint32Array
  /** Of each call: bytes before its content; what is missing there is one closing brace. 0: it has none. */
  heads: Uint32Array
}

export function packCalls(calls: readonly LlmCall[]): PackedCalls {
  const ends = new Uint32Array(calls.length)
  const heads = new Uint32Array(calls.length)
  const texts: string[] = []
  let bytes = 0
  for (const [index, call] of calls.entries()) {
    const { content } = call
    const head = JSON.stringify(content === undefined ? call : { ...call, content: undefined })
    if (content === undefined) texts.push(head)
    else {
      heads[index] = 1
      texts.push(head.slice(0, -1), `,"content":${contentJson(content)}}`)
    }
  }
  for (const text of texts) bytes += Buffer.byteLength(text)
  const buffer = Buffer.from(new ArrayBuffer(bytes))
  let at = 0
  let next = 0
  for (let index = 0; index < calls.length; index++) {
    const start = at
    at += buffer.write(texts[next++]!, at)
    if (heads[index] === 1) {
      heads[index] = at - start
      at += buffer.write(texts[next++]!, at)
    }
    ends[index] = at
  }
  return { bytes: buffer, ends, heads }
}

/** Bytes of one call. */
export function sizeOf({ ends }: PackedCalls, index: number): number {
  return ends[index]! - (index === 0 ? 0 : ends[index - 1]!)
}

/** The bytes of one call, and the call without its content. */
export function unpackCall({ bytes, ends, heads }: PackedCalls, index: number): { body: Uint8Array; call: LlmCall } {
  const start = index === 0 ? 0 : ends[index - 1]!
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + start, ends[index]! - start)
  const head = heads[index]!
  const call = JSON.parse(head === 0 ? body.toString() : `${body.toString('utf8', 0, head)}}`) as LlmCall
  return { body, call }
}
