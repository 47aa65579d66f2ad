import type { Retry } from '../exporters/exporter.ts'
import type { Entry } from '../store/sink-log.ts'
import type { Decided, Sent, Sink, Undecided } from './sink.ts'

/** Refused pushes in a row after which the loop looks whether single calls are the cause. */
export const SEARCH_AFTER = 3
/** A search in which so many pushes in a row were refused ends: the sink may be away. It goes on after a pause. */
const MAX_REFUSED_IN_SEARCH = 20

/** What a source of calls (the log, the held calls of a tenant) remembers while its calls are refused. */
export interface Trouble {
  /** Attempts in a row in which nothing was decided. */
  failures: number
  last: Retry | undefined
  /** Attempts since the search began. */
  searches: number
  /** Of the sink, when calls were last refused here. */
  clock: number
  /** Calls that were refused in a push of their own, by position. */
  alone: Map<number, Alone>
}
export interface Alone {
  /** Epoch ms of the first such refusal. */
  since: number
  /** Of the sink, at the last one. */
  clock: number
  failure: Retry
}
/** All calls are taken again. */
export function endTrouble(trouble: Trouble): void {
  trouble.failures = 0
  trouble.searches = 0
  trouble.last = undefined
  trouble.alone.clear()
}
export const noTrouble = (): Trouble => ({ failures: 0, last: undefined, searches: 0, clock: 0, alone: new Map() })

/** What became of the calls of one attempt; each stands in one of the five. */
export interface Attempt {
  decided: Decided[]
  /** Refused while others are taken, with all of their partition: to be held back. */
  refused: Undecided[]
  /** Refused alone while others of their partition are taken: to be held back, and found out. */
  suspects: (Undecided & { alone: Alone })[]
  /** Refused; the sink may be away. */
  left: Undecided[]
  untried: Entry[]
}

interface AttemptOptions {
  /** What a probe may be chosen of, more than `entries`: a run of calls that fail must not hide the others. */
  window(): Promise<readonly Entry[]>
  random: () => number
  now: () => number
  signal: AbortSignal
}

/** How far beyond a batch a probe is looked for, in batches: calls and bytes. */
const WINDOW_CALLS = 8
const WINDOW_BYTES = 4
/** Wider with each attempt; `more` calls are not to be chosen. */
export function windowOf(batch: { calls: number; bytes: number }, searches: number, more = 0) {
  const width = Math.min(2 ** searches, WINDOW_CALLS)
  return { calls: batch.calls * width + more, bytes: batch.bytes * Math.min(width, WINDOW_BYTES) }
}

/** Answers that may depend on what is in the push; others are of the sink or of the way to it. */
export function dependsOnCall({ retry }: Retry): boolean {
  return /^http_5/.test(retry) || retry === 'timeout' || retry === 'reset' || retry === 'protocol'
}
const NO_ANSWER = new Set(['dns', 'refused', 'unreachable', 'tls', 'connection', 'aborted'])

/**
 * Sends the calls, once. After some refused attempts it first sends one call alone, now the newest, now any (a probe):
 *   refused: the sink is taken to be away, and all others are left as they are;
 *   taken: the sink lives, so the refusals were about some calls. The rest is sent in halves until these stand alone.
 * Every third attempt sends all again.
 */
