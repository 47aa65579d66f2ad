import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readTap } from '../../plugin/tap-text.ts'
import { binariesPresent } from '../servers/binary.ts'
import { ASKING, inFengari, OPTIONS, OTHERS, programFor, type SnippetRequest } from './testing/include-usage.ts'
import { scenariosInFengari, TAP_SCENARIOS } from './testing/tap-scenarios.ts'

const root = join(import.meta.dirname, '../..')

describe.skipIf(!binariesPresent('luajit'))('LuaJIT, in which Kong runs it, does as fengari', () => {
  const directory = mkdtempSync(join(tmpdir(), 'luajit-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  function inLuaJit(chunk: string): string {
    const file = join(directory, 'chunk.lua')
    writeFileSync(file, `io.write((function()\n${chunk}\nend)())`)
    const { stdout, stderr, status } = spawnSync('luajit', [file], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    return stdout
  }

  it('the tap: the same captures', () => {
    // Epochs are random.
    const same = (json: string) => ({ ...(JSON.parse(json) as object), 'epochs differ': true })
    const captures = inLuaJit(TAP_SCENARIOS)
    expect(JSON.parse(captures)).toEqual(same(scenariosInFengari()))
  })

  it('include-usage.lua: the same bodies', () => {
    const requests: SnippetRequest[] = [...ASKING, ...OTHERS].map((body) => ({ body }))
    requests.push({ body: '{"stream":true}', fault: 'set_raw_body' }, { body: '{"stream":true}', encoding: 'gzip' })
    expect(inLuaJit(programFor(requests)).split('\0')).toEqual(inFengari(requests))
  })

  /** Bytes that a piece of work allocates, and Lua instructions in hundreds, for two sizes of its input. */
  const MEASURE = `
    jit.off()
    local function measure(work)
      work()
      collectgarbage() collectgarbage("stop")
      local steps, before = 0, collectgarbage("count")
      debug.sethook(function() steps = steps + 1 end, "", 100)
      work()
      debug.sethook()
      local bytes = (collectgarbage("count") - before) * 1024
      collectgarbage("restart")
      return bytes .. " " .. steps
    end`
  const figures = (text: string) => text.split(' ').map(Number) as [bytes: number, steps: number]

  it('the tap: work grows with the bytes that pass, not with what is kept', () => {
    const { 'pre-function': pre, 'post-function': post } = readTap()
    const sections = [...Object.entries(pre), ['body', post.access]]
    const tap = `local SECTIONS = { ${sections.map(([name, source]) => `${name} = [==[\n${source}]==]`).join(', ')} }
      ${readFileSync(join(root, 'bench/tap.lua'), 'utf8')}`
    const of = (chunks: number) =>
      figures(
        inLuaJit(`${MEASURE}
          local tap, chunk = (function() ${tap} end)(), string.rep("a", 1000)
          return measure(function() tap.request(chunk, ${chunks}) end)`),
      )
    const [bytes, steps] = of(80)
    const [twiceBytes, twiceSteps] = of(160)
    expect(bytes).toBeGreaterThan(80_000)
    // Joined at each chunk it would be four times as much.
    expect(twiceBytes / bytes).toBeLessThan(2.5)
    expect(twiceSteps / steps).toBeLessThan(2.5)
  })

  it('include-usage.lua: work grows with the body', () => {
    const of = (messages: number) => {
      const content = (n: number) => `a "${n}" \\ ${'x'.repeat(60)}`
      const body = JSON.stringify({
        messages: Array.from({ length: messages }, (_, n) => ({ role: 'user', content: content(n) })),
        stream: true,
      })
      expect(inLuaJit(programFor([{ body }])).length).toBe(Buffer.byteLength(body) + OPTIONS.length)
      return figures(inLuaJit(`${MEASURE} return measure(function() ${programFor([{ body }])} end)`))
    }
    const [bytes, steps] = of(2000)
    const [twiceBytes, twiceSteps] = of(4000)
    expect(twiceBytes / bytes).toBeLessThan(2.5)
    expect(twiceSteps / steps).toBeLessThan(2.5)
  })
})
