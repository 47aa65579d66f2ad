import { expect, it } from 'vitest'
import { readTap, SHIPS, TAP_HOOKS, tapAsPlugins, withSidecar } from './tap-text.ts'

it.each(SHIPS)('the tap that ships by %s as two plugins has one chunk a hook', (ship) => {
  const [pre, post] = tapAsPlugins(ship, {})
  expect([pre.name, post.name]).toEqual(['pre-function', 'post-function'])
  expect(Object.keys(pre.config)).toEqual([...TAP_HOOKS])
  expect(Object.keys(post.config)).toEqual(['access'])
  for (const [chunk, ...others] of [...Object.values(pre.config), ...Object.values(post.config)]) {
    expect(others).toEqual([])
    expect(chunk).toMatch(/return function\(\)/)
  }
})

it('speaks to the sidecar that it is given, as a text of Lua', () => {
  const [{ config }] = tapAsPlugins('plugin', { url: 'unix:/run/s.sock', token: 'a"b' })
  expect(config.log![0]).toContain('local SIDECAR_URL = "unix:/run/s.sock"\n')
  expect(config.log![0]).toContain('local INTAKE_TOKEN = "a\\"b"\n')
  const { log } = readTap()['pre-function']
  expect(withSidecar(log, {})).toBe(log)
  expect(withSidecar(log, { url: '' })).toContain('local SIDECAR_URL = ""\n')
})

it('shipping by itself, it knows what the plugin’s configuration would say', () => {
  const log = (settings: { content?: 'on' | 'off'; global?: boolean }) =>
    tapAsPlugins('tap', settings)[0].config.log![0]
  expect(log({})).toContain('local CONTENT, GLOBAL = "off", false\n')
  expect(log({ content: 'on' })).toContain('local CONTENT, GLOBAL = "on", false\n')
  expect(log({ global: true })).toContain('local CONTENT, GLOBAL = "off", true\n')
})
