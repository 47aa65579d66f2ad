import { afterEach, describe, expect, it } from 'vitest'
import { waitUntil } from '../wait-until.ts'
import { encodeLogDocument } from './log-document.ts'
import { type Fixture, type Sending, startFixture, type Upstream } from './testing/gateway-fixture.ts'
import { makeEvent } from './testing/make-event.ts'
import { loggedDocument, recordingsPresent, sessionDocuments } from './testing/recorded-session.ts'

/** The services, routes and consumers with which the recordings were made, as far as the documents show them. */
const KONG_YML = `
_format_version: "3.0"
consumers:
- {username: alice, custom_id: team-blue-42, tags: ["tenant:blue", "tier:gold"], keyauth_credentials: [{key: alice-key}]}
- {username: bob, custom_id: team-red-7, tags: ["tenant:red"], keyauth_credentials: [{key: bob-key}]}
services:
- name: llm-svc
  url: http://127.0.0.1:9500
  tags: ["llm"]
  routes:
  - name: pass
    paths: ["/pass"]
    tags: ["team:search"]
    plugins: [{name: llm-probe}]
  - name: pass-key
    paths: ["/key"]
    plugins:
    - {name: key-auth, config: {key_names: [apikey], hide_credentials: true}}
    - {name: llm-probe}
`
const MOCK_HEADERS = { 'openai-organization': 'org-mock', 'x-request-id': 'r', 'x-ratelimit-remaining-requests': '99' }
const json: Upstream = (_request, _body, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '2', ...MOCK_HEADERS })
  response.end('{}')
}
const stream: Upstream = (_request, _body, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', ...MOCK_HEADERS })
  response.write('data: 1\n\n')
  response.end('data: [DONE]\n\n')
}
const hanging: Upstream = (_request, _body, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', ...MOCK_HEADERS })
  response.write('data: 1\n\n')
}
const error =
  (status: number, headers = {}): Upstream =>
  (_request, _body, response) => {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': '2', ...headers })
    response.end('{}')
  }

let fixture: Fixture
afterEach(() => fixture.close())

/** Keys and the types of what they hold; a list by its items. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape)
  if (value === null || typeof value !== 'object') return Number.isInteger(value) ? 'integer' : typeof value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, shape(item)]),
  )
}

async function documentOf(path: string, upstream: Upstream, sending: Sending = {}): Promise<Record<string, unknown>> {
  fixture = await startFixture({ kongYml: KONG_YML, upstream })
  await fixture.send(path, { body: '{"model":"gpt-4o"}', ...sending })
  return (await fixture.only()).document
}

describe.skipIf(!recordingsPresent)('the log document is built as Kong 3.9.3 builds it', () => {
  const documents = recordingsPresent ? sessionDocuments() : []
  const alice = { headers: { apikey: 'alice-key' } }
  const bob = {
    headers: { apikey: 'bob-key', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
  }

  it.each<[string, number, string, Upstream, Sending]>([
    ['pass-through', 0, '/pass/v1/chat/completions', json, {}],
    ['pass-through, streamed', 1, '/pass/v1/chat/completions', stream, {}],
    ['key-auth, streamed', 2, '/key/v1/chat/completions', stream, alice],
    ['key-auth with traceparent', 3, '/key/v1/chat/completions', json, bob],
    ['no key: 401', 4, '/key/v1/chat/completions', json, {}],
    ['upstream 429', 5, '/key/v1/chat/completions', error(429, { 'retry-after': '7' }), alice],
    ['upstream 500', 6, '/key/v1/chat/completions', error(500), alice],
    ['the client hangs up', 7, '/key/v1/chat/completions', hanging, { ...alice, onChunk: () => true }],
    ['a large body', 12, '/key/v1/chat/completions', json, { ...alice, body: Buffer.alloc(279_067, 'x') }],
  ])('%s', async (_name, index, path, upstream, sending) => {
    const recorded = documents[index]!
    const document = await documentOf(path, upstream, sending)
    // What the recording's client and mock sent beyond ours is theirs, not Kong's.
    const { headers } = recorded.request as { headers: Record<string, unknown> }
    for (const name of Object.keys(headers)) if (name.startsWith('x-mock-')) delete headers[name]
    expect(shape(document)).toEqual(shape(recorded))
    expect(fixedValues(document)).toEqual(fixedValues(recorded))
  })

  function fixedValues(document: Record<string, unknown>) {
    const { source, upstream_status, upstream_uri, workspace_name, client_ip, route, request, response } = document
    const { proxy } = document.latencies as { proxy: number }
    const { created_at, updated_at, id, ws_id, service, ...entity } = route as Record<string, unknown>
    const { uri, method, querystring } = request as Record<string, unknown>
    const { status } = response as { status: number }
    return {
      source,
      status,
      upstream_status,
      upstream_uri,
      workspace_name,
      client_ip,
      reachedUpstream: proxy >= 0,
      entity,
      uri,
      method,
      querystring,
    }
  }

  it('as text: slashes escaped, as cjson writes them', async () => {
    fixture = await startFixture({ kongYml: KONG_YML })
    const { document } = makeEvent()
    const text = encodeLogDocument(document)
    expect(JSON.parse(text)).toEqual(document)
    expect(text).toContain('"upstream_uri":"\\/v1\\/chat\\/completions"')
  })

  it('the documents of Kong’s file-log: key-auth and 401', async () => {
    // Written by routes with ai-proxy, which adds these keys and lets nginx give the status as a number.
    const ofAiProxy = (document: Record<string, unknown>) => {
      const { ai, upstream_status, ...rest } = document
      const strip = (part: unknown, names: string[]) => {
        const { headers } = part as { headers: Record<string, unknown> }
        for (const name of names) delete headers[name]
      }
      strip(rest.request, ['authorization', 'accept-encoding', 'x-mock-delay'])
      strip(rest.response, ['x-kong-llm-model', ...Object.keys(MOCK_HEADERS)])
      delete (rest.service as Record<string, unknown>).tags
      return rest
    }
    const document = await documentOf('/key/v1', json, alice)
    expect(shape(ofAiProxy(document))).toEqual(shape(ofAiProxy(loggedDocument('e-keyauth-consumer'))))
    await fixture.close()
    const refused = await documentOf('/key/v1', json)
    expect(shape(ofAiProxy(refused))).toEqual(shape(ofAiProxy(loggedDocument('e2-keyauth-401'))))
  })

  it('a client that hangs up before any byte: status 499, as in g-client-abort', async () => {
    const recorded = loggedDocument('g-client-abort') as { response: { status: number; size: number }; source: string }
    fixture = await startFixture({ kongYml: KONG_YML, upstream: () => {} })
    const sent = fixture.send('/key/v1', {
      ...alice,
      onSent: (request) => {
        void waitUntil(async () => fixture.upstreamRequests.length === 1).then(() => request.destroy())
      },
    })
    await expect(sent).rejects.toThrow()
    const { document } = await fixture.only()
    const { status, size } = document.response as { status: number; size: number }
    expect({ status, size }).toEqual({ status: recorded.response.status, size: recorded.response.size })
    expect(typeof document.upstream_status).toBe('string')
  })
})
