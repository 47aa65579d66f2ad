import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import type { PlannedCall } from './kinds.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

const BODY_SHOWN = 120

/** What is wrong with an answer; undefined where it is as it should be. */
export function checkAnswer(planned: PlannedCall, status: number, headers: Headers, body: Buffer): string | undefined {
  if (status !== planned.expectedStatus)
    return `status ${status} instead of ${planned.expectedStatus}: ${body.toString('utf8').slice(0, BODY_SHOWN)}`
  if (planned.abort) return undefined
  let text: string
  try {
    text = decode(headers['content-encoding'], body).toString('utf8')
  } catch (error) {
    return `the body cannot be decoded: ${String(error)}`
  }
  if (planned.stream !== undefined) {
    const type = headers['content-type']
    if (typeof type !== 'string' || !type.startsWith('text/event-stream')) return `content type ${type} of a stream`
    return endedProperly(planned.stream, text) ? undefined : `the stream broke off: …${text.slice(-BODY_SHOWN)}`
  }
  try {
    const document: unknown = JSON.parse(text)
    return typeof document === 'object' && document !== null ? undefined : 'the body is no JSON object'
  } catch {
    return `the body is not JSON: ${text.slice(0, BODY_SHOWN)}`
  }
}

function endedProperly(dialect: 'openai' | 'anthropic', text: string): boolean {
  const events = text.trimEnd().split('\n\n')
  const last = events.at(-1) ?? ''
  if (dialect === 'openai') return last === 'data: [DONE]'
  return last.startsWith('event: message_stop\n') && events[0]!.startsWith('event: message_start\n')
}

function decode(encoding: string | string[] | undefined, body: Buffer): Buffer {
  if (encoding === undefined || encoding === 'identity') return body
  if (encoding === 'gzip') return gunzipSync(body)
  if (encoding === 'deflate') return inflateSync(body)
  if (encoding === 'br') return brotliDecompressSync(body)
  throw new Error(`content-encoding ${String(encoding)}`)
}
