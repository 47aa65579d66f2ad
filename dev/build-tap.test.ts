import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { tapSections } from '../plugin/tap-text.ts'
import { withTap } from './build-tap.ts'

const root = join(import.meta.dirname, '..')
const tap = readFileSync(join(root, 'plugin/tap.lua'), 'utf8')
const kongYml = readFileSync(join(root, 'dev/demo-kong.yml'), 'utf8')

describe('the tap in kong.yml', () => {
  it('is that of plugin/tap.lua', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'dev/build-tap.ts'), '--check'], {
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  it('comes out of the YAML as it stands in the file, on each tapped route', () => {
    const sections = tapSections(tap)
    const config = parse(kongYml)
    const tapped = config.services
      .flatMap(({ routes }: { routes: object[] }) => routes)
      .flatMap(({ plugins }: { plugins: { name: string; config: object }[] }) => plugins)
      .filter(({ name }: { name: string }) => name === 'pre-function')
    expect(tapped).toHaveLength(4)
    for (const { config: written } of tapped)
      expect(written).toEqual(Object.fromEntries(Object.entries(sections).map(([hook, lua]) => [hook, [lua]])))
  })

  it('drift is seen', () => {
    expect(withTap(kongYml, tap)).toBe(kongYml)
    expect(withTap(kongYml, tap.replace('262144', '262145'))).not.toBe(kongYml)
    expect(withTap(kongYml.replace('local sequence', 'local sequenz'), tap)).toBe(kongYml)
  })

  it.each([
    ['an unknown hook', `${tap}\n--@ rewrite\nreturn`, /no hook "rewrite"/],
    ['a section twice', `${tap}\n--@ log\nreturn`, /"log" stands twice/],
    ['a section missing', tap.replace('--@ log', '-- log'), /no section "--@ log"/],
  ])('%s is refused', (_name, source, error) => expect(() => tapSections(source)).toThrow(error))

  it('without its markers kong.yml is refused', () => {
    expect(() => withTap('services: []\n', tap)).toThrow(/tap: begin/)
  })
})
