import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TAP_HOOKS, tapSections } from '../plugin/tap-text.ts'

/**
 * Writes the sections of plugin/tap.lua into the pre-function of kong.yml and of the demo's, between two marker comments.
 * With `--check` it writes nothing and fails where they differ.
 */
const BEGIN = /^( *)# tap: begin\b.*$/m
const END = /^ *# tap: end\b.*$/m

const root = join(import.meta.dirname, '..')
const TAP_FILE = join(root, 'plugin/tap.lua')
const KONG_FILES = ['kong.yml', 'dev/demo-kong.yml']

/** kong.yml with the tap as it is in `tapSource`. */
export function withTap(kongYml: string, tapSource: string): string {
  const begin = BEGIN.exec(kongYml)
  const end = END.exec(kongYml)
  if (begin === null || end === null || end.index < begin.index)
    throw new Error('kong.yml: no "# tap: begin" followed by "# tap: end"')
  const indent = begin[1]!
  const sections = tapSections(tapSource)
  const lines = TAP_HOOKS.flatMap((hook) => [
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
