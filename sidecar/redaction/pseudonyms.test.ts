import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makePseudonyms, openPseudonymKey } from './pseudonyms.ts'

describe('pseudonyms', () => {
  const of = makePseudonyms('key')
  it('are the same for the same person, however written', () => {
    expect(of('blue', 'email', 'Anna@Example.org')).toBe(of('blue', 'email', 'anna@example.org'))
    expect(of('blue', 'email', 'anna [at] example [dot] org')).toBe(of('blue', 'email', 'anna@example.org'))
    expect(of('blue', 'phone', '+49 (171) 123-4567')).toBe(of('blue', 'phone', '0049 171 1234567'))
  })
  it('differ by tenant, by kind, by key', () => {
    const one = of('blue', 'email', 'anna@example.org')
    expect(of('green', 'email', 'anna@example.org')).not.toBe(one)
    expect(of('blue', 'user', 'anna@example.org')).not.toBe(one)
    expect(makePseudonyms('other')('blue', 'email', 'anna@example.org')).not.toBe(one)
  })
  it('are 20 letters without a digit', () => expect(of('blue', 'email', 'x@y.zz')).toMatch(/^[a-q]{20}$/))
})

describe('the key in the data folder', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pseudonym-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  it('is made once, for its owner alone', () => {
    const data = join(folder, 'data')
    const key = openPseudonymKey(data)
    expect(key).toHaveLength(32)
    expect(openPseudonymKey(data)).toEqual(key)
    if (process.platform !== 'win32') expect(statSync(join(data, 'pseudonym.key')).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(data, 'pseudonym.key'), 'utf8').trim()).toBe(key.toString('hex'))
  })
  it('says which file is none', () => {
    writeFileSync(join(folder, 'pseudonym.key'), 'short')
    expect(() => openPseudonymKey(folder)).toThrow(/pseudonym\.key: not a key/)
  })
})
