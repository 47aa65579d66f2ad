import { setTimeout as sleep } from 'node:timers/promises'

const BASE_MS = 200
const CAP_MS = 30_000
const RETRY_AFTER_CAP_MS = 10 * 60_000

/** Milliseconds until the next try after so many failures in a row (≥ 1): full jitter, after what the sink asked for. */
export function backOff(failures: number, afterMs: number | undefined, random: () => number): number {
  const jitter = random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures - 1, 20))
  return Math.min(afterMs ?? 0, RETRY_AFTER_CAP_MS) + jitter
}

/** Ends at the signal too, without an error. */
export async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {})
}
