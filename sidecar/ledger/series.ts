/** Labels of a series, in the order of its metric; the key joins them with a character that no label holds. */
const SEPARATOR = '\u0000'

export interface Sample {
  labels: readonly string[]
  value: bigint
  /** Epoch milliseconds: when it last grew, or was loaded. */
  changedAt: number
  /** What `/metrics` writes before the value; kept, since a series is written many times and its labels never change. */
  text?: string
}

/** Named integer totals by label tuple. Money is pico-USD. */
export interface Series {
  add(name: string, labels: readonly string[], value: bigint, at?: number): void
  of(name: string): Iterable<Sample>
  all(): Iterable<Sample & { name: string }>
}

export function makeSeries(): Series {
  const byName = new Map<string, Map<string, Sample>>()
  return {
    add(name, labels, value, at = 0) {
      let samples = byName.get(name)
      if (samples === undefined) {
        samples = new Map()
        byName.set(name, samples)
      }
      const key = labels.join(SEPARATOR)
      const sample = samples.get(key)
      if (sample === undefined) samples.set(key, { labels, value, changedAt: at })
      else {
        sample.value += value
        sample.changedAt = at
      }
    },
    of: (name) => byName.get(name)?.values() ?? [],
    *all() {
      for (const [name, samples] of byName) for (const sample of samples.values()) yield { name, ...sample }
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
  counts: bigint[]
  sumMs: bigint
  changedAt: number
  /** What `/metrics` writes before each value; see Sample. */
  texts?: readonly string[]
}

/** Histograms by tenant, provider and model. A sample with bucket SUM adds milliseconds. */
export function makeHistograms() {
  const byName: Record<HistogramName, Map<string, HistogramSample>> = { latency: new Map(), first_token: new Map() }
  return {
    add(name: HistogramName, [tenant, provider, model, bucket]: readonly string[], value: bigint, at = 0): void {
      const key = `${tenant}${SEPARATOR}${provider}${SEPARATOR}${model}`
      let sample = byName[name].get(key)
      if (sample === undefined) {
        const counts = Array<bigint>(HISTOGRAMS[name].length + 1).fill(0n)
        sample = { labels: [tenant!, provider!, model!], counts, sumMs: 0n, changedAt: at }
        byName[name].set(key, sample)
      }
      if (Number(bucket) === SUM) sample.sumMs += value
      else sample.counts[Number(bucket)]! += value
      sample.changedAt = at
    },
    of: (name: HistogramName): Iterable<HistogramSample> => byName[name].values(),
  }
}
