/** Labels of a series, in the order of its metric; the key joins them with a character that no label holds. */
const SEPARATOR = '\u0000'

export interface Sample {
  labels: readonly string[]
  value: bigint
}

/** Named integer totals by label tuple. Money is pico-USD. */
export interface Series {
  add(name: string, labels: readonly string[], value: bigint): void
  of(name: string): Iterable<Sample>
  clear(): void
}

export function makeSeries(): Series {
  const byName = new Map<string, Map<string, { labels: readonly string[]; value: bigint }>>()
  return {
    add(name, labels, value) {
      let samples = byName.get(name)
      if (samples === undefined) {
        samples = new Map()
        byName.set(name, samples)
      }
      const key = labels.join(SEPARATOR)
      const sample = samples.get(key)
      if (sample === undefined) samples.set(key, { labels, value })
      else sample.value += value
    },
    of: (name) => byName.get(name)?.values() ?? [],
    clear: () => byName.clear(),
  }
}

/** Upper bounds in seconds; the last bucket is +Inf. */
export const LATENCY_BUCKETS = [0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300] as const
export const FIRST_TOKEN_BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
] as const
export const SUM = -1

export const HISTOGRAMS = { latency: LATENCY_BUCKETS, first_token: FIRST_TOKEN_BUCKETS } as const
export type HistogramName = keyof typeof HISTOGRAMS

export function bucketOf(name: HistogramName, milliseconds: number): number {
  const bounds: readonly number[] = HISTOGRAMS[name]
  const seconds = milliseconds / 1000
  const index = bounds.findIndex((bound) => seconds <= bound)
  return index === -1 ? bounds.length : index
}
