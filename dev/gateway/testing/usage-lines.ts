import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROMPT_STEPS } from '../../../sidecar/dialects/usage-lines.ts'
import { createLua } from '../lua.ts'

const READER = readFileSync(join(import.meta.dirname, '../../../plugin/tap/usage-lines.lua'), 'utf8')
const quoted = (bytes: Buffer) =>
  `"${[...bytes].map((byte) => (byte >= 35 && byte < 127 && byte !== 92 ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`)).join('')}"`

/** Sums as the reader keeps them, its groups by model and step. */
export interface Sums {
  off: boolean
  lines: number
  skipped: number
  groups: Record<string, { lines: number; sums: Record<string, number> }>
}

/**
 * A Lua chunk that gives the tap's reader `file` in parts that end at each list of `cuts`, and returns JSON: a list of Sums.
 * `"every"`: one list for each byte of the file.
 */
export function usageLinesProgram(file: Buffer, cuts: readonly (readonly number[])[] | 'every'): string {
  const lists =
    cuts === 'every'
      ? 'local lists = {} for at = 1, #file - 1 do lists[at] = { at } end'
      : `local lists = { ${cuts.map((list) => `{ ${list.join(', ')} }`).join(', ')} }`
  return `${READER}
local file = ${quoted(file)}
${lists}
local function told(reader)
  local groups = {}
  for i = 1, #reader.groups do
    local group, sums = reader.groups[i], {}
    for path, sum in pairs(group.sums) do sums[#sums + 1] = '"' .. path .. '":' .. string.format("%.14g", sum) end
    groups[i] = '"' .. (group.model or "none") .. " " .. group.prompt_over .. '":{"lines":' .. group.lines ..
      ',"sums":{' .. table.concat(sums, ",") .. "}}"
  end
  return '{"off":' .. tostring(reader.off) .. ',"lines":' .. reader.lines .. ',"skipped":' .. reader.skipped ..
    ',"groups":{' .. table.concat(groups, ",") .. "}}"
end
local all = {}
for n = 1, #lists do
  local reader, from = new_reader(), 0
  for i = 1, #lists[n] do
    read_chunk(reader, sub(file, from + 1, lists[n][i]))
    from = lists[n][i]
  end
  read_chunk(reader, sub(file, from + 1))
  if not reader.off then end_line(reader) end
  all[n] = told(reader)
end
return "[" .. table.concat(all, ",") .. "]"`
}

export function inFengari(program: string): Sums[] {
  const lua = createLua()
  lua.run(program, 'usage-lines', 1)
  return JSON.parse(Buffer.from(lua.topBytes()!).toString())
}

type Json = Record<string, unknown>
const object = (value: unknown): Json | undefined =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : undefined

/** The same sums, of the lines as JSON.parse reads them. Nothing is partial here: files of ordinary answers alone. */
export function sumsOfLines(lines: readonly unknown[]): Sums {
  const groups: Sums['groups'] = {}
  let counted = 0
  for (const line of lines) {
    const [result, response] = [object(object(line)?.result), object(object(line)?.response)]
    const answer = object(result?.message) ?? object(response?.body) ?? response
    const usage = object(answer?.usage) ?? object(answer?.usageMetadata)
    if (usage === undefined) continue
    const flat = new Map<string, number>()
    const add = (path: string, count: number) => flat.set(path, (flat.get(path) ?? 0) + count)
    const walk = (at: Json, prefix: string) => {
      for (const [key, value] of Object.entries(at)) {
        if (typeof value === 'number') add(prefix + key, value)
        else if (Array.isArray(value))
          for (const item of value) add(`${prefix}${key}.${item.modality}`, item.tokenCount)
        else if (object(value) !== undefined) walk(value as Json, `${prefix}${key}.`)
      }
    }
    walk(usage, '')
    const of = (path: string) => flat.get(path) ?? 0
    const own = of('input_tokens') + of('cache_read_input_tokens') + of('cache_creation_input_tokens')
    const prompt = Math.max(own, of('prompt_tokens') + of('promptTokenCount') + of('toolUsePromptTokenCount'))
    const over = PROMPT_STEPS.findLast((step) => prompt > step) ?? 0
    const key = `${answer?.model ?? answer?.modelVersion ?? 'none'} ${over}`
    groups[key] ??= { lines: 0, sums: {} }
    const group = groups[key]
    group.lines++
    counted++
    for (const [path, count] of flat) group.sums[path] = (group.sums[path] ?? 0) + count
  }
  return { off: false, lines: counted, skipped: 0, groups }
}
