import { expect, it } from 'vitest'
import { addGuardrail, categorised, type GuardrailEvents } from './guardrail-events.ts'

const filter = { guardrail: 'g', stage: 'output', action: 'blocked' } as const

it('many chunks and categories are one event for each guardrail, stage and action', () => {
  const events: GuardrailEvents = new Map()
  addGuardrail(events, filter)
  addGuardrail(events, categorised(filter, { hate: 'high' }))
  addGuardrail(events, categorised(filter, { hate: 'high', violence: 'medium' }))
  addGuardrail(events, { ...filter, action: 'flagged' })
  expect([...events.values()]).toEqual([
    { ...filter, reason: 'hate, violence', categories: { hate: 'high', violence: 'medium' } },
    { ...filter, action: 'flagged' },
  ])
})

it('is bounded', () => {
  const many = Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`c${n}`.padEnd(200, 'x'), 'y'.repeat(200)]))
  const event = categorised(filter, many)
  expect(Object.keys(event.categories!)).toHaveLength(16)
  for (const [name, value] of Object.entries(event.categories!)) expect([name.length, value.length]).toEqual([64, 64])
  expect(event.reason!.length).toBe(200)
})
