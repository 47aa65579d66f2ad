import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { configSchema } from './config.ts'
import { DOORS, hashOf, makeDoorTokens, tokenMatches } from './door-tokens.ts'

const listen = (settings: object) => configSchema.parse({ listen: settings }).listen

describe('tokenMatches', () => {
  it('takes each of the tokens, by Bearer in any case, and nothing else', () => {
    const hashes = [hashOf('old-token'), hashOf('new-token')]
    for (const given of ['Bearer old-token', 'bearer new-token', 'BEARER  new-token '])
      expect(tokenMatches(given, hashes)).toBe(true)
    for (const given of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      'old-token',
      'Basic old-token',
      'Bearer old-token new-token',
    ])
      expect(tokenMatches(given, hashes)).toBe(false)
    expect(tokenMatches('Bearer old-token', [])).toBe(false)
  })

  it('no other text is a token', () => {
    const token = '7f3a9c1e5b8d2046af13c97e60d4b825'
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.nat(32).map((end) => token.slice(0, end)),
        ),
        (text) => {
          expect(tokenMatches(`Bearer ${text}`, [hashOf(token)])).toBe(text.trim() === token)
        },
      ),
    )
  })
})

describe('doors', () => {
  it('each has its own tokens', () => {
    const doors = makeDoorTokens(listen({ tokens: { intake: 'i', metrics: ['m1', 'm2'], api: 'a', admin: 'd' } }), {})
    const passed = (token: string) => DOORS.filter((door) => doors.admits(door, `Bearer ${token}`))
    expect(passed('i')).toEqual(['intake'])
    expect(passed('m1')).toEqual(['metrics'])
    expect(passed('m2')).toEqual(['metrics'])
    expect(passed('a')).toEqual(['api'])
    expect(passed('d')).toEqual(['admin'])
    expect(passed('x')).toEqual([])
    expect(DOORS.filter((door) => doors.admits(door, undefined))).toEqual([])
  })

  it('without tokens all are open to this machine, and none but /metrics to others', () => {
    const here = makeDoorTokens(listen({}), {})
    expect(DOORS.filter((door) => here.isOpen(door) && here.admits(door, undefined))).toEqual([...DOORS])
    const elsewhere = makeDoorTokens(listen({ host: '0.0.0.0', tokens: { intake: 'i', metrics: 'open' } }), {})
    expect(DOORS.filter((door) => elsewhere.isOpen(door))).toEqual(['metrics'])
    expect(DOORS.filter((door) => elsewhere.admits(door, 'Bearer i'))).toEqual(['intake', 'metrics'])
    expect(DOORS.filter((door) => elsewhere.admits(door, undefined))).toEqual(['metrics'])
  })

  it('take what a file says at the next reading; one that cannot be read changes nothing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'doors-'))
    const file = join(folder, 'token')
    writeFileSync(file, 'first\n')
    const settings = listen({ tokens: { intake: { file } } })
    const doors = makeDoorTokens(settings, {})
    writeFileSync(file, 'second\n')
    expect(doors.admits('intake', 'Bearer second')).toBe(false)
    doors.use(settings)
    expect(doors.admits('intake', 'Bearer second')).toBe(true)
    expect(doors.admits('intake', 'Bearer first')).toBe(false)
    rmSync(folder, { recursive: true })
    expect(() => doors.use(settings)).toThrow(/a secret is to come from this file/)
    expect(doors.admits('intake', 'Bearer second')).toBe(true)
  })
})
