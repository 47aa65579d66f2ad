import { type ExpositionSources, makeExposition } from '../metrics/exposition.ts'
import { newReceiveCounters } from '../receive.ts'

const DAY_MS = 86_400_000

/** The text of one scrape of a store; what is not given stands at its least. */
export async function scrape(
  sources: Pick<ExpositionSources, 'store'> & Partial<ExpositionSources>,
  accept?: string,
): Promise<string> {
  const exposition = makeExposition(expositionSources(sources))
  const { body } = await exposition.render(accept)
  exposition.close()
  return body.join('')
}

export function expositionSources(
  sources: Pick<ExpositionSources, 'store'> & Partial<ExpositionSources>,
): ExpositionSources {
  return {
    limits: { logBytes: 1024, series: 1000 },
    idleMs: 365 * DAY_MS,
    writeFailures: new Map(),
    damagedRows: () => 0,
    receive: newReceiveCounters(),
    deliver: new Map(),
    book: { version: 'book@1', updated: '2026-01-01', stats: { loadedAt: 1000, reloads: 0, failures: 0 } },
    ...sources,
  }
}

/** Lines of a metric, sorted. */
export const samplesOf = (text: string, name: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .sort()
