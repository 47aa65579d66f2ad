import fc from 'fast-check'
import { expect, it } from 'vitest'
import { lastObjectNamed, levelsAtEnd, membersAfterCut, membersBeforeCut } from './cut-json.ts'

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

// JSON.parse of Node 24.21 takes the name `\"` for one that ends in a backslash, where it has met that one before.
const name = fc.string().filter((text) => !text.endsWith('\\'))

it('gives of the end of an object only whole members, and all of a whole one', () => {
  fc.assert(
    fc.property(fc.dictionary(name, fc.jsonValue()), fc.integer({ min: 0, max: 2 }), (object, indent) => {
      const text = `${JSON.stringify(object, null, indent)}\n`
      const whole = JSON.parse(text) as Record<string, unknown>
      expect(membersAfterCut(text)).toEqual(whole)
      for (let cut = 1; cut < text.length; cut += 3)
        for (const [key, value] of Object.entries(membersAfterCut(text.slice(cut)))) expect(value).toEqual(whole[key])
    }),
  )
})

it('a quote with nothing but backslashes before it may be escaped by one that was cut off', () => {
  const text = JSON.stringify({ 'a\\"': 1, b: 2 })
  for (let cut = 1; cut < text.length; cut++)
    expect(Object.keys(membersAfterCut(text.slice(cut))).filter((key) => key !== 'b' && key !== 'a\\"')).toEqual([])
})

it('goes into what the cut went through, and tells its members from those of the object around it', () => {
  const text = JSON.stringify({
    a: { list: [1, { long: 'x'.repeat(50), usage: { n: 1 } }, { b: 2 }], c: 3 },
    usage: { n: 9 },
  })
  expect(levelsAtEnd(text.slice(30))).toEqual([
    { members: { usage: { n: 9 } } },
    { members: { c: 3 } },
    { items: [{ b: 2 }] },
    { members: { usage: { n: 1 } } },
  ])
})

it('of what goes on after the text says nothing, and takes no member of a tool call for one of the answer', () => {
  expect(membersAfterCut('"usage":{"n":1}},')).toEqual({})
  expect(membersAfterCut('…"input":{"usage":{"input_tokens":1}}}],"stop_reason":"tool_use"}')).toEqual({
    stop_reason: 'tool_use',
  })
})

it('does not scan an end of many brackets again and again', () => {
  expect(levelsAtEnd(']'.repeat(200_000))).toHaveLength(8)
  expect(levelsAtEnd(`${'"'.repeat(100_000)}}`)).toHaveLength(1)
})