export async function attempt(
  sink: Sink,
  entries: readonly Entry[],
  trouble: Trouble,
  options: AttemptOptions,
): Promise<Attempt> {
  const all: Sent = { decided: [], failed: [], untried: [] }

  async function send(piece: readonly Entry[]): Promise<Sent> {
    const sent = await sink.send(piece)
    all.decided.push(...sent.decided)
    for (const { entry } of sent.decided) trouble.alone.delete(entry.position)
    const [only] = sent.failed
    if (piece.length === 1 && only !== undefined && dependsOnCall(only.failure)) {
      const { position } = only.entry
      const since = trouble.alone.get(position)?.since ?? options.now()
      trouble.alone.set(position, { since, clock: sink.clock(), failure: only.failure })
    }
    return sent
  }
  const keep = (sent: Sent) => {
    all.failed.push(...sent.failed)
    all.untried.push(...sent.untried)
  }

  /** Pieces that are refused are divided, as long as others are taken. */
  async function search(start: readonly Entry[]): Promise<void> {
    const pieces = [start]
    let refused = 0
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      if (refused >= MAX_REFUSED_IN_SEARCH || options.signal.aborted) {
        all.untried.push(...piece)
        continue
      }
      const sent = await send(piece)
      refused = sent.decided.length > 0 ? 0 : refused + 1
      if (sent.failed.some(({ failure }) => NO_ANSWER.has(failure.retry))) refused = MAX_REFUSED_IN_SEARCH
      const isWhole = ({ failure }: Undecided) =>
        failure.scope === 'tenant' || piece.length === 1 || !(dependsOnCall(failure) || sink.keepsApart)
      all.failed.push(...sent.failed.filter(isWhole))
      const failed = sent.failed.filter((one) => !isWhole(one))
      const rest = [...failed.map(({ entry }) => entry), ...sent.untried].sort((a, b) => a.position - b.position)
      if (rest.length > 0 && refused < MAX_REFUSED_IN_SEARCH && !isStuck(rest)) pieces.unshift(...divide(rest))
      else keep({ decided: [], failed, untried: sent.untried })
    }
  }
  const takenPartitions = () =>
    new Set(all.decided.filter(({ outcome }) => outcome.outcome === 'sent').map(({ entry }) => sink.partitionOf(entry)))
  /** One partition that takes nothing: which call it is cannot be found here. */
  function isStuck(piece: readonly Entry[]): boolean {
    const [partition, ...others] = new Set(piece.map(sink.partitionOf))
    return others.length === 0 && sink.lastTaken(partition!) <= trouble.clock
  }
  function divide(piece: readonly Entry[]): (readonly Entry[])[] {
    if (piece.length === 1) return [piece]
    const partitions = [...new Set(piece.map(sink.partitionOf))]
    if (partitions.length > 1) {
      const first = new Set(partitions.slice(0, partitions.length >> 1))
      return [
        piece.filter((entry) => first.has(sink.partitionOf(entry))),
        piece.filter((entry) => !first.has(sink.partitionOf(entry))),
      ]
    }
    const middle = piece.length >> 1
    return [piece.slice(0, middle), piece.slice(middle)]
  }

  async function probeOf(): Promise<Entry | undefined> {
    const { failures, last } = trouble
    if (failures < SEARCH_AFTER || last === undefined || NO_ANSWER.has(last.retry)) return undefined
    if (!dependsOnCall(last) && !sink.keepsApart) return undefined
    const turn = trouble.searches++ % 3
    if (turn === 1) return undefined
    const window = await options.window()
    const fresh = window.filter(({ position }) => !trouble.alone.has(position))
    const choice = fresh.length > 0 ? fresh : window
    if (window.length < 2) return undefined
    return turn === 0
      ? choice.at(-1)
      : choice[Math.min(choice.length - 1, Math.floor(options.random() * choice.length))]
  }

  /** Refused alone before, and another of its partition was taken since. */
  const aloneOf = (entry: Entry) => {
    const alone = trouble.alone.get(entry.position)
    return alone !== undefined && sink.lastTaken(sink.partitionOf(entry)) > alone.clock ? alone : undefined
  }

  /** What was refused alone need not be sent again to be a suspect. */
  async function searchOthers(rest: readonly Entry[]): Promise<void> {
    all.untried.push(...rest.filter(aloneOf))
    const others = rest.filter((entry) => aloneOf(entry) === undefined)
    if (others.length > 0) await search(others)
  }
  /** Pushes from elsewhere (held calls, the log) show that it lives, since calls were refused here. */
  const isKnownToLive = () =>
    trouble.failures >= SEARCH_AFTER && entries.some((entry) => sink.lastTaken(sink.partitionOf(entry)) > trouble.clock)

  const probe = isKnownToLive() ? undefined : await probeOf()
  if (isKnownToLive()) await searchOthers(entries)
  else if (probe === undefined) keep(await send(entries))
  else {
    const sent = await send([probe])
    keep(sent)
    const rest = entries.filter(({ position }) => position !== probe.position)
    if (sent.decided.length === 0) all.untried.push(...rest)
    else await searchOthers(rest)
  }
  if (all.failed.length > 0) trouble.clock = sink.clock()

  const result: Attempt = { decided: all.decided, refused: [], suspects: [], left: [], untried: [] }
  const taken = takenPartitions()
  for (const { entry, failure } of all.failed) {
    const partition = sink.partitionOf(entry)
    const alone = aloneOf(entry)
    if (failure.scope === 'tenant') result.refused.push({ entry, failure })
    else if (alone !== undefined) result.suspects.push({ entry, failure, alone })
    else if (taken.size > 0 && !taken.has(partition) && !NO_ANSWER.has(failure.retry))
      result.refused.push({ entry, failure })
    else result.left.push({ entry, failure })
  }
  for (const entry of all.untried) {
    const alone = aloneOf(entry)
    if (alone !== undefined) result.suspects.push({ entry, failure: alone.failure, alone })
    else result.untried.push(entry)
  }
  for (const { entry } of result.suspects) trouble.alone.delete(entry.position)
  return result
}
