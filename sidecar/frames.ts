import { isUtf8 } from 'node:buffer'
import { type Batch, type BatchProblem, MAX_BATCH_ENTRIES, readBatch } from './capture-batch.ts'
import { nestsDeeperThan } from './json-depth.ts'

/**
 * The second form of a batch, which the tap sends when it ships by itself (`ship: tap`): bodies as they are. Content type
 * `application/vnd.kong-llm-observer.frames`.
 *
 * A line of JSON, ended by LF: the batch without its captures. Then one frame each: a line of JSON, a tombstone or a
 * capture without bodies but with `"bodies": [request, response, tail]`, their lengths in bytes; and after that line these
 * bytes, one body behind the other.
 */
export const FRAMES_CONTENT_TYPE = 'application/vnd.kong-llm-observer.frames'

/** A line holds Kong's log document with its headers, and what the AI plugins logged. */
const MAX_LINE_BYTES = 2 * 1024 * 1024
const MAX_DEPTH = 64
const LF = 0x0a
const BODIES = ['request_body', 'response_body', 'response_tail'] as const

/**
 * Reads a batch of frames in the shape of `readBatch`: bodies become base64. Never throws. A length that is not one, or
 * that reaches beyond the end, makes the whole batch invalid: what follows cannot be found.
 */
export function readFrames(bytes: Buffer): Batch | { problem: BatchProblem } {
  const head = lineAt(bytes, 0)
  if (typeof head === 'string') return invalid(head)
  const batch = head.json
  if (batch === null || typeof batch !== 'object' || Array.isArray(batch)) return invalid('the first line is no object')
  const captures: unknown[] = []
  let at = head.end
  while (at < bytes.length) {
    if (captures.length >= MAX_BATCH_ENTRIES) return invalid(`more than ${MAX_BATCH_ENTRIES} frames`)
    const line = lineAt(bytes, at)
    if (typeof line === 'string') return invalid(`frame ${captures.length}: ${line}`)
    const lengths = lengthsOf(line.json)
    if (lengths === undefined) return invalid(`frame ${captures.length}: its "bodies" are no lengths`)
    at = line.end
    for (const [index, length] of lengths.entries()) {
      if (length > bytes.length - at) return invalid(`frame ${captures.length}: its bodies end beyond the batch`)
      if (length > 0) (line.json as Record<string, unknown>)[BODIES[index]!] = bytes.toString('base64', at, at + length)
      at += length
    }
    captures.push(line.json)
  }
  return readBatch({ ...batch, captures })
}

/** The JSON of the line that begins at `from`, and where the next byte after it stands; or what is wrong with it. */
function lineAt(bytes: Buffer, from: number): { json: unknown; end: number } | string {
  const lf = bytes.indexOf(LF, from)
  if (lf < 0) return 'a line without an end'
  if (lf - from > MAX_LINE_BYTES) return `a line of more than ${MAX_LINE_BYTES} bytes`
  const line = bytes.subarray(from, lf)
  if (!isUtf8(line)) return 'a line that is not UTF-8'
  const text = line.toString('utf8')
  if (nestsDeeperThan(text, MAX_DEPTH)) return `JSON that nests deeper than ${MAX_DEPTH} levels`
  try {
    return { json: JSON.parse(text), end: lf + 1 }
  } catch {
    return 'a line that is not JSON'
  }
}

/** Lengths of the frame's bodies, taken out of it; none where it has none; undefined where they are wrong. */
function lengthsOf(frame: unknown): number[] | undefined {
  if (frame === null || typeof frame !== 'object' || !Object.hasOwn(frame, 'bodies')) return []
  const { bodies } = frame as { bodies: unknown }
  delete (frame as { bodies?: unknown }).bodies
  if (!Array.isArray(bodies) || bodies.length > BODIES.length) return undefined
  return bodies.every((length) => Number.isSafeInteger(length) && length >= 0) ? (bodies as number[]) : undefined
}

function invalid(message: string): { problem: BatchProblem } {
  return { problem: { kind: 'invalid_batch', message } }
}
