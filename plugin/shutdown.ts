import { setTimeout as sleep } from 'node:timers/promises'
import { makeNotices } from './notices.ts'
import { allShippers } from './shippers.ts'

/**
 * Kong stops a plugin server with SIGTERM and kills it 25–30 ms later (measured on 3.9.3), and Node's own answer to
 * SIGTERM is to die at once. So all that is queued is handed over immediately, on several connections, each batch
 * tried once. What the sidecar does not take in that time is given up: where there is time left it is told so.
 *
 * A plugin server that is a process or container of its own is not killed so soon: LLM_OBSERVER_DRAIN_MS says how
 * long it may go on trying. (Kong strips the environment of servers that it starts itself: there it stays unset.)
 */
const HAND_OVER_MS = 1000
const POLL_MS = 5
/** Telling what is given up takes one small batch. */
const ABANDON_MS = 200

let installed = false
let leaving = false
/** Events whose capture is still being read: they belong to what is handed over. */
let reading = 0

export function readingBegins(): void {
  reading++
}
export function readingEnds(): void {
  reading--
}

/** Once, when there is something to lose: importing the plugin for its schema changes nothing. */
export function installShutdown(): void {
  if (installed) return
  installed = true
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void leave())
}

async function leave(): Promise<void> {
  if (leaving) return
  leaving = true
  const drainMs = Number(process.env.LLM_OBSERVER_DRAIN_MS)
  const drains = Number.isFinite(drainMs) && drainMs > 0
  const deadline = performance.now() + (drains ? drainMs : HAND_OVER_MS)
  await handOverAll(deadline, drains)
  const lost = allShippers().reduce((sum, shipper) => sum + shipper.held, 0) + reading
  if (lost > 0)
    makeNotices().say('warn', 'the process ends before the sidecar took everything: lost', { captures: lost })
  await Promise.all(allShippers().map((shipper) => shipper.abandon(ABANDON_MS)))
  process.exit(0)
}

async function handOverAll(deadline: number, retry: boolean): Promise<void> {
  for (;;) {
    await Promise.all(allShippers().map((shipper) => shipper.handOver(deadline, retry)))
    if (performance.now() >= deadline) return
    const done = allShippers().every((shipper) => shipper.idle)
    if (reading === 0 && (done || !retry)) return
    await sleep(POLL_MS)
  }
}
