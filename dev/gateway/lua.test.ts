import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLua } from './lua.ts'

const lua = createLua()
/** What an expression of Lua gives, as MessagePack would carry it. */
function luaValue(expression: string): unknown {
  lua.run(`return ${expression}`, 'test', 1)
  try {
    return lua.read(-1)
  } finally {
    lua.pop(1)
  }
}

describe('values out of Lua', () => {
  it.each<[string, unknown]>([
    ['nil', undefined],
    ['true', true],
    ['1.5', 1.5],
    ['2^53', 2 ** 53],
    ['{}', []],
    ['{1, {2}}', [1, [2]]],
    ['{a = {b = 1}}', new Map([['a', new Map([['b', 1]])]])],
    // A hole makes a map, in lua-MessagePack as well.
    ['{1, nil, 3}', new Map([1, 3].map((n) => [n, n]))],
    [
      '{1, a = 2}',
      new Map<unknown, unknown>([
        [1, 1],
        ['a', 2],
      ]),
    ],
    ['"\\255\\0a"', new Uint8Array([255, 0, 97])],
  ])('%s', (expression, expected) => expect(luaValue(expression)).toEqual(expected))

  it.each(['print', '{print}', 'io.stdout', 'coroutine.create(print)'])('%s cannot be carried', (expression) => {
    expect(() => luaValue(expression)).toThrow(/cannot be packed/)
  })

  it('come back as they went in', () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        fc.boolean(),
        fc.double({ noNaN: true }).map((n) => (Object.is(n, -0) ? 0 : n)),
        fc.uint8Array(),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme' }), tie('tree'), { minKeys: 1, maxKeys: 4 }),
      ),
    }))
    const plain = (value: unknown): unknown => {
      if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
      if (value instanceof Uint8Array) return new Uint8Array(value)
      return Array.isArray(value) ? value.map(plain) : value
    }
    fc.assert(
      fc.property(tree, (value) => {
        lua.push(value as Parameters<typeof lua.push>[0])
        const back = lua.read(-1)
        lua.pop(1)
        expect(JSON.stringify(plain(back), sorted)).toBe(JSON.stringify(plain(value), sorted))
      }),
    )
  })
})

/** Lua's tables have no order. */
function sorted(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value
  return Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
}

describe('functions of the host', () => {
  it('get bytes and numbers, and what they throw is an error in Lua', () => {
    lua.pushHostFunction((args) => {
      if (args.number(2) === 0) throw new Error('zero')
      return args.bytes(1)
    })
    lua.setGlobal('host')
    expect(luaValue('host("\\255", 1)')).toEqual(new Uint8Array([255]))
    expect(luaValue('{pcall(host, "a", 0)}')).toEqual([false, new Uint8Array(Buffer.from('zero'))])
    expect(() => luaValue('host("a", 0)')).toThrow('zero')
  })
})
