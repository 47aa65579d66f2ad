import type { Retry } from '../exporters/exporter.ts'
import type { LogLimit } from '../log-limit.ts'
import type { Entry, SinkLog } from '../store/sink-log.ts'
import {
  type Alone,
  attempt,
  dependsOnCall,
  endTrouble,
  noTrouble,
  SEARCH_AFTER,
  type Trouble,
  windowOf,
} from './attempt.ts'
import { backOff } from './back-off.ts'
import type { Decided, Sink, SinkStats } from './sink.ts'

/** Tenants that are tried again at the same time. */
const AT_ONCE = 4
/** Pushes of single suspects in one turn of a tenant. */
const SUSPECTS_A_TURN = 20
/** At least between two turns of suspects alone. */
const SUSPECT_PACE_MS = 1000
/**
 * A suspect becomes a dead letter after so many refusals, each followed by a push of others that was taken: a sink that
 * refuses half of all pushes, whatever is in them, has one healthy call in 6,000 come so far.
 */
const SUSPECT_FAILURES = 8

export interface Held {
  entry: Entry
  failure: Retry
  /** A single call that is suspected, and no sign of its tenant. */
  alone?: Alone
  /** Set aside to let others pass: no sign of anything. */
  aside?: true
}

/** What the sink keeps apart: its calls are not sent from the log while it is blocked. */
interface Partition {
  key: string
  tenants: number
  blocked: Retry | undefined
  trouble: Trouble
  /** Not before, in ms of `now`. */
  dueAt: number
  /** While it is blocked one of its tenants is enough to see whether it still is. */
  underWay: number
}
interface Tenant {
  name: string
  partition: Partition
  dueAt: number
  underWay: boolean
  suspects: Map<number, Suspect>
  /** How often calls were added: one that got more is not forgotten. */
  added: number
  /** Turns in a row in which suspects were tried and the sink took nothing. */
  pauses: number
  /** Since when none of its calls but suspects was decided; ms of `now`. */
  stuckSince: number
}
interface Suspect extends Alone {
  failures: number
  tries: number
  dueAt: number
}

export interface HeldTenants {
  /** Whether calls of this partition are to be held without being sent. */
  blocks(partition: string): Retry | undefined
  /** After the log holds them, durably. */
  add(held: readonly Held[]): void
  /** Tries held calls again until the signal aborts. */
  run(): Promise<void>
}

/**
 * Calls that are held back in the log. Each tenant is tried again on its own back-off; a few at once, the one that is
 * due longest first, and each for one batch a turn, so that none starves. One call of a tenant with a wrong key or at its
 * limit is enough to see that it still is.
 */
