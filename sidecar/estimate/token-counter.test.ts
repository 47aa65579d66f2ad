import { afterEach, describe, expect, it, vi } from 'vitest'
import { openTokenCounter, type TokenCounter, type TokenCounterOptions } from './token-counter.ts'

/** Workers are real; the time that passes for their limits is the tests' own. */
const TIMEOUT_MS = 120_000
const withFakeTimers = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })

const open: TokenCounter[] = []
afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(open.splice(0).map((counter) => counter.close()))
})
function counterOf(options: Partial<TokenCounterOptions> & { worker?: string } = {}): TokenCounter {
  const { worker, ...rest } = options
  const counter = openTokenCounter({
    workers: 1,
    queueBytes: 1000,
    timeoutMs: TIMEOUT_MS,
    ...(worker === undefined ? {} : { workerFile: new URL(`./testing/${worker}.ts`, import.meta.url) }),
    ...rest,
  })
  open.push(counter)
  return counter
}
const job = (...texts: string[]) => ({ encoding: 'o200k_base' as const, texts })

describe('the counter of tokens', () => {
  it('counts in another thread, each text for itself', async () => {
    const counter = counterOf({ queueBytes: 100_000 })
    expect(await counter.count(job('Hello, world!', '', 'tokenization'))).toEqual([4, 0, 2])
    expect(await counter.count({ encoding: 'cl100k_base', texts: ['Hello, world!'] })).toEqual([4])
    expect(counter.stats).toEqual({ counted: 2, queue_full: 0, failed: 0, waitingBytes: 0 })
  })

  it('answers each job with its own counts, whatever waits', async () => {
    const counter = counterOf({ worker: 'moody-worker', workers: 3 })
    const lengths = Array.from({ length: 30 }, (_, length) => length)
    const answers = await Promise.all(lengths.map((length) => counter.count(job('x'.repeat(length)))))
    expect(answers).toEqual(lengths.map((length) => [length]))
  })

  it('takes no more text than its queue holds, says so, and has room again', async () => {
    const counter = counterOf({ worker: 'moody-worker', queueBytes: 100 })
    const first = counter.count(job('x'.repeat(40)))
    expect(await counter.count(job('x'.repeat(40)))).toBe('queue_full')
    expect(await first).toEqual([40])
    expect(await counter.count(job('x'.repeat(40)))).toEqual([40])
    expect(counter.stats).toEqual({ counted: 2, queue_full: 1, failed: 0, waitingBytes: 0 })
  })

  it('gives up a job on which a worker hangs, and what waits behind it is counted by the next worker', async () => {
    withFakeTimers()
    const counter = counterOf({ worker: 'moody-worker' })
    expect(await counter.count(job('warm'))).toEqual([4])
    const hanging = counter.count(job('HANG'))
    vi.advanceTimersByTime(TIMEOUT_MS - 1)
    const after = counter.count(job('after'))
    vi.advanceTimersByTime(1)
    expect(await hanging).toBe('failed')
    expect(await after).toEqual([5])
    expect(counter.stats).toEqual({ counted: 2, queue_full: 0, failed: 1, waitingBytes: 0 })
  })

  it('a worker that hangs holds nobody longer than the time limit, however many wait', async () => {
    withFakeTimers()
    const counter = counterOf({ worker: 'moody-worker' })
    await counter.count(job('warm'))
    const answers = Array.from({ length: 20 }, () => counter.count(job('HANG')))
    vi.advanceTimersByTime(TIMEOUT_MS)
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['failed']))
  })

  it('a job that a worker dies of costs nothing else', async () => {
    const counter = counterOf({ worker: 'moody-worker' })
    const answers = await Promise.all([
      counter.count(job('ab')),
      counter.count(job('CRASH')),
      counter.count(job('FAIL')),
      counter.count(job('abc')),
    ])
    expect(answers).toEqual([[2], 'failed', 'failed', [3]])
    expect(counter.stats).toMatchObject({ counted: 2, failed: 2, waitingBytes: 0 })
  })

  it('a worker that cannot be started: every job fails at once, and it is tried again later', async () => {
    const counter = counterOf({ worker: 'dead-worker', retryStartMs: 60_000 })
    expect(await Promise.all([counter.count(job('a')), counter.count(job('b'))])).toEqual(['failed', 'failed'])
    withFakeTimers()
    expect(await counter.count(job('c'))).toBe('failed')
    expect(counter.stats).toMatchObject({ failed: 3, waitingBytes: 0 })
  })

  it('closed: what waits is told, and nothing more is taken', async () => {
    const counter = counterOf({ worker: 'moody-worker' })
    const waiting = [counter.count(job('a')), counter.count(job('b'))]
    await counter.close()
    expect(await Promise.all(waiting)).toEqual(['failed', 'failed'])
    expect(await counter.count(job('c'))).toBe('failed')
  })
})

it('is warm before the first job', async () => {
  const counter = counterOf({ queueBytes: 100_000 })
  await counter.warm()
  await counter.warm()
  // A worker that had to start would take longer than this.
  expect(await counter.count(job('Hello, world!'))).toEqual([4])
  await counter.close()
  await counter.warm()
})

it('that cannot start is as warm as it gets', async () => {
  const counter = openTokenCounter({
    workers: 1,
    queueBytes: 1000,
    timeoutMs: 5000,
    workerFile: new URL('./testing/not-there.ts', import.meta.url),
  })
  open.push(counter)
  await counter.warm()
  expect(await counter.count(job('x'))).toBe('failed')
})
