import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readTap, type Tap } from '../plugin/tap-text.ts'

/**
 * Writes the chunks of plugin/tap/ into kong.yml and the demo's, each part between two marker comments. With `--check` it
 * writes nothing and fails where they differ.
 */
const PARTS = { tap: 'pre-function', 'tap body': 'post-function' } as const

const root = join(import.meta.dirname, '..')
const KONG_FILES = ['kong.yml', 'dev/demo-kong.yml']

/** kong.yml with this tap. Throws where a marker is missing. */
export function withTap(kongYml: string, tap: Tap): string {
  let written = kongYml
  for (const [marker, plugin] of Object.entries(PARTS)) written = withPart(written, marker, tap[plugin])
  return written
}

function withPart(kongYml: string, marker: string, chunks: Record<string, string>): string {
  const begin = new RegExp(`^( *)# ${marker}: begin\\b.*$`, 'm').exec(kongYml)
  const end = new RegExp(`^ *# ${marker}: end\\b.*$`, 'm').exec(kongYml)
  if (begin === null || end === null || end.index < begin.index)
    throw new Error(`kong.yml: no "# ${marker}: begin" followed by "# ${marker}: end"`)
  const indent = begin[1]!
  const lines = Object.entries(chunks).flatMap(([hook, chunk]) => [
    `${indent}${hook}:`,
    `${indent}- |`,
    ...chunk
      .trimEnd()
      .split('\n')
      .map((line) => (line === '' ? '' : `${indent}  ${line}`)),
  ])
  const from = begin.index + begin[0].length + 1
  return `${kongYml.slice(0, from)}${lines.join('\n')}\n${kongYml.slice(end.index)}`
}

if (import.meta.main) {
  const tap = readTap()
  for (const name of KONG_FILES) {
    const file = join(root, name)
    const before = readFileSync(file, 'utf8')
    const after = withTap(before, tap)
    if (before === after) console.log(`${name} holds the tap of plugin/tap/`)
    else if (process.argv.includes('--check')) {
      console.error(`${name} does not hold the tap as it is in plugin/tap/: run \`npm run tap\``)
      process.exitCode = 1
    } else {
      writeFileSync(file, after)
      console.log(`${name}: tap written`)
    }
  }
}
