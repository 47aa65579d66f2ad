import type { LlmCall } from '../call.ts'
import type { SeenApplication } from './langfuse-place.ts'
import type { Answer } from './post.ts'

/** After so long an application's SDK has sent its spans (it does so every few seconds) and Langfuse has stored them. */
const LOOK_AFTER_MS = 60_000
/** What is known is looked at again then. */
const LOOK_AGAIN_MS = 60 * 60_000
/** So many traces in a row have to say that something is not there, before it is believed. */
const SURE_AFTER = 3
const MAX_APPLICATIONS = 10_000
const MAX_WAITING = 100
/** An application's clock and the gateway's differ by that at most, or its generation is not found around ours. */
const CLOCK_MS = 2_000
const WINDOW_MS = 10 * 60_000
const PAGE = 50

export interface SeenApplications {
  of(call: LlmCall): SeenApplication | undefined
  /** A call whose place depends on what is seen was taken: its trace is looked at in a minute, where that is due. */
  taken(call: LlmCall): void
  close(): void
}

export interface SeenOptions {
  /** A GET of Langfuse's API with the keys of the call's project. */
  get: (path: string, call: LlmCall) => Promise<Answer>
  /** Of which application a call is. */
  keyOf: (call: LlmCall) => string
  now?: () => number
  lookAfterMs?: number
}

interface Entry {
  seen: SeenApplication | undefined
  /** Traces in a row without spans, and with spans but without a generation around ours. */
  withoutSpans: number
  withoutGeneration: number
  lookFrom: number
}

/**
 * What Langfuse has of an application besides our own spans, found by looking at a few of its traces. It is a hint that
 * lives in memory: after a start nothing is known for a minute, and an answer that fails changes nothing.
 */
export function makeSeenApplications(options: SeenOptions): SeenApplications {
  const { get, keyOf, now = Date.now, lookAfterMs = LOOK_AFTER_MS } = options
  const entries = new Map<string, Entry>()
  const waiting = new Set<NodeJS.Timeout>()

  async function look(call: LlmCall, entry: Entry): Promise<void> {
    const answer = await get(pathOf(call), call)
    const found = 'ok' in answer ? othersIn(answer.ok, call) : undefined
    if (found === undefined) {
      entry.lookFrom = now() + LOOK_AGAIN_MS
      return
    }
    entry.withoutSpans = found.traces ? 0 : entry.withoutSpans + 1
    entry.withoutGeneration = found.generation ? 0 : entry.withoutGeneration + 1
    const traces = found.traces || (entry.withoutSpans < SURE_AFTER ? entry.seen?.traces : false)
    if (traces !== undefined)
      entry.seen = {
        traces,
        generation: found.generation || (entry.withoutGeneration < SURE_AFTER && entry.seen?.generation === true),
      }
    const sure = found.generation || entry.withoutSpans >= SURE_AFTER || entry.withoutGeneration >= SURE_AFTER
    entry.lookFrom = sure ? now() + LOOK_AGAIN_MS : 0
  }

  return {
    of: (call) => entries.get(keyOf(call))?.seen,
    taken(call) {
      const key = keyOf(call)
      let entry = entries.get(key)
      if (entry === undefined) {
        if (entries.size >= MAX_APPLICATIONS) entries.clear()
        entry = { seen: undefined, withoutSpans: 0, withoutGeneration: 0, lookFrom: 0 }
        entries.set(key, entry)
      }
      if (now() < entry.lookFrom || waiting.size >= MAX_WAITING) return
      entry.lookFrom = Number.POSITIVE_INFINITY
      const looked = entry
      const timer = setTimeout(() => {
        waiting.delete(timer)
        void look(call, looked)
      }, lookAfterMs)
      timer.unref()
      waiting.add(timer)
    },
    close() {
      for (const timer of waiting) clearTimeout(timer)
      waiting.clear()
    },
  }
}

function pathOf({ trace, startedAt, durationMs }: LlmCall): string {
  const query = new URLSearchParams({
    traceId: trace.traceId,
    fields: 'core,metadata',
    limit: String(PAGE),
    fromStartTime: new Date(startedAt - WINDOW_MS).toISOString(),
    toStartTime: new Date(startedAt + durationMs + CLOCK_MS).toISOString(),
  })
  return `/api/public/v2/observations?${query}`
}

/** Undefined where the answer is none that can be read. */
function othersIn(body: Buffer, call: LlmCall): SeenApplication | undefined {
  let data: unknown
  try {
    data = (JSON.parse(body.toString()) as { data?: unknown } | null)?.data
  } catch {
    return undefined
  }
  if (!Array.isArray(data)) return undefined
  const others = (data as Partial<Record<string, unknown>>[]).filter((each) => !isOurs(each))
  const middle = call.startedAt + call.durationMs / 2
  return {
    traces: others.length > 0,
    generation: others.some(
      ({ type, startTime, endTime }) =>
        type === 'GENERATION' &&
        Date.parse(String(startTime)) - CLOCK_MS <= middle &&
        middle <= Date.parse(String(endTime)) + CLOCK_MS,
    ),
  }
}

function isOurs({ metadata }: Partial<Record<string, unknown>>): boolean {
  return typeof metadata === 'object' && metadata !== null && 'call_id' in metadata
}
