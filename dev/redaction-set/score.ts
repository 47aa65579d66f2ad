import { isReadable, type Labelled } from './make-set.ts'

export interface Score {
  /** Texts with a secret, and how many of them show it no more. */
  planted: number
  found: number
  harmless: number
  /** Harmless texts that were changed. */
  changed: number
  /** By promise: all, most. */
  byPromise: Record<'all' | 'most', { planted: number; found: number }>
  missed: { labelled: Labelled; masked: string }[]
  wrong: { labelled: Labelled; masked: string }[]
}

export function scoreOf(set: readonly Labelled[], mask: (text: string) => string): Score {
  const score: Score = {
    planted: 0,
    found: 0,
    harmless: 0,
    changed: 0,
    byPromise: { all: { planted: 0, found: 0 }, most: { planted: 0, found: 0 } },
    missed: [],
    wrong: [],
  }
  for (const labelled of set) {
    const masked = mask(labelled.text)
    if (labelled.secret === undefined) {
      score.harmless++
      if (masked === labelled.text) continue
      score.changed++
      score.wrong.push({ labelled, masked })
      continue
    }
    const promise = score.byPromise[labelled.secret.promise]
    score.planted++
    promise.planted++
    if (isReadable(masked, labelled)) score.missed.push({ labelled, masked })
    else {
      score.found++
      promise.found++
    }
  }
  return score
}

/** Of what was masked, how much was to be. */
export function precisionOf({ found, changed }: Score): number {
  return found / (found + changed)
}
