import { expect, it } from 'vitest'
import { makeCall } from '../testing/make-call.ts'
import type { Exporter, SendResult } from './exporter.ts'
import { makeReplaceable } from './replaceable.ts'

/** A sink that answers when it is told to. */
function sink(name: string) {
  const state = { closed: 0, waiting: [] as (() => void)[], scores: { sent: 0, refused: 0 } }
  const exporter: Exporter = {
    id: 'sink',
    limits: { calls: name.length, bytes: 1 },
    wants: () => name === 'first',
    scores: state.scores,
    send: (batch) =>
      new Promise<SendResult>((resolve) => {
        state.waiting.push(() => {
          state.scores.sent += batch.length
          resolve({ sent: batch.length, rejected: [] })
        })
      }),
    close: async () => void state.closed++,
  }
  return { exporter, state }
}
const signal = new AbortController().signal

it('sends go to the newest; one under way ends where it began, which then closes', async () => {
  const first = sink('first')
  const second = sink('second')
  const exporter = makeReplaceable(first.exporter)
  const under = exporter.send([makeCall()], signal)
  expect(exporter.wants?.(makeCall())).toBe(true)
  exporter.replaceBy(second.exporter)
  expect(exporter.limits.calls).toBe('second'.length)
  expect(exporter.wants?.(makeCall())).toBe(false)
  const next = exporter.send([makeCall(), makeCall()], signal)
  expect([first.state.waiting.length, second.state.waiting.length]).toEqual([1, 1])
  expect(first.state.closed).toBe(0)
  first.state.waiting[0]!()
  second.state.waiting[0]!()
  expect(await under).toEqual({ sent: 1, rejected: [] })
  expect(await next).toEqual({ sent: 2, rejected: [] })
  expect(first.state.closed).toBe(1)
  // The counters run on.
  expect(exporter.scores?.sent).toBe(3)
  await exporter.close()
  expect([first.state.closed, second.state.closed]).toEqual([1, 1])
})

it('one that is idle closes at once', () => {
  const first = sink('first')
  const exporter = makeReplaceable(first.exporter)
  exporter.replaceBy(sink('second').exporter)
  expect(first.state.closed).toBe(1)
})
