import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLua } from '../lua.ts'

/** The snippet under a small fake of Kong, in Kong's sandbox: in fengari and in LuaJIT, in which Kong runs it. */
const root = join(import.meta.dirname, '../../..')
const snippet = readFileSync(join(root, 'deploy/kong/include-usage.lua'), 'utf8')
const sandbox = readFileSync(join(root, 'dev/gateway/sandbox.lua'), 'utf8')
const quoted = (text: string) => `[====[\n${text}]====]`

export interface SnippetRequest {
  method?: string
  path?: string
  encoding?: string
  body: string | undefined
  /** An operation of Kong that fails. */
  fault?: string
}

/** For each request the body that the provider gets, `unchanged`, or the error that came out; NUL between them. */
export function programFor(requests: readonly SnippetRequest[]): string {
  const text = (value: string | undefined) =>
    value === undefined
      ? 'nil'
      : `"${[...Buffer.from(value)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`
  const rows = requests.map(
    ({ method = 'POST', path = '/openai/v1/chat/completions', encoding, body, fault }) =>
      `{ method = ${text(method)}, path = ${text(path)}, encoding = ${text(encoding)}, body = ${text(body)}, fault = ${text(fault)} }`,
  )
  return `
local request, sent
local function may_fail(name) if request.fault == name then error("injected") end end
kong = {
  request = {
    get_method = function() may_fail("get_method") return request.method end,
    get_path = function() may_fail("get_path") return request.path end,
    get_header = function(name) may_fail("get_header") return name == "content-encoding" and request.encoding or nil end,
    get_raw_body = function() may_fail("get_raw_body") return request.body, "no body" end,
  },
  service = { request = { set_raw_body = function(body) may_fail("set_raw_body") sent = body end } },
}
ngx = {}
local compile = (load or loadstring)(${quoted(sandbox)})()
local run = compile(${quoted(snippet)}, "include-usage")
local results = {}
for _, row in ipairs({ ${rows.join(',\n')} }) do
  request, sent = row, nil
  local ok, err = pcall(run)
  results[#results + 1] = ok and (sent or "unchanged") or ("raised " .. tostring(err))
end
return table.concat(results, "\\0")`
}

export function inFengari(requests: readonly SnippetRequest[]): string[] {
  const lua = createLua()
  lua.run(programFor(requests), 'include-usage', 1)
  return Buffer.from(lua.topBytes()!).toString().split('\0')
}
export const OPTIONS = '"stream_options":{"include_usage":true},'
/** Bodies that ask for a stream and get the option. */
export const ASKING: readonly string[] = [
  '{"stream":true}',
  '{"model":"gpt-4o","stream":true,"messages":[]}',
  ' \n{ "model" : "gpt-4o" ,\r\n\t"stream" : true }\n',
  '{"messages":[{"content":"\\"stream_options\\": {}, {[ \\\\"}],"stream":true}',
  '{"messages":[{"stream_options":{"include_usage":false}}],"stream":true}',
  '{"stream":false,"stream":true}',
  '{"a":"stream_options","stream":true}',
  '{"user":"漢字 😀","stream":true}',
]
/** Bodies that are left alone. */
export const OTHERS: readonly (string | undefined)[] = [
  undefined,
  '',
  '{}',
  '[]',
  'stream',
  '{"stream":false}',
  '{"stream":"true"}',
  '{"stream":trueish}',
  '{"stream":true,"stream":false}',
  '{"x":{"stream":true}}',
  '{"x":[{"stream":true}]}',
  '{"x":"\\"stream\\":true"}',
  '{"x":"stream","y":true}',
  '{"stream":true,"stream_options":{"include_usage":false}}',
  '{"stream_options":null,"stream":true}',
  '{"stream":true,"stream\\u005foptions":{}}',
  // not whole, or no JSON
  '{"stream":true',
  '{"stream":true,"x":"',
  '{"stream":true,"x":"\\',
  '{"stream":true]',
  '{"stream":true,"x":[}',
  '{"stream":true}{}',
  '{"stream":true} x',
  '\u001f\u008b{"stream":true}',
  `{"stream":true,"x":"${'x'.repeat(1024 * 1024)}"}`,
]
