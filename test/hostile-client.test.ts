import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { caughtUp } from '../dev/stack-columns.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { SHIPS } from '../plugin/tap-text.ts'

/**
 * Law 12 and law 11 through everything: a client that says that it is somebody else stays who it is, and no credential
 * that it sends – nor one that stands in its prompt – rests anywhere.
 */
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const TRACE_OF_OTHERS = '4bf92f3577b34da6a3ce929d0e0e4736'
const FORGED_JWT = `${base64url({ alg: 'none' })}.${base64url({ tenant: 'red', sub: 'eve' })}.`
const FORGERIES: Record<string, Record<string, string>> = {
  'consumer headers': {
    'x-consumer-custom-id': 'demo-bob',
    'x-consumer-username': 'bob',
    'x-consumer-id': 'bob',
    'x-credential-identifier': 'bob',
    'x-authenticated-userid': 'bob',
    'x-authenticated-groups': 'tenant:red',
  },
  'tenant headers': { 'x-tenant-id': 'red', 'x-tenant': 'red' },
  'an unsigned token': { authorization: `Bearer ${FORGED_JWT}`, 'x-jwt-payload': base64url({ tenant: 'red' }) },
  'a trace of others (W3C)': { traceparent: `00-${TRACE_OF_OTHERS}-00f067aa0ba902b7-01` },
  'a trace of others (B3)': { b3: `${TRACE_OF_OTHERS}-00f067aa0ba902b7-1` },
  'a trace of others (Jaeger)': { 'uber-trace-id': `${TRACE_OF_OTHERS}:00f067aa0ba902b7:0:1` },
  'a trace of others (B3, several headers)': { 'x-b3-traceid': TRACE_OF_OTHERS, 'x-b3-spanid': '00f067aa0ba902b7' },
}
const SECRETS = {
  query: 'AIzaSyPlantedInTheQuery0123456789abcdef',
  authorization: 'planted-in-authorization-0123456789',
  'proxy-authorization': 'planted-in-proxy-authorization-0123456789',
  'x-api-key': 'sk-ant-planted-in-x-api-key-0123456789',
  'api-key': 'planted-in-api-key-0123456789',
  'x-goog-api-key': 'AIzaSyPlantedInAHeader0123456789abcdef',
  cookie: 'session=planted-in-cookie-0123456789',
  'x-amz-security-token': 'planted-in-amz-token-0123456789',
  prompt: 'sk-proj-PlantedInThePrompt0123456789',
  user: 'ghp_PlantedAsTheUser0123456789abcdefghij',
  aws: 'AKIAPLANTEDINTEXT012',
}
/** What Kong itself let her in by. */
const OWN_KEY = 'alice-demo-key'

describe.each(SHIPS)('a hostile client, captures shipped by the %s', (ship) => {
  const directory = mkdtempSync(join(tmpdir(), 'hostile-client-'))
  const agent = new Agent()
  let stack: Stack
  let sent = 0

  beforeAll(async () => {
    stack = await startStack({ directory, ship, provider: { latencyMs: [0, 1], chunkDelayMs: [0, 0] } })
  })
  afterAll(async () => {
    await agent.close()
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  async function send(path: string, headers: Record<string, string>, body: object = {}): Promise<number> {
    sent++
    const { statusCode, body: answer } = await request(`${stack.gateway.url}${path}`, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }], ...body }),
    })
    await answer.dump()
    return statusCode
  }
  const metrics = async () => (await fetch(`${stack.sidecarUrl}/metrics`)).text()
  const settled = () => waitUntil(() => caughtUp(stack, sent))

  it('stays the tenant that Kong authenticated, whatever it says', async () => {
    for (const headers of Object.values(FORGERIES)) {
      expect(await send('/openai/v1/chat/completions', { apikey: OWN_KEY, ...headers })).toBe(200)
      // Without a key it is nobody, and not the one that it names.
      expect(await send('/openai/v1/chat/completions', headers)).toBe(401)
    }
    await send('/openai/v1/tenants/red/chat/completions', { apikey: OWN_KEY }, { tenant: 'red' })
    await settled()
    const text = await metrics()
    expect(sumOfMetric(text, 'llm_calls_total', { tenant_id: 'blue' })).toBe(Object.keys(FORGERIES).length + 1)
    expect(sumOfMetric(text, 'llm_calls_total', { tenant_id: 'unattributed' })).toBe(Object.keys(FORGERIES).length)
    expect(text).not.toMatch(/tenant_id="(red|bob|eve|demo-bob)"/)
    // It shows that somebody tried: the header, and the path.
    expect(sumOfMetric(text, 'llm_tenant_claims_refused_total', { tenant_id: 'blue' })).toBe(2)
  })

  it('joins nobody’s trace', () => {
    const spans = stack.otlp.spans()
    expect(spans).toHaveLength(sent)
    for (const { traceId, parentSpanId } of spans) expect([traceId, parentSpanId]).toEqual([traceId, ''])
    expect(spans.map(({ traceId }) => traceId)).not.toContain(TRACE_OF_OTHERS)
    expect(stack.langfuse.observations().map(({ traceId }) => traceId)).not.toContain(TRACE_OF_OTHERS)
  })

  it('leaves no credential anywhere', async () => {
    const { query, prompt, user, aws, ...headers } = SECRETS
    const hostile = { ...headers, authorization: `Bearer ${headers.authorization}` }
    const said = `my key is ${prompt}, and ${aws}`
    const body = { messages: [{ role: 'user', content: said }], user, metadata: { session_id: `s ${prompt}` } }
    for (const path of ['/openai/v1/chat/completions', '/plain/v1/chat/completions', '/trusted/v1/chat/completions'])
      expect(await send(`${path}?key=${query}`, { apikey: OWN_KEY, ...hostile }, body)).toBe(200)
    await send('/openai/v1/chat/completions', { apikey: OWN_KEY, 'x-user-id': prompt }, { model: aws })
    await send(`/openai/v1/chat/completions?key=${query}`, { ...hostile, apikey: headers['api-key'] }, body)
    await settled()
    const places: Record<string, string> = {
      metrics: await metrics(),
      spans: JSON.stringify(stack.otlp.spans(), plain),
      observations: JSON.stringify(stack.langfuse.observations(), plain),
      'log lines': JSON.stringify(stack.loki.entries(), plain),
    }
    // The gateway's own log and configuration are Kong's, not ours.
    for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }))
      if (/\.(db|db-wal|log)$/.test(name) && !name.startsWith('gateway'))
        places[name] = readFileSync(join(directory, name)).toString('latin1')
    expect(Object.keys(places)).toEqual(expect.arrayContaining(['data/observer.db', 'sidecar.log']))
    // What was said is there, without what it held.
    expect(places.observations).toContain('my key is [API_KEY], and [API_KEY]')
    for (const [name, text] of Object.entries(places))
      for (const secret of [...Object.values(SECRETS), OWN_KEY])
        expect(text.includes(secret), `${secret} in ${name}`).toBe(false)
  })
})

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value instanceof Map ? [...value] : value
}
