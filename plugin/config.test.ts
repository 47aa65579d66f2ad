import { describe, expect, it } from 'vitest'
import { readConfig, SCHEMA } from './config.ts'

describe('configuration', () => {
  it('applies the defaults of the schema where Kong did not', () => {
    const defaults = Object.assign(
      {},
      ...SCHEMA.map((field) => {
        const [[name, definition]] = Object.entries(field) as [[string, { default?: unknown }]]
        return { [name]: definition.default ?? null }
      }),
    )
    expect(readConfig({})).toEqual(readConfig(defaults))
    expect(readConfig(undefined)).toEqual(readConfig({}))
    expect(readConfig({})).toMatchObject({
      source: 'auto',
      content: 'off',
      intakeToken: undefined,
      queueBytes: 64 * 1024 * 1024,
      batchMaxCalls: 100,
      batchMaxBytes: 1024 * 1024,
      lingerMs: 200,
      sendTimeoutMs: 5000,
      pdkTimeoutMs: 5000,
    })
  })

  it('ignores what Kong adds, and a vault reference that Kong could not resolve', () => {
    expect(readConfig({ __plugin_id: 'p', route_id: 'r', intake_token: '' }).intakeToken).toBeUndefined()
  })

  it('reads the token by its former name too, and the present one goes before it', () => {
    expect(readConfig({ sidecar_token: 'old' }).intakeToken).toBe('old')
    expect(readConfig({ sidecar_token: 'old', intake_token: 'new' }).intakeToken).toBe('new')
    expect(readConfig({ sidecar_token: 'old', intake_token: '' }).intakeToken).toBe('old')
    expect(() => readConfig({ sidecar_token: 'two words' })).toThrow('config.sidecar_token must be')
  })

  it.each([
    ['source', 'both'],
    ['content', true],
    ['sidecar_url', 'localhost:8086'],
    ['sidecar_url', 'ftp://host'],
    ['sidecar_url', 'http://user:pass@host'],
    ['sidecar_url', 'http://host/?key=1'],
    ['sidecar_url', 'unix:relative.sock'],
    ['sidecar_url', 7],
    ['intake_token', 'two words'],
    ['intake_token', 'line\nbreak'],
    ['max_content_bytes', 0],
    ['queue_bytes', 10],
    ['queue_bytes', '64MB'],
    ['batch_max_calls', 0],
    ['batch_max_calls', 1.5],
    ['batch_max_bytes', -1],
    ['linger_ms', 3_600_000],
    ['send_timeout_ms', 0],
    ['pdk_timeout_ms', 60_000],
  ])('refuses %s = %j and names the field', (field, value) => {
    expect(() => readConfig({ [field]: value })).toThrow(`config.${field}`)
  })

  it('names every wrong field at once, and never the token', () => {
    let message = ''
    try {
      readConfig({ source: 'x', linger_ms: -1, intake_token: 'sec ret' })
    } catch (error) {
      message = (error as Error).message
    }
    for (const field of ['source', 'linger_ms', 'intake_token']) expect(message).toContain(`config.${field}`)
    expect(message).not.toContain('sec ret')
  })

  it.each(['http://127.0.0.1:8086', 'https://observer.internal/base', 'unix:/run/observer.sock'])('takes %s', (url) => {
    expect(readConfig({ sidecar_url: url }).sidecarUrl).toBe(url)
  })
})
