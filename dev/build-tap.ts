import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Writes the sections of plugin/tap.lua into the pre-function of kong.yml and of the demo's, between two marker comments.
 * With `--check` it writes nothing and fails where they differ.
 */
const HOOKS = ['access', 'header_filter', 'body_filter', 'log'] as const
export type Hook = (typeof HOOKS)[number]
const BEGIN = /^( *)# tap: begin\b.*$/m
const END = /^ *# tap: end\b.*$/m

const root = join(import.meta.dirname, '..')
const TAP_FILE = join(root, 'plugin/tap.lua')
const KONG_FILES = ['kong.yml', 'dev/demo-kong.yml']

/** The sections of the tap, each a Lua chunk, by the hook that runs it. */
export function tapSections(source: string): Record<Hook, string> {
  const [, ...parts] = source.split(/^--@ *(\w+) *$/m)
  const sections: Partial<Record<Hook, string>> = {}
  for (let at = 0; at < parts.length; at += 2) {
    const name = HOOKS.find((hook) => hook === parts[at])
    if (name === undefined) throw new Error(`tap.lua: there is no hook "${parts[at]}"`)
    if (sections[name] !== undefined) throw new Error(`tap.lua: the section "${name}" stands twice`)
    sections[name] = `${parts[at + 1]!.trim()}\n`
  }
  for (const hook of HOOKS) if (sections[hook] === undefined) throw new Error(`tap.lua: no section "--@ ${hook}"`)
  return sections as Record<Hook, string>
}

/** kong.yml with the tap as it is in `tapSource`. */
export function withTap(kongYml: string, tapSource: string): string {
  const begin = BEGIN.exec(kongYml)
  const end = END.exec(kongYml)
  if (begin === null || end === null || end.index < begin.index)
    throw new Error('kong.yml: no "# tap: begin" followed by "# tap: end"')
  const indent = begin[1]!
  const sections = tapSections(tapSource)
  const lines = HOOKS.flatMap((hook) => [
    `${indent}${hook}:`,
    `${indent}- |`,
    ...sections[hook]
      .trimEnd()
      .split('\n')
      .map((line) => (line === '' ? '' : `${indent}  ${line}`)),
  ])
  const from = begin.index + begin[0].length + 1
  return `${kongYml.slice(0, from)}${lines.join('\n')}\n${kongYml.slice(end.index)}`
}

/** A kong.yml whose tap tells its totals to this sidecar; an empty address: to none. */
export function withSidecar(kongYml: string, sidecar: { url: string; token: string }): string {
  const set = (text: string, name: string, value: string) =>
    text.replaceAll(new RegExp(`(local ${name} = )"[^"]*"`, 'g'), (_, start: string) => start + JSON.stringify(value))
  return set(set(kongYml, 'SIDECAR_URL', sidecar.url), 'SIDECAR_TOKEN', sidecar.token)
}

if (import.meta.main) {
  const tap = readFileSync(TAP_FILE, 'utf8')
  for (const name of KONG_FILES) {
    const file = join(root, name)
    const before = readFileSync(file, 'utf8')
    const after = withTap(before, tap)
    if (before === after) console.log(`${name} holds the tap of plugin/tap.lua`)
    else if (process.argv.includes('--check')) {
      console.error(`${name} does not hold the tap as it is in plugin/tap.lua: run \`npm run tap\``)
      process.exitCode = 1
    } else {
      writeFileSync(file, after)
      console.log(`${name}: tap written`)
    }
  }
}
