import type { JsonObject } from './json-value.ts'

/**
 * The guard of law 6: a usage object that remembers which of its keys a reader took. What holds a count and was taken by
 * nobody is named on the call (`unread_usage`), so that a new key of a provider never costs money silently.
 */
interface Watch {
  raw: JsonObject
  /** Paths that were read: `prompt_tokens_details.cached_tokens`, of lists `iterations[].input_tokens`. */
  taken: Set<string>
}

const WATCHES = new WeakMap<object, Watch>()
const MAX_DEPTH = 6
const MAX_ITEMS = 64
export const MAX_UNREAD = 8
const MAX_KEY = 64

/** The same object to its readers. A list or object inside of it is watched as well. */
export function watchUsage(raw: JsonObject | undefined): JsonObject | undefined {
  if (raw === undefined || WATCHES.has(raw)) return raw
  const watch: Watch = { raw, taken: new Set() }
  const watched = watchedAt(raw, '', watch.taken) as JsonObject
  WATCHES.set(watched, watch)
  return watched
}

function watchedAt(value: object, path: string, taken: Set<string>): object {
  const isList = Array.isArray(value)
  return new Proxy(value, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key)
      if (typeof key !== 'string') return member
      const at = isList ? `${path}[]` : path === '' ? key : `${path}.${key}`
      if (!isList) taken.add(at)
      return member !== null && typeof member === 'object' ? watchedAt(member, at, taken) : member
    },
  })
}

/** For a reader that walks the object itself: marks a path as taken. */
export function takerOf(usage: JsonObject): ((path: string) => void) | undefined {
  const taken = WATCHES.get(usage)?.taken
  return taken === undefined ? undefined : (path) => taken.add(path)
}

/** The object as it came. */
export function unwatched(usage: JsonObject): JsonObject {
  return WATCHES.get(usage)?.raw ?? usage
}

/** Keys that hold a count above zero and that nobody took; undefined where the object was not watched. */
export function unreadKeys(usage: JsonObject | undefined): string[] | undefined {
  const watch = usage === undefined ? undefined : WATCHES.get(usage)
  if (watch === undefined) return undefined
  const unread = new Set<string>()
  collect(watch.raw, '', watch.taken, unread, 0)
  return [...unread].slice(0, MAX_UNREAD).map((path) => path.slice(0, MAX_KEY))
}

function collect(value: object, path: string, taken: Set<string>, unread: Set<string>, depth: number): void {
  if (depth > MAX_DEPTH || unread.size >= MAX_UNREAD) return
  if (Array.isArray(value)) {
    for (const item of value.slice(0, MAX_ITEMS))
      if (item !== null && typeof item === 'object') collect(item, `${path}[]`, taken, unread, depth + 1)
    return
  }
  for (const [key, member] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`
    if (typeof member === 'number') {
      if (member > 0 && !taken.has(at) && !NO_COUNTS.some((pattern) => pattern.test(at))) unread.add(at)
    } else if (member !== null && typeof member === 'object') collect(member, at, taken, unread, depth + 1)
  }
}

/** Numbers in usage objects that are billed nowhere, or stand elsewhere as well. Each row says why. */
const NO_COUNTS: readonly RegExp[] = [
  // Sums of counts that are read one by one.
  /(?:^|\.)(?:total|totals?_?tokens?|total_?token_?count)$/i,
  /^(?:billable|billed)_tokens$/,
  // Text is what is left of the whole when the other kinds are taken away.
  /(?:^|[._])text_?tokens$/i,
  // Times and speeds of the answer.
  /(?:time|latency|duration|delay|speed|per_second|tps|ttft|_ms|_at|timestamp|expires)(?:_?(?:ms|seconds|s))?$/i,
  // Amounts of money are bills (reported-cost.ts) or parts of one.
  /(?:^|[._])(?:cost|costs|price|credits?|cost_details|market_?cost)(?:$|\.)|(?:^|\.)cost_in_|_(?:cost|price)$/i,
  // The size of the context after the answer, of the document that was read; the sum of what is counted by tool.
  /^(?:context_details(?:\.|$)|num_server_side_tools_used$|num_prompts?$|request_count$|server_tool_use_details\.tool_calls_(?:requested|executed)$|doc_size_bytes$|document_size)/,
  // Parts of the answer by words that were predicted: they are in the output.
  /(?:accepted|rejected)_prediction_tokens$/,
]
