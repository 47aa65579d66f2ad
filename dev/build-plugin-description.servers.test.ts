import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { SCHEMA } from '../plugin/config.ts'
import { SCHEMA_FILE } from './build-plugin-description.ts'
import { binariesPresent } from './servers/binary.ts'

it.skipIf(!binariesPresent('luajit'))('schema.lua is Lua, and says what the plugin says', () => {
  // A table as JSON: keys 1 … n are a list.
  const print = `
    package.loaded["kong.db.schema.typedefs"] = { protocols_http = "protocols_http" }
    local function json(value)
      if type(value) == "string" then return string.format("%q", value):gsub("\\\\\\n", "\\\\n") end
      if type(value) ~= "table" then return tostring(value) end
      local parts = {}
      if #value > 0 then
        for _, item in ipairs(value) do parts[#parts + 1] = json(item) end
        return "[" .. table.concat(parts, ",") .. "]"
      end
      for key, item in pairs(value) do parts[#parts + 1] = json(key) .. ":" .. json(item) end
      return "{" .. table.concat(parts, ",") .. "}"
    end
    io.write(json(dofile(arg[1])))`
  const { stdout, stderr, status } = spawnSync('luajit', ['-e', `arg = { ${JSON.stringify(SCHEMA_FILE)} } ${print}`], {
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual({
    name: 'llm-observer',
    fields: [{ protocols: 'protocols_http' }, { config: { type: 'record', fields: SCHEMA } }],
  })
})
