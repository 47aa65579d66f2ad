import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format, inspect } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { makeLogger } from './logger.ts'
import { resolveSecret, secretSchema } from './secret.ts'

const directory = mkdtempSync(join(tmpdir(), 'secret-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const file = (name: string, text: string) => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}

describe('a secret', () => {
  it('is text, comes from a variable, or from a file without the line break at its end', () => {
    expect(resolveSecret(secretSchema.parse('hunter2'), {})).toBe('hunter2')
    expect(resolveSecret(secretSchema.parse({ env: 'KEY' }), { KEY: 'hunter2' })).toBe('hunter2')
    expect(resolveSecret(secretSchema.parse({ file: file('key', 'hunter2\n') }), {})).toBe('hunter2')
  })

  it('is read when it is needed, so that a configuration can be checked without it', () => {
    expect(() => secretSchema.parse({ env: 'NOT_SET' })).not.toThrow()
    expect(() => secretSchema.parse({ file: '/not/there' })).not.toThrow()
  })

  it.each([
    ['a variable that is not set', () => ({ env: 'LANGFUSE_KEY' }), /LANGFUSE_KEY is not set/],
    ['an empty variable', () => ({ env: 'EMPTY' }), /EMPTY is not set/],
    ['a file that is not there', () => ({ file: join(directory, 'absent') }), /absent: .* cannot be read \(ENOENT\)/],
    ['an empty file', () => ({ file: file('empty', ' \n') }), /empty: .* it is empty/],
  ])('names %s', (_, source, message) => {
    const secret = secretSchema.parse(source())
    expect(() => resolveSecret(secret, { EMPTY: '', OTHER: 'hunter2' })).toThrow(message)
  })

  it.each([[''], [5], [{}], [{ env: '' }], [{ env: 'A', file: 'b' }], [null]])('is not %j', (value) => {
    expect(secretSchema.safeParse(value).success).toBe(false)
  })

  it('does not show what was wrong in the error of the schema', () => {
    const wrong = secretSchema.safeParse({ env: 'A', text: 'hunter2' })
    expect(JSON.stringify(wrong.error?.issues)).not.toContain('hunter2')
  })

  it('prints as ***, however it is printed', () => {
    const secret = secretSchema.parse('hunter2')
    const lines: string[] = []
    makeLogger('INFO', { write: (line) => void lines.push(line) }).info({ config: { secret } }, 'configuration')
    const printed = [
      JSON.stringify({ secret }),
      String(secret),
      `${secret}`,
      inspect({ nested: { secret } }, { showHidden: true, depth: 9 }),
      format('%s %o %O %j', secret, secret, secret, secret),
      JSON.stringify(Object.entries(secret)),
      JSON.stringify(structuredClone({ ...secret })),
      ...lines,
    ].join('\n')
    expect(printed).toContain('***')
    expect(printed).not.toContain('hunter2')
  })
})
