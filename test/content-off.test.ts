import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { caughtUp } from '../dev/stack-columns.ts'
import { waitUntil } from '../dev/wait-until.ts'

/** kong.yml's default: prompts and answers are looked at for usage, and no word of them rests anywhere. */
const SAID = 'wordsofaprompt'
const ANTHROPIC = { 'anthropic-version': '2023-06-01' }
const CALLS: [path: string, body: object, headers?: Record<string, string>][] = [
  ['/openai/v1/chat/completions', { model: 'gpt-4o-mini' }],
  ['/openai/v1/chat/completions', { model: 'gpt-4o-mini', stream: true }],
  ['/openai/v1/chat/completions', { model: 'gpt-4o-mini', stream: true, stream_options: { include_usage: true } }],
  ['/openai/v1/chat/completions', { model: 'gpt-4o-mini' }, { 'x-mock-encoding': 'gzip' }],
  ['/openai/v1/chat/completions', { model: 'gpt-4o-mini' }, { 'x-mock-status': '400' }],
  ['/openai/v1/chat/completions', { model: 'gpt-4o-mini', stream: true }, { 'x-mock-fail': 'reset' }],
  ['/anthropic/v1/messages', { model: 'claude-sonnet-4-5', max_tokens: 100 }, ANTHROPIC],
  ['/anthropic/v1/messages', { model: 'claude-sonnet-4-5', max_tokens: 100, stream: true }, ANTHROPIC],
]

describe('content: off', () => {
  const directory = mkdtempSync(join(tmpdir(), 'content-off-'))
  const agent = new Agent()
  let stack: Stack
  /** Words that the provider answered with. */
  const answered = new Set<string>()

  beforeAll(async () => {
    stack = await startStack({
      directory,
      provider: { latencyMs: [0, 1], chunkDelayMs: [0, 0] },
      plugin: { content: 'off' },
    })
    for (const [path, body, headers] of CALLS) {
      const { body: answer } = await request(`${stack.gateway.url}${path}`, {
        dispatcher: agent,
        method: 'POST',
        headers: { 'content-type': 'application/json', apikey: 'alice-demo-key', ...headers },
        body: JSON.stringify({
          ...body,
          stop: [`${SAID}-stop`],
          messages: [{ role: 'user', content: SAID.repeat(3) }],
        }),
      })
      const text = await answer.text().catch(() => '')
      const { choices, content } = text.startsWith('{') ? JSON.parse(text) : ({} as Record<string, undefined>)
      const said: unknown = choices?.[0]?.message?.content ?? content?.[0]?.text
      if (typeof said === 'string') answered.add(said)
    }
    await waitUntil(() => caughtUp(stack, CALLS.length))
  })
  afterAll(async () => {
    await agent.close()
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('calls are counted by what the provider said, as with content', async () => {
    const text = await (await fetch(`${stack.sidecarUrl}/metrics`)).text()
    expect(sumOfMetric(text, 'llm_usage_source_calls_total', { source: 'provider' })).toBe(5)
    expect(sumOfMetric(text, 'llm_cost_usd_total')).toBeGreaterThan(0)
  })

  it('no word of prompt or answer is on disk or goes to anybody', () => {
    const plain = (_key: string, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value instanceof Map ? [...value] : value
    const places: Record<string, string> = {
      spans: JSON.stringify(stack.otlp.spans(), plain),
      observations: JSON.stringify(stack.langfuse.observations(), plain),
      'log lines': JSON.stringify(stack.loki.entries(), plain),
    }
    for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }))
      if (/\.(db|db-wal|log)$/.test(name)) places[name] = readFileSync(join(directory, name)).toString('latin1')
    expect(Object.keys(places)).toEqual(expect.arrayContaining(['data/observer.db', 'sidecar.log']))
    expect(answered.size).toBeGreaterThan(0)
    for (const [name, text] of Object.entries(places)) {
      expect(text.includes(SAID), name).toBe(false)
      for (const answer of answered) expect(text.includes(answer), name).toBe(false)
    }
  })
})
