import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readTap } from '../plugin/tap-text.ts'
import { withTap } from './build-tap.ts'

const root = join(import.meta.dirname, '..')
const tap = readTap()
const kongYml = readFileSync(join(root, 'dev/demo-kong.yml'), 'utf8')

describe('the tap in kong.yml', () => {
  it('is that of plugin/tap/', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'dev/build-tap.ts'), '--check'], {
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  it('comes out of the YAML as it stands in the file, on each tapped route', () => {
    const config = parse(kongYml)
    const plugins = config.services
      .flatMap(({ routes }: { routes: object[] }) => routes)
      .flatMap(({ plugins }: { plugins: { name: string; config: object }[] }) => plugins)
    for (const name of ['pre-function', 'post-function'] as const) {
      const tapped = plugins.filter((plugin: { name: string }) => plugin.name === name)
      expect(tapped).toHaveLength(4)
      for (const { config: written } of tapped)
        expect(written).toEqual(Object.fromEntries(Object.entries(tap[name]).map(([hook, lua]) => [hook, [lua]])))
    }
  })

  it('drift is seen', () => {
    expect(withTap(kongYml, tap)).toBe(kongYml)
    const post = { access: tap['post-function'].access.replace('262144', '262145') }
    expect(withTap(kongYml, { ...tap, 'post-function': post })).not.toBe(kongYml)
    expect(withTap(kongYml.replace('local sequence', 'local sequenz'), tap)).toBe(kongYml)
  })

  it('without its markers kong.yml is refused', () => {
    expect(() => withTap('services: []\n', tap)).toThrow(/tap: begin/)
    expect(() => withTap(kongYml.replace('# tap body: end', ''), tap)).toThrow(/tap body: begin/)
  })
})
