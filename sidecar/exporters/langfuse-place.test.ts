import { describe, expect, it } from 'vitest'
import type { LlmCall } from '../call.ts'
import { makeCall } from '../testing/make-call.ts'
import { applicationsSchema, makePlaces, type SeenApplication } from './langfuse-place.ts'

function placeOf(
  settings: object,
  { baggage, ...trace }: Partial<LlmCall['trace']> & Pick<LlmCall, 'baggage'>,
  seen?: SeenApplication,
) {
  const call = makeCall(baggage === undefined ? {} : { baggage })
  return makePlaces(applicationsSchema.parse(settings), () => seen)({ ...call, trace: { ...call.trace, ...trace } })
}
const own = { trace: 'own' }
const caller = { parentSpanId: '00f067aa0ba902b7', parentBy: 'caller' } as const
const joined = (asRoot: boolean, money: 'gateway' | 'app') => ({ trace: 'application', asRoot, money })

describe('where a call stands', () => {
  it('without a caller’s span in a trace of its own, whatever the settings', () => {
    for (const trace of [
      {},
      { parentSpanId: caller.parentSpanId, parentBy: 'kong' as const },
      { parentSpanId: caller.parentSpanId },
    ])
      expect(placeOf({ join: 'always', money: 'app' }, { ...trace, baggage: {} })).toEqual(own)
  })

  it.each([
    ['nothing known', {}, caller, undefined, joined(true, 'gateway')],
    ['its baggage came', {}, { ...caller, baggage: {} }, undefined, joined(false, 'gateway')],
    ['its spans were seen', {}, caller, { traces: true, generation: false }, joined(false, 'gateway')],
    ['its generation was seen', {}, caller, { traces: true, generation: true }, joined(false, 'app')],
    ['its spans do not come', {}, caller, { traces: false, generation: false }, own],
    ['by setting', { join: 'always', money: 'app' }, caller, undefined, joined(false, 'app')],
    ['never', { join: 'never' }, { ...caller, baggage: {} }, { traces: true, generation: true }, own],
    [
      'the gateway is the bill, whatever was seen',
      { money: 'gateway' },
      caller,
      { traces: true, generation: true },
      joined(false, 'gateway'),
    ],
    [
      'a route’s own setting',
      { routes: { openai: { money: 'app' } } },
      { ...caller, baggage: {} },
      undefined,
      joined(false, 'app'),
    ],
    [
      'another route’s',
      { routes: { other: { join: 'never' } } },
      { ...caller, baggage: {} },
      undefined,
      joined(false, 'gateway'),
    ],
  ] as const)('%s', (_name, settings, trace, seen, expected) =>
    expect(placeOf(settings, trace, seen)).toEqual(expected),
  )
})
