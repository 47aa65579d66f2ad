import { readFileSync } from 'node:fs'
import { between, seededRandom } from '../seeded-random.ts'
import { type Answer, type BilledUsage, billed } from './answer.ts'
import { isRecord, recordsOf } from './json.ts'

/** One row of `exchanges.jsonl`, as far as it is replayed. */
export interface Recording {
  id: string
  method: string
  path: string
  requestHeaders: Record<string, string>
  requestBody: unknown
  provider: string
  endpoint: string
  status: number
  headers: Record<string, string>
  /** Decoded: as the provider meant it, without content-encoding. */
  body: Buffer
  sha256: string
  isStream: boolean
  expected: Record<string, unknown>
}

/** Of one connection, or made anew by whoever sends. */
const NOT_REPLAYED = new Set(['content-length', 'content-encoding', 'transfer-encoding', 'connection', 'keep-alive'])

export function loadRecordings(file: string): Map<string, Recording> {
  const recordings = new Map<string, Recording>()
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((line, index) => {
      if (line.trim() === '') return
      const row: unknown = JSON.parse(line)
      if (!isRecord(row) || typeof row.id !== 'string' || typeof row.response_body_b64 !== 'string')
        throw new Error(`recordings: line ${index + 1} is no recorded exchange`)
      recordings.set(row.id, {
        id: row.id,
        method: String(row.method),
        path: String(row.url_path),
        requestHeaders: stringsOf(row.request_headers),
        requestBody: row.request_body,
        provider: String(row.provider),
        endpoint: String(row.endpoint),
        status: Number(row.response_status),
        headers: stringsOf(row.response_headers),
        body: Buffer.from(row.response_body_b64, 'base64'),
        sha256: String(row.response_body_sha256),
        isStream: row.is_stream === true,
        expected: isRecord(row.expected) ? row.expected : {},
      })
    })
  return recordings
}

/** Status, headers and the very bytes of the recording; a stream in pieces cut without regard to lines or characters. */
export function replay(recording: Recording): Answer {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(recording.headers))
    if (!NOT_REPLAYED.has(name.toLowerCase())) headers[name.toLowerCase()] = value
  headers['content-type'] ??= recording.isStream ? 'text/event-stream' : 'application/json'
  return {
    status: recording.status,
    headers,
    body: recording.isStream ? cutAnywhere(recording.body, recording.id) : recording.body,
    billed: recording.status < 400 ? billedOf(recording) : {},
  }
}

function cutAnywhere(body: Buffer, id: string): Buffer[] {
  const random = seededRandom(Number.parseInt(id.slice(0, 8), 16) | 0)
  const cuts = new Set<number>([0, body.length])
  for (let i = between(random, [2, 8]); i > 0; i--) cuts.add(between(random, [0, body.length]))
  const sorted = [...cuts].sort((a, b) => a - b)
  return sorted.slice(1).map((end, index) => body.subarray(sorted[index], end))
}

/** The row's `expected` in units that do not overlap. One answer may bill several passes (`billed`): their sum counts. */
function billedOf({ expected }: Recording): BilledUsage {
  if (expected.usage_reported !== true || expected.billable === false) return {}
  const lines = recordsOf(expected.billed)
  const sum: Record<string, number> = {}
  for (const line of lines.length > 0 ? lines : [expected]) {
    const count = (name: string): number => (typeof line[name] === 'number' ? line[name] : 0)
    // Some providers report more cached or image tokens than prompt tokens: a part is never larger than what is left.
    let inputLeft = count('input_tokens')
    let outputLeft = count('output_tokens')
    const ofInput = (tokens: number): number => {
      const part = Math.max(0, Math.min(tokens, inputLeft))
      inputLeft -= part
      return part
    }
    const ofOutput = (tokens: number): number => {
      const part = Math.max(0, Math.min(tokens, outputLeft))
      outputLeft -= part
      return part
    }
    const write5m = ofInput(count('cache_write_5m_tokens'))
    const write1h = ofInput(count('cache_write_1h_tokens'))
    const readAudio = ofInput(count('cache_read_audio_tokens'))
    const units = {
      cache_write_5m: write5m,
      cache_write_1h: write1h,
      cache_write: ofInput(count('cache_write_tokens') - write5m - write1h),
      cache_read_audio: readAudio,
      cache_read: ofInput(count('cache_read_tokens') - readAudio),
      input_audio: ofInput(count('input_audio_tokens') - readAudio),
      input_image: ofInput(count('input_image_tokens')),
      input: inputLeft,
      output_reasoning: ofOutput(count('reasoning_tokens')),
      output_audio: ofOutput(count('output_audio_tokens')),
      output_image: ofOutput(count('output_image_tokens')),
      output: outputLeft,
    }
    for (const [unit, tokens] of Object.entries(units)) sum[unit] = (sum[unit] ?? 0) + tokens
  }
  return billed(typeof expected.model === 'string' ? expected.model : 'unknown', sum)
}

function stringsOf(value: unknown): Record<string, string> {
  const strings: Record<string, string> = {}
  if (isRecord(value)) for (const [name, item] of Object.entries(value)) strings[name] = String(item)
  return strings
}