export function makeHeldTenants({
  log,
  sink,
  sinkId,
  limits,
  poisonAfterMs,
  settle,
  stats,
  limit,
  signal,
  now,
  random,
  pause,
}: {
  log: SinkLog
  sink: Sink
  sinkId: string
  limits: { calls: number; bytes: number }
  poisonAfterMs: number
  settle(decided: readonly Decided[]): Promise<void>
  stats: SinkStats
  limit: LogLimit
  signal: AbortSignal
  now: () => number
  random: () => number
  pause: (ms: number, signal: AbortSignal) => Promise<void>
}): HeldTenants {
  const tenants = new Map<string, Tenant>()
  const partitions = new Map<string, Partition>()
  /** While the sink refuses everything, one tenant after another and not before. */
  let notBefore = 0
  let wake = new AbortController()
  const wakeUp = () => wake.abort()

  function tenantOf(name: string, key: string): Tenant {
    const known = tenants.get(name)
    if (known !== undefined) return known
    const partition = partitions.get(key) ?? {
      key,
      tenants: 0,
      blocked: undefined,
      trouble: noTrouble(),
      dueAt: 0,
      underWay: 0,
    }
    partitions.set(key, partition)
    partition.tenants++
    const tenant: Tenant = {
      name,
      partition,
      dueAt: 0,
      underWay: false,
      suspects: new Map(),
      added: 0,
      pauses: 0,
      stuckSince: now(),
    }
    tenants.set(name, tenant)
    return tenant
  }

  function forget(tenant: Tenant): void {
    const { name, partition } = tenant
    tenants.delete(name)
    stats.held.delete(name)
    if (--partition.tenants === 0) partitions.delete(partition.key)
  }

  function refuse(partition: Partition, failure: Retry): void {
    const { trouble } = partition
    trouble.failures++
    trouble.last = failure
    partition.dueAt = now() + backOff(trouble.failures, failure.afterMs, random)
  }

  function unblock(partition: Partition): void {
    if (partition.blocked === undefined) return
    partition.blocked = undefined
    const { failures } = partition.trouble
    limit.info(
      `${sinkId} tenant again`,
      { sink: sinkId, ...(partition.key !== '' && { tenant: partition.key }), failures },
      'the sink takes this tenant’s calls again',
    )
  }

  function add(held: readonly Held[]): void {
    for (const { entry, failure, alone, aside } of held) {
      const { position, call } = entry
      const tenant = tenantOf(call.tenant, sink.partitionOf(entry))
      const { partition } = tenant
      tenant.added++
      if (!stats.held.has(tenant.name)) stats.held.set(tenant.name, { reason: failure.retry, since: now() })
      if (alone !== undefined) suspect(tenant, position, alone)
      else if (partition.blocked === undefined && aside === undefined) {
        partition.blocked = failure
        refuse(partition, failure)
      }
    }
    wakeUp()
  }

  function suspect(tenant: Tenant, position: number, alone: Alone): void {
    const dueAt = now() + backOff(SEARCH_AFTER, undefined, random)
    tenant.suspects.set(position, { ...alone, failures: 0, tries: 1, dueAt })
  }

  /** One batch of a tenant. */
  async function turn(tenant: Tenant): Promise<void> {
    const { partition, suspects, added } = tenant
    const share = 1 + Math.ceil(suspects.size / limits.calls)
    const most = { calls: limits.calls + suspects.size, bytes: limits.bytes * share }
    const entries = await log.readHeld(sinkId, tenant.name, most)
    if (entries.length === 0) {
      if (tenant.added === added) forget(tenant)
      return
    }
    const read = new Set(entries.map(({ position }) => position))
    for (const position of suspects.keys())
      if (!read.has(position) && position <= entries.at(-1)!.position) suspects.delete(position)

    const others = entries.filter(({ position }) => !suspects.has(position)).slice(0, limits.calls)
    if (others.length === 0) unblock(partition)
    else await sendOthers(tenant, others)
    if (partition.blocked !== undefined || signal.aborted) return
    const isAlive = await sendSuspects(
      tenant,
      entries.filter(({ position }) => (suspects.get(position)?.dueAt ?? Number.POSITIVE_INFINITY) <= now()),
    )
    tenant.pauses = isAlive ? 0 : tenant.pauses + 1
    if (others.length > 0 || suspects.size === 0) return
    const earliest = Math.min(...[...suspects.values()].map(({ dueAt }) => dueAt))
    const pace = isAlive ? SUSPECT_PACE_MS : backOff(tenant.pauses, undefined, random)
    tenant.dueAt = Math.max(earliest, now() + pace)
  }

  async function sendOthers(tenant: Tenant, others: readonly Entry[]): Promise<void> {
    const { partition } = tenant
    const { trouble } = partition
    const some = partition.blocked?.scope === 'tenant' ? others.slice(0, 1) : others
    const window = async () => {
      if (some.length < others.length) return some
      const width = windowOf(limits, trouble.searches, tenant.suspects.size)
      return (await log.readHeld(sinkId, tenant.name, width)).filter(({ position }) => !tenant.suspects.has(position))
    }
    const result = await attempt(sink, some, trouble, { window, random, now, signal })
    await settle(result.decided)
    if (result.decided.length > 0 || trouble.failures === 0) tenant.stuckSince = now()
    for (const { entry, alone } of result.suspects) suspect(tenant, entry.position, alone)
    const failed = [...result.refused, ...result.left]
    const failure = failed.at(-1)?.failure
    tenant.dueAt = now()
    if (failure !== undefined) {
      const known = stats.held.get(tenant.name)
      if (known !== undefined) known.reason = failure.retry
    }
    if (result.decided.length > 0) unblock(partition)
    if (failure === undefined) {
      if (result.untried.length === 0 && result.suspects.length === 0) endTrouble(trouble)
      return
    }
    if (signal.aborted) return
    refuse(partition, failure)
    if (dependsOnCall(failure) && others.length >= limits.calls && now() - tenant.stuckSince >= poisonAfterMs) {
      // A run of calls that fail must not hide those behind it, however long it is.
      tenant.stuckSince = now()
      const alone = { since: now(), clock: sink.clock(), failure }
      for (const { position } of others) suspect(tenant, position, trouble.alone.get(position) ?? alone)
    }
    if (result.decided.length > 0) trouble.failures = Math.min(trouble.failures, SEARCH_AFTER)
    else if (partition.key !== '' || failure.scope === 'tenant') partition.blocked = failure
  }

  /** Each alone, those that waited longest first. False: nothing was taken meanwhile, and it ended after a few refusals. */
  async function sendSuspects(tenant: Tenant, due: readonly Entry[]): Promise<boolean> {
    const { suspects, partition } = tenant
    const dueAtOf = ({ position }: Entry) => suspects.get(position)!.dueAt
    const began = sink.clock()
    let refused = 0
    for (const entry of [...due].sort((a, b) => dueAtOf(a) - dueAtOf(b)).slice(0, SUSPECTS_A_TURN)) {
      if (signal.aborted) return true
      if (refused >= SEARCH_AFTER && sink.lastTaken(partition.key) <= began) return false
      const known = suspects.get(entry.position)!
      const { decided, failed } = await sink.send([entry], true)
      if (decided.length > 0) {
        await settle(decided)
        suspects.delete(entry.position)
        continue
      }
      const failure = failed[0]?.failure
      if (signal.aborted) return true
      refused++
      known.tries++
      known.dueAt = now() + suspectPause(known, failure?.afterMs)
      if (failure === undefined || !dependsOnCall(failure)) continue
      if (sink.nextAfter(partition.key, known.clock) === true) known.failures++
      known.clock = sink.clock()
      known.failure = failure
      if (known.failures >= SUSPECT_FAILURES && now() - known.since >= poisonAfterMs) {
        await settle([sink.bury(entry, poisonReason(failure), failure.cause)])
        suspects.delete(entry.position)
      }
    }
    return true
  }

  /** Enough tries within the stated time; later as anything else is tried. */
  function suspectPause({ tries, since }: Suspect, afterMs: number | undefined): number {
    const pause = backOff(tries, afterMs, random)
    return now() - since < 2 * poisonAfterMs ? Math.min(pause, poisonAfterMs / SUSPECT_FAILURES) : pause
  }

  const isFree = ({ underWay, partition }: Tenant) =>
    !underWay && !(partition.blocked !== undefined && partition.underWay > 0)
  const dueAtOf = ({ dueAt, partition }: Tenant) => Math.max(dueAt, partition.dueAt, notBefore)

  async function run(): Promise<void> {
    for (const name of await log.heldTenants(sinkId)) {
      const [entry] = await log.readHeld(sinkId, name, { calls: 1, bytes: 1 })
      if (entry === undefined) continue
      tenantOf(name, sink.partitionOf(entry))
      stats.held.set(name, { reason: 'restart', since: now() })
    }
    signal.addEventListener('abort', wakeUp, { once: true })
    const running = new Set<Promise<void>>()
    let failure: unknown
    while (!signal.aborted && failure === undefined) {
      wake = new AbortController()
      let next: Tenant | undefined
      for (const tenant of tenants.values())
        if (isFree(tenant) && (next === undefined || dueAtOf(tenant) < dueAtOf(next))) next = tenant
      const away = sink.refusedInRow() >= SEARCH_AFTER
      if (running.size >= (away ? 1 : AT_ONCE)) next = undefined
      if (next !== undefined && dueAtOf(next) <= now()) {
        const tenant = next
        tenant.underWay = true
        tenant.partition.underWay++
        const working = turn(tenant)
          .catch((error: unknown) => {
            failure ??= error
          })
          .finally(() => {
            running.delete(working)
            tenant.underWay = false
            tenant.partition.underWay--
            if (sink.refusedInRow() >= SEARCH_AFTER) notBefore = now() + backOff(sink.refusedInRow(), undefined, random)
            wakeUp()
          })
        running.add(working)
        continue
      }
      if (next === undefined) await aborted(wake.signal)
      else await pause(dueAtOf(next) - now(), wake.signal)
    }
    await Promise.all(running)
    signal.removeEventListener('abort', wakeUp)
    if (failure !== undefined) throw failure
  }

  return { blocks: (key) => partitions.get(key)?.blocked, add, run }
}

/** A closed list of its own: why a single call is given up that the sink takes no harm to refuse. */
function poisonReason({ retry }: Retry): string {
  return /^http_5/.test(retry) ? 'poison_5xx' : `poison_${retry}`
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
