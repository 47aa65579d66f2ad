import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { TAP_HOOKS, tapAsPlugin, withSidecar } from './tap-text.ts'

const source = readFileSync(join(import.meta.dirname, 'tap.lua'), 'utf8')

it('the tap as a plugin has one chunk a hook, and no other part of the file', () => {
  const { name, config } = tapAsPlugin(source, {})
  expect(name).toBe('pre-function')
  expect(Object.keys(config)).toEqual([...TAP_HOOKS])
  for (const [chunk, ...others] of Object.values(config)) {
    expect(others).toEqual([])
    expect(chunk).toMatch(/return function\(\)/)
    expect(chunk).not.toContain('--@')
  }
})

it('tells its totals where it is told to, as a text of Lua', () => {
  const { config } = tapAsPlugin(source, { url: 'unix:/run/s.sock', token: 'a"b' })
  expect(config.log![0]).toContain('local SIDECAR_URL = "unix:/run/s.sock"\n')
  expect(config.log![0]).toContain('local INTAKE_TOKEN = "a\\"b"\n')
  expect(withSidecar(source, {})).toBe(source)
  expect(withSidecar(source, { url: '' })).toContain('local SIDECAR_URL = ""\n')
})

it.each([
  ['--@ acces\nx', /there is no hook "acces"/],
  ['--@ access\nx\n--@ access\ny', /stands twice/],
  ['--@ access\nx', /no section "--@ header_filter"/],
])('%j is refused', (text, message) => expect(() => tapAsPlugin(text, {})).toThrow(message))
