import fc from 'fast-check'
import { expect, it } from 'vitest'
import { lastObjectNamed, membersBeforeCut } from './cut-json.ts'

it('gives of a cut object only whole members, and all of a whole one', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.integer({ min: 0, max: 2 }), (object, indent) => {
      const text = JSON.stringify(object, null, indent)
      const whole = JSON.parse(text) as Record<string, unknown>
      expect(membersBeforeCut(text)).toEqual(whole)
      for (let cut = 0; cut < text.length; cut += 3)
        for (const [key, value] of Object.entries(membersBeforeCut(text.slice(0, cut))))
          expect(value).toEqual(whole[key])
    }),
  )
})

it('does not end a number at the cut', () => {
  expect(membersBeforeCut('{"a":1,"b":12')).toEqual({ a: 1 })
  expect(membersBeforeCut('{"a":1,"b":12,')).toEqual({ a: 1, b: 12 })
})

it('finds the last object of a name outside of strings', () => {
  const text = `...","x":${JSON.stringify('"usage":{"a":1}')},"usage": {"a":2},"b":"\\"usage\\":{}"}`
  expect(lastObjectNamed(text, 'usage')).toEqual({ a: 2 })
  expect(lastObjectNamed('"usage":{"a":2', 'usage')).toBeUndefined()
  expect(lastObjectNamed('"usage":null}', 'usage')).toBeUndefined()
})

it('does not scan a long tail again and again', () => {
  expect(lastObjectNamed('"usage":{'.repeat(100_000), 'usage')).toBeUndefined()
})
