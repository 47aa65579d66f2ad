import { describe, expect, it } from 'vitest'
import { makeCapture } from '../testing/make-capture.ts'
import { readAttempts } from './read-attempts.ts'

const T = 1_795_419_012_000
const answered = { httpStatus: 200, failed: false, startedAt: T, durationMs: 900, picoUsd: 5 }
const attempts = (log: object, how: object = {}) => readAttempts(makeCapture({ log }).log, { ...answered, ...how })
const tried = (ip: string, at: number, more: object = {}) => ({ ip, port: 443, balancer_start: T + at, ...more })

describe('attempts', () => {
  it('of one there is nothing to tell', () => {
    expect(attempts({ tries: [tried('10.0.0.1', 0)], upstream_status: '200' })).toBeUndefined()
    expect(attempts({ tries: [] })).toBeUndefined()
    expect(attempts({ tries: null, ai: { proxy: { tried_targets: [{ provider: 'openai' }] } } })).toBeUndefined()
  })

  it('of Kong’s balancer: each with its time, and what Kong says of it; the last has the answer and its cost', () => {
    const log = {
      upstream_status: '502, -, 200',
      tries: [tried('10.0.0.1', 1), tried('10.0.0.2', 101, { state: 'failed', code: 504 }), tried('10.0.0.3', 301)],
    }
    expect(attempts(log)).toEqual([
      { address: '10.0.0.1:443', startedAt: T + 1, durationMs: 100, httpStatus: 502, failed: true },
      { address: '10.0.0.2:443', startedAt: T + 101, durationMs: 200, httpStatus: 504, failed: true },
      { address: '10.0.0.3:443', startedAt: T + 301, durationMs: 599, httpStatus: 200, failed: false, picoUsd: 5 },
    ])
  })

  it('that all failed cost nothing that anybody knows', () => {
    const log = { upstream_status: '502, 503', tries: [tried('10.0.0.1', 0), tried('10.0.0.1', 10)] }
    expect(attempts(log, { httpStatus: 503, failed: true, picoUsd: undefined })).toEqual([
      expect.objectContaining({ httpStatus: 502, failed: true }),
      { address: '10.0.0.1:443', startedAt: T + 10, durationMs: 890, httpStatus: 503, failed: true },
    ])
  })

  it('of ai-proxy-advanced name provider and model', () => {
    const target = (provider: string, model: string, host: string) => ({ provider, model, host, port: 443 })
    const ai = {
      proxy: {
        tried_targets: [
          target('azure', 'gpt-4o', 'a.openai.azure.com'),
          target('openai', 'gpt-4o-mini', 'api.openai.com'),
        ],
      },
    }
    expect(attempts({ ai, tries: [tried('203.0.113.1', 0), tried('203.0.113.2', 50)] })).toMatchObject([
      { provider: 'azure.ai.openai', model: 'gpt-4o', address: 'a.openai.azure.com:443', durationMs: 50 },
      { provider: 'openai', model: 'gpt-4o-mini', address: 'api.openai.com:443', durationMs: 850, picoUsd: 5 },
    ])
  })

  it('are bounded, and take anything for what it is', () => {
    const many = Array.from({ length: 100 }, (_, index) => tried('10.0.0.1', index))
    expect(attempts({ tries: many })).toHaveLength(16)
    const odd = {
      upstream_status: 502,
      tries: [{ ip: null, balancer_start: -1 }, {}],
      ai: { proxy: { tried_targets: 'x' } },
    }
    expect(attempts(odd)).toEqual([
      { httpStatus: 502, failed: true },
      { httpStatus: 200, failed: false, picoUsd: 5 },
    ])
  })
})
