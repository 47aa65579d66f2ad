import { describe, expect, it } from 'vitest'
import { makeLogLimit } from './log-limit.ts'
import { type LogLevel, makeLogger } from './logger.ts'

function limited(level: LogLevel) {
  const lines: Record<string, unknown>[] = []
  let at = 1_000_000
  const logger = makeLogger(level, { write: (line) => void lines.push(JSON.parse(line)) })
  const shown = () => lines.map(({ level, msg, n, suppressed }) => [level, msg, n, suppressed])
  const pass = (ms: number) => {
    at += ms
  }
  return { limit: makeLogLimit(logger, () => at), shown, pass }
}

describe('log lines limited by kind', () => {
  it('one a minute of each kind; the next says how many were left out', () => {
    const { limit, shown, pass } = limited('INFO')
    for (let n = 0; n < 5; n++) limit.warn('a', { n }, 'first')
    limit.warn('b', { n: 9 }, 'other')
    pass(59_999)
    limit.warn('a', { n: 5 }, 'first')
    pass(1)
    limit.warn('a', { n: 6 }, 'first')
    pass(60_000)
    limit.warn('a', { n: 7 }, 'first')
    expect(shown()).toEqual([
      ['WARN', 'first', 0, undefined],
      ['WARN', 'other', 9, undefined],
      ['WARN', 'first', 6, 5],
      ['WARN', 'first', 7, undefined],
    ])
  })

  it('levels are kinds of their own', () => {
    const { limit, shown } = limited('INFO')
    limit.warn('a', {}, 'warned')
    limit.error('a', {}, 'failed')
    limit.info('a', {}, 'told')
    expect(shown().map(([level]) => level)).toEqual(['WARN', 'ERROR', 'INFO'])
  })

  it('DEBUG has every line', () => {
    const { limit, shown } = limited('DEBUG')
    for (let n = 0; n < 3; n++) limit.error('a', { n }, 'failed')
    expect(shown()).toEqual([
      ['ERROR', 'failed', 0, undefined],
      ['DEBUG', 'failed', 1, undefined],
      ['DEBUG', 'failed', 2, undefined],
    ])
  })

  it('forgets the oldest kinds, not the newest', () => {
    const { limit, shown } = limited('INFO')
    for (let n = 0; n < 1500; n++) limit.warn(`kind ${n}`, { n }, 'm')
    limit.warn('kind 1499', { n: -1 }, 'm')
    limit.warn('kind 0', { n: -2 }, 'm')
    expect(
      shown()
        .slice(1500)
        .map(([, , n]) => n),
    ).toEqual([-2])
  })
})
