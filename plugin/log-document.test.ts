import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { kongLogSchema } from '../sidecar/capture.ts'
import { pickLogDocument } from './log-document.ts'

const shared = join(import.meta.dirname, '../../shared/data')
const documented = join(shared, 'kong-log-documented')
const absent = !existsSync(documented)

function minimal(extra: Record<string, unknown> = {}) {
  return {
    started_at: 1_795_419_012_318,
    upstream_uri: '/v1beta/models?key=upstream-secret',
    request: {
      id: 'r1',
      method: 'POST',
      uri: '/gemini/v1beta/models?key=client-secret',
      url: 'http://host/gemini?key=client-secret',
      querystring: { key: 'client-secret' },
      size: 10,
      headers: { 'content-type': 'application/json', apikey: 'header-secret', cookie: 'header-secret' },
    },
    response: { status: 200, size: 20, headers: { 'set-cookie': 'header-secret', age: '3' } },
    ...extra,
  }
}

describe('log document', () => {
  it('keeps no query string, no credential, no field it does not know', () => {
    const picked = pickLogDocument(
      minimal({ tls: { client_verify: 'x' }, consumer: { id: 'c', username: 'alice', password: 'header-secret' } }),
    )
    expect(JSON.stringify(picked)).not.toContain('secret')
    expect(kongLogSchema.parse(picked)).toMatchObject({
      upstream_uri: '/v1beta/models',
      request: { uri: '/gemini/v1beta/models', headers: { 'content-type': 'application/json' } },
      response: { headers: { age: '3' } },
      consumer: { username: 'alice' },
    })
    expect(picked).not.toHaveProperty('tls')
  })

  it('passes the numbers of ai-sanitizer, not the text it found', () => {
    const sanitizer = { pii_identified: 1, duration: 65, sanitized_items: [{ original: 'jane.doe@example.com' }] }
    const picked = pickLogDocument(minimal({ ai: { proxy: { usage: { prompt_tokens: 3 } }, sanitizer } }))
    expect(picked?.ai).toEqual({
      proxy: { usage: { prompt_tokens: 3 } },
      sanitizer: { pii_identified: 1, duration: 65 },
    })
  })

  it.each([
    ['null', null],
    ['a list', []],
    ['no request', { response: {} }],
    ['no status', minimal({ response: {} })],
    ['no id', minimal({ request: { uri: '/', method: 'GET' } })],
    ['no start', minimal({ started_at: 'now' })],
  ])('refuses %s', (_what, document) => {
    expect(pickLogDocument(document)).toBeUndefined()
  })

  it('has the shared documents in CI', () => {
    if (process.env.CI) expect(absent).toBe(false)
  })

  it.skipIf(absent)('picks every documented form of the document', () => {
    const documents = readdirSync(documented).filter((file) => file.endsWith('.json'))
    expect(documents.length).toBeGreaterThan(20)
    for (const file of documents) {
      const document = JSON.parse(readFileSync(join(documented, file), 'utf8')) as Record<string, unknown>
      const picked = pickLogDocument(document)
      const parsed = kongLogSchema.safeParse(picked)
      expect(parsed.error?.issues, file).toBeUndefined()
      expect(JSON.stringify(picked)).not.toMatch(/jane\.doe|querystring/)
    }
  })
})
