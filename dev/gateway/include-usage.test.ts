import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { createLua } from './lua.ts'

/** The snippet under a small fake of Kong, in Kong's sandbox: in fengari and in LuaJIT, in which Kong runs it. */
const root = join(import.meta.dirname, '../..')
const snippet = readFileSync(join(root, 'deploy/kong/include-usage.lua'), 'utf8')
const sandbox = readFileSync(join(root, 'dev/gateway/sandbox.lua'), 'utf8')
const quoted = (text: string) => `[====[\n${text}]====]`

interface Request {
  method?: string
  path?: string
  encoding?: string
  body: string | undefined
  /** An operation of Kong that fails. */
  fault?: string
}

/** For each request the body that the provider gets, `unchanged`, or the error that came out; NUL between them. */
function programFor(requests: readonly Request[]): string {
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

function inFengari(requests: readonly Request[]): string[] {
  const lua = createLua()
  lua.run(programFor(requests), 'include-usage', 1)
  return Buffer.from(lua.topBytes()!).toString().split('\0')
}
const sentFor = (body: string | undefined, parts: Partial<Request> = {}) => inFengari([{ body, ...parts }])[0]!

const OPTIONS = '"stream_options":{"include_usage":true},'
const ASKING: readonly string[] = [
  '{"stream":true}',
  '{"model":"gpt-4o","stream":true,"messages":[]}',
  ' \n{ "model" : "gpt-4o" ,\r\n\t"stream" : true }\n',
  '{"messages":[{"content":"\\"stream_options\\": {}, {[ \\\\"}],"stream":true}',
  '{"messages":[{"stream_options":{"include_usage":false}}],"stream":true}',
  '{"stream":false,"stream":true}',
  '{"a":"stream_options","stream":true}',
  '{"user":"漢字 😀","stream":true}',
]
const OTHERS: readonly (string | undefined)[] = [
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

describe('a request that asks for a stream', () => {
  it.each(ASKING)('%s gets the option, and nothing else changes', (body) => {
    const sent = sentFor(body)
    expect(sent).toBe(body.replace('{', `{${OPTIONS}`))
    expect(JSON.parse(sent)).toEqual({ ...JSON.parse(body), stream_options: { include_usage: true } })
  })

  it('completions and Azure’s deployments too', () => {
    const body = '{"stream":true}'
    for (const path of ['/v1/completions', '/openai/deployments/x/chat/completions', '/v1/chat/completions/'])
      expect(sentFor(body, { path })).toBe(`{${OPTIONS}"stream":true}`)
    expect(sentFor(body, { encoding: 'identity' })).toContain(OPTIONS)
  })
})

describe('every other request is left alone', () => {
  it.each(OTHERS.map((body) => [body?.slice(0, 60), body]))('%s', (_start, body) => {
    expect(sentFor(body)).toBe('unchanged')
  })

  it.each<Partial<Request>>([
    { method: 'GET' },
    { path: '/v1/responses' },
    { path: '/v1/messages' },
    { path: '/v1/chat/completions/chatcmpl-1' },
    { encoding: 'gzip' },
  ])('%o', (parts) => {
    expect(sentFor('{"stream":true}', parts)).toBe('unchanged')
  })
})

it.each(['get_method', 'get_path', 'get_header', 'get_raw_body', 'set_raw_body'])(
  'an error in %s stays in it: the request goes on as it came',
  (fault) => {
    expect(sentFor('{"stream":true}', { fault })).toBe('unchanged')
  },
)

it('any JSON: it is the same but for the option, which comes exactly where it should', () => {
  const member = fc.oneof(
    fc.constantFrom('stream', 'stream_options', 'messages', 'a"b', '\\'),
    fc.string({ maxLength: 6 }),
  )
  const value = fc.oneof(
    fc.boolean(),
    fc.constantFrom('stream', '"stream":true', '{', '}', '\\"'),
    fc.jsonValue({ maxDepth: 3 }),
  )
  const bodies = fc.array(fc.dictionary(member, value, { maxKeys: 5 }), { minLength: 20, maxLength: 20 })
  fc.assert(
    fc.property(bodies, fc.constantFrom(undefined, 2), (given, indent) => {
      const texts = given.map((body) => JSON.stringify(body, undefined, indent))
      inFengari(texts.map((body) => ({ body }))).forEach((sent, index) => {
        const body = given[index]!
        const plain = !Object.keys(body).some((key) => JSON.stringify(key).includes('\\'))
        const asks = body.stream === true && !Object.hasOwn(body, 'stream_options') && plain
        if (!asks) expect(sent).toBe('unchanged')
        else expect(JSON.parse(sent)).toEqual({ ...JSON.parse(texts[index]!), stream_options: { include_usage: true } })
      })
    }),
    { numRuns: 20 },
  )
})

const luajitPresent = spawnSync('luajit', ['-v']).status === 0
if (!luajitPresent) {
  if (process.env.CI) throw new Error('CI must have luajit: it decides where fengari differs')
  console.warn('skipped: luajit is not on this machine')
}
describe.skipIf(!luajitPresent)('LuaJIT, in which Kong runs it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'include-usage-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it('does the same', () => {
    const requests: Request[] = [...ASKING, ...OTHERS].map((body) => ({ body }))
    requests.push({ body: '{"stream":true}', fault: 'set_raw_body' }, { body: '{"stream":true}', encoding: 'gzip' })
    const file = join(directory, 'scenarios.lua')
    writeFileSync(file, `io.write((function()\n${programFor(requests)}\nend)())`)
    const { stdout, stderr, status } = spawnSync('luajit', [file], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    expect(stdout.split('\0')).toEqual(inFengari(requests))
  })

  it('a megabyte takes little time', () => {
    const body = JSON.stringify({
      messages: Array.from({ length: 8000 }, (_, n) => ({ role: 'user', content: `a "${n}" \\ ${'x'.repeat(60)}` })),
      stream: true,
    })
    expect(body.length).toBeGreaterThan(500_000)
    const file = join(directory, 'long.lua')
    writeFileSync(file, `io.write((function()\n${programFor([{ body }])}\nend)())`)
    const began = performance.now()
    const { stdout } = spawnSync('luajit', [file], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
    expect(stdout.length).toBe(Buffer.byteLength(body) + OPTIONS.length)
    expect(performance.now() - began).toBeLessThan(2000)
  })
})
