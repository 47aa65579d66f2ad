import type { Random } from '../seeded-random.ts'
import { isRecord, recordsOf } from './json.ts'
import { tokensOf } from './text.ts'

/** What a prompt costs, in units that do not overlap. */
export interface PromptUsage {
  input: number
  cacheRead: number
  cacheWrite5m: number
  cacheWrite1h: number
}

/**
 * Prompt caching as Anthropic bills it: everything up to the last block with `cache_control` (tools, then system, then
 * messages) is read from the cache or written to it, by the time to live of the mark that closes it.
 * Whether it is read or written is drawn, not remembered: the same request must give the same numbers.
 */
export function promptUsageOf(request: Record<string, unknown>, random: Random): PromptUsage {
  const usage: PromptUsage = { input: 3, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0 }
  const draw = random()
  let open = 0 // tokens since the last mark
  let marks = 0
  for (const { tokens, mark } of segmentsOf(request)) {
    open += tokens
    if (mark === undefined) continue
    // All read, all written, or the first stretch read and the rest written.
    if (draw < 0.4 || (draw >= 0.8 && marks === 0)) usage.cacheRead += open
    else if (mark === '1h') usage.cacheWrite1h += open
    else usage.cacheWrite5m += open
    marks++
    open = 0
  }
  usage.input += open
  return usage
}

interface Segment {
  tokens: number
  mark: '5m' | '1h' | undefined
}

function segmentsOf(request: Record<string, unknown>): Segment[] {
  const segments: Segment[] = []
  for (const tool of recordsOf(request.tools))
    segments.push({ tokens: tokensOf(JSON.stringify(tool)), mark: markOf(tool) })
  segments.push(...contentSegments(request.system))
  for (const message of recordsOf(request.messages)) {
    segments.push({ tokens: 4, mark: undefined }, ...contentSegments(message.content))
  }
  return segments
}

function contentSegments(content: unknown): Segment[] {
  if (typeof content === 'string') return [{ tokens: tokensOf(content), mark: undefined }]
  return recordsOf(content).map((part) => ({
    tokens: typeof part.text === 'string' ? tokensOf(part.text) : tokensOf(JSON.stringify(part)),
    mark: markOf(part),
  }))
}

function markOf(part: Record<string, unknown>): Segment['mark'] {
  if (!isRecord(part.cache_control)) return undefined
  return part.cache_control.ttl === '1h' ? '1h' : '5m'
}
