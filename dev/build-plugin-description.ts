import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SCHEMA } from '../plugin/config.ts'

/**
 * What Kong must know of the plugin where no plugin server is asked: `deploy/kong/dump.json` for `query_cmd = cat …`, and
 * `deploy/konnect/schema.lua` for control planes. `node dev/build-plugin-description.ts` writes both; a test fails where
 * they are not what it would write.
 */
const root = join(import.meta.dirname, '..')
export const DUMP_FILE = join(root, 'deploy/kong/dump.json')
export const SCHEMA_FILE = join(root, 'deploy/konnect/schema.lua')

/** What the real plugin server prints for `--dump-all-plugins`. */
export function dumpOfPlugins(): string {
  const described = execFileSync(process.execPath, [
    '--require',
    join(root, 'plugin/without-ts-node.cjs'),
    join(root, 'node_modules/kong-pdk/bin/kong-js-pluginserver'),
    '--plugins-directory',
    join(root, 'plugin/load'),
    '--dump-all-plugins',
  ])
  return `${JSON.stringify(JSON.parse(described.toString()), null, 2)}\n`
}

/** The plugin's schema as Kong's own plugins write theirs. */
export function schemaLua(): string {
  return `-- Schema of the plugin llm-observer, for control planes (hybrid mode, Konnect). Written by dev/build-plugin-description.ts.
local typedefs = require("kong.db.schema.typedefs")

return {
  name = "llm-observer",
  fields = {
    { protocols = typedefs.protocols_http },
    { config = {
      type = "record",
      fields = {
${SCHEMA.map((field) => `        ${luaOf(field)},`).join('\n')}
      },
    } },
  },
}
`
}

function luaOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `{ ${value.map(luaOf).join(', ')} }`
  const members = Object.entries(value as object).map(([key, item]) => `${key} = ${luaOf(item)}`)
  return `{ ${members.join(', ')} }`
}

if (import.meta.main) {
  // The linter lays the file out once more; what counts is what it says.
  writeFileSync(DUMP_FILE, dumpOfPlugins())
  writeFileSync(SCHEMA_FILE, schemaLua())
  process.stdout.write(`written, ${readFileSync(DUMP_FILE).length} and ${readFileSync(SCHEMA_FILE).length} bytes\n`)
}
