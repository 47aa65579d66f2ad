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
  all(): Iterable<Sample & { name: string }>
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
    *all() {
      for (const [name, samples] of byName)
        for (const { labels, value } of samples.values()) yield { name, labels, value }
    },
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

export interface HistogramSample {
  labels: readonly string[]
  /** One for each bound and +Inf; not cumulative. */
  counts: readonly bigint[]
  sumMs: bigint
}

export function histogramSamples(name: HistogramName, samples: Iterable<Sample>): HistogramSample[] {
  const width = HISTOGRAMS[name].length + 1
  const byLabels = new Map<string, { labels: readonly string[]; counts: bigint[]; sumMs: bigint }>()
  for (const { labels, value } of samples) {
    const [tenant, provider, model, bucket] = labels as [string, string, string, string]
    const key = `${tenant}${SEPARATOR}${provider}${SEPARATOR}${model}`
    let sample = byLabels.get(key)
    if (sample === undefined) {
      sample = { labels: [tenant, provider, model], counts: Array<bigint>(width).fill(0n), sumMs: 0n }
      byLabels.set(key, sample)
    }
    if (Number(bucket) === SUM) sample.sumMs = value
    else sample.counts[Number(bucket)] = value
  }
  return [...byLabels.values()]
}
