import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cleanLabel, makeLabelFold, OTHER } from './fold-labels.ts'

describe('labels', () => {
  it('names that are written alike are one label', () => {
    const fold = makeLabelFold({ tenants: 10, models: 10 }, [])
    expect(fold.fold('model', 'm\ud800')).toEqual({ label: 'm\ufffd', isNew: true, folded: false })
    expect(fold.fold('model', 'm\udc00')).toEqual({ label: 'm\ufffd', isNew: false, folded: false })
    expect(fold.fold('model', 'a\u0000\r\nb').label).toBe('a b')
    expect(fold.fold('model', OTHER)).toEqual({ label: OTHER, isNew: false, folded: true })
  })

  it('any name becomes a short text that survives UTF-8, and stays the same when cleaned again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => {
        const label = cleanLabel(name)
        expect(label.length).toBeLessThanOrEqual(128)
        expect(Buffer.from(label).toString()).toBe(label)
        expect(cleanLabel(label)).toBe(label)
      }),
    )
  })

  it('never admits more than the limit, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3 })), fc.integer({ min: 1, max: 5 }), (names, limit) => {
        const fold = makeLabelFold({ tenants: limit, models: 1 }, [])
        const first = names.map((name) => fold.fold('tenant', name).label)
        const second = names.map((name) => fold.fold('tenant', name).label)
        expect(new Set(first.filter((label) => label !== OTHER)).size).toBeLessThanOrEqual(limit)
        expect(second).toEqual(first)
        expect(names.map((name) => fold.labelOf('tenant', name))).toEqual(first)
      }),
    )
  })
})
