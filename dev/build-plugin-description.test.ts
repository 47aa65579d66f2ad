import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { DUMP_FILE, dumpOfPlugins, SCHEMA_FILE, schemaLua } from './build-plugin-description.ts'

it('dump.json is what the plugin server says of the plugin', () => {
  expect(JSON.parse(readFileSync(DUMP_FILE, 'utf8'))).toEqual(JSON.parse(dumpOfPlugins()))
})

it('schema.lua is of the same schema', () => {
  expect(readFileSync(SCHEMA_FILE, 'utf8')).toBe(schemaLua())
})
