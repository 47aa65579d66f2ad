import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readTap } from '../../../plugin/tap-text.ts'
import { createLua } from '../lua.ts'

const root = join(import.meta.dirname, '../../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const quoted = (lua: string) => `[==[\n${lua}]==]`
const tap = readTap()
const sections = [...Object.entries(tap['pre-function']), ['body', tap['post-function'].access] as const]
/** The tap under a fake of Kong, run on every scenario of tap-scenarios.lua: a chunk that returns JSON. */
export const TAP_SCENARIOS = [
  `local SANDBOX = ${quoted(read('dev/gateway/sandbox.lua'))}`,
  `local SECTIONS = { ${sections.map(([name, source]) => `${name} = ${quoted(source)}`).join(', ')} }`,
  read('dev/gateway/testing/tap-scenarios.lua'),
].join('\n')

export function scenariosInFengari(): string {
  const lua = createLua()
  lua.run(TAP_SCENARIOS, 'scenarios', 1)
  return Buffer.from(lua.topBytes()!).toString()
}
