import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nestsDeeperThan } from './json-depth.ts'

function depthOf(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0
  let deepest = 0
  for (const inner of Object.values(value)) deepest = Math.max(deepest, depthOf(inner))
  return deepest + 1
}

describe('nestsDeeperThan', () => {
  it('agrees with the parsed value for any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.boolean(), (value, pretty) => {
        const text = JSON.stringify(value, null, pretty ? 2 : 0)
        const depth = depthOf(JSON.parse(text))
        expect(nestsDeeperThan(text, depth)).toBe(false)
        if (depth > 0) expect(nestsDeeperThan(text, depth - 1)).toBe(true)
      }),
    )
  })

  it('is not fooled by brackets and quotes inside strings', () => {
    expect(nestsDeeperThan('["[[[[[", "\\"[[[[", "\\\\"]', 1)).toBe(false)
  })

  it('stops early in a bomb of a million brackets', () => {
    expect(nestsDeeperThan('['.repeat(1_000_000), 64)).toBe(true)
  })

  it('leaves unterminated strings to the parser', () => {
    expect(nestsDeeperThan('["abc', 64)).toBe(false)
  })
})
