import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { binariesPresent } from '../servers/binary.ts'
import { ASKING, inFengari, OTHERS, programFor, type SnippetRequest } from './testing/include-usage.ts'
import { scenariosInFengari, TAP_SCENARIOS } from './testing/tap-scenarios.ts'

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
})
