import { describe, expect, it } from 'vitest'
import { captureSchema } from '../../sidecar/capture.ts'
import { scenariosInFengari } from './testing/tap-scenarios.ts'

/**
 * The tap itself, under a fake of Kong that stands in testing/tap-scenarios.lua: in fengari, in which the stand-in
 * gateway runs it, and in LuaJIT, in which Kong does.
 */
interface Served {
  capture: Record<string, unknown> & { log: Record<string, Record<string, unknown>> }
  raised: unknown
  unchanged: boolean
  left_over: string
  marker?: string
}
interface Second {
  timers: { delay: number; ok: boolean }[]
  told: { to: string; sent?: string; closed: boolean; timeout: number }[]
  waiting: number
}
const { 'epochs differ': epochsDiffer, totals, 'serializer asked': asked, ...rest } = JSON.parse(scenariosInFengari())
const scenarios = rest as Record<string, Served[]>
const seconds = (name: string) => (totals as Record<string, Second[]>)[name]!
const captures = (name: string) => scenarios[name]!.map(({ capture }) => capture)

describe('every scenario', () => {
  it.each(Object.entries(scenarios))('%s: no error gets out, no byte is changed, nothing is left', (_name, served) => {
    for (const { raised, unchanged, left_over } of served)
      expect({ raised, unchanged, left_over }).toEqual({ raised: {}, unchanged: true, left_over: 'nil' })
  })
})

describe('a capture', () => {
  const [plain] = captures('plain')

  it('is exactly the wire contract, but for what the plugin adds', () => {
    const { epoch, ...rest } = plain!
    const parsed = captureSchema.parse({ ...rest, epoch: 'e', content: 'on' })
    // Whatever the schema does not know would be gone from what it gives back.
    expect(parsed).toEqual({ ...rest, epoch: 'e', content: 'on' })
    expect(epoch).toBe(32)
  })

  it('holds times, bytes, numbers', () => {
    expect(plain).toMatchObject({
      v: 2,
      source: 'tap',
      node: 'node-1',
      worker: 77,
      sequence: 1,
      request_body: 'base64:{"model":"gpt-4o"}',
      request_bytes: 18,
      response_body: 'base64:{"id":"x"}',
      response_bytes: 10,
      response_complete: true,
      last_byte_at: (plain!.first_byte_at as number) + 0.25,
    })
    expect(plain!.response_tail).toBeUndefined()
  })

  it('picks from the log document by name: no credential, no query, no null', () => {
    expect(plain!.log).toEqual({
      started_at: 1795419012318,
      client_ip: '127.0.0.1',
      source: 'upstream',
      upstream_uri: '/v1/chat/completions',
      upstream_status: '200',
      workspace_name: 'default',
      request: {
        id: 'abc',
        method: 'POST',
        size: 300,
        uri: '/openai/v1/chat/completions',
        headers: { 'content-type': 'application/json', traceparent: '00-a-b-01', 'x-tenant-id': ['a', 'b'] },
      },
      response: {
        status: 200,
        size: 800,
        headers: {
          'content-type': 'application/json',
          'x-ratelimit-remaining-tokens': '9',
          'x-amzn-bedrock-trace': 't',
          age: '3',
        },
      },
      latencies: { request: 41, kong: 1, proxy: 39, receive: 1 },
      tries: [
        { ip: '10.0.0.1', port: 443, balancer_start: 1, state: 'failed', code: 502 },
        { ip: '10.0.0.2', port: 443 },
      ],
      route: { id: 'r', name: 'openai', tags: ['a', 'b'] },
      service: { id: 's', name: 'openai', host: 'api.openai.com', port: 443, protocol: 'https' },
      consumer: { id: 'c', username: 'alice', tags: ['tenant:blue', 'tier:gold'] },
      authenticated_entity: { id: 'e' },
    })
  })

  it('carries nothing that MessagePack cannot, and no item of ai-sanitizer', () => {
    const [capture] = captures('what MessagePack cannot carry')
    expect(capture!.log).toMatchObject({ trace_id: { w3c: '4bf92f' } })
    expect(capture!.log.ai).toEqual({
      proxy: {
        meta: { request_model: 'gpt-4o' },
        usage: { prompt_tokens: 3, cost: 0.25 },
        payload: {},
        tried_targets: [{ model: 'a' }, { model: 'b' }],
      },
      sanitizer: { pii_identified: 2, duration: 5 },
    })
    expect(JSON.stringify(scenarios)).not.toMatch(/secret|forged|<userdata>|<function>/)
  })

  it('of a table without a bottom has the upper levels', () => {
    const ai = captures('a table without a bottom')[0]!.log.ai
    expect(ai).toMatchObject({ proxy: { level: 'top', below: { level: 'top' } } })
    expect(JSON.stringify(ai).match(/top/g)).toHaveLength(11)
  })

  it('is numbered, each chunk load with an epoch of its own', () => {
    expect(captures('numbered').map(({ sequence }) => sequence)).toEqual([1, 2, 3])
    expect(captures('numbered')[2]).toMatchObject({ request_bytes: 0 })
    expect(captures('numbered')[2]!.request_body).toBeUndefined()
    expect(epochsDiffer).toBe(true)
  })

  it('has an epoch of 128 random bits, of fewer where nothing random is to be had', () => {
    expect(captures('plain')[0]!.epoch).toBe(32)
    expect(captures('without ngx.var')[0]!.epoch).toBe(26)
  })

  it('of a WebSocket says that it was not read; any other upgrade is a request', () => {
    const [socket, other] = captures('upgrade')
    expect(socket).toMatchObject({ sequence: 1, upgrade: 'websocket' })
    for (const part of ['request_body', 'request_error', 'response_body']) expect(socket![part]).toBeUndefined()
    expect(other!.sequence).toBe(2)
    expect(other!.upgrade).toBeUndefined()
  })

  it('has the trace headers that the client sent, of every kind, whole or not at all', () => {
    const [none, some, long, twice] = captures('traces')
    expect(twice!.client_trace).toBe(' 00-t 00-u')
    expect([none!.client_trace, some!.client_trace]).toEqual(['', ' u'])
    expect(long!.client_trace).toBeUndefined()
  })

  it('of a request that another plugin answered says that its body was not read', () => {
    const [answered, next] = captures('answered by another plugin')
    expect(answered).toMatchObject({
      sequence: 1,
      request_error: expect.stringContaining('answered before'),
      response_bytes: 2,
    })
    expect(answered!.tap_errors).toBeUndefined()
    expect(next).toMatchObject({ sequence: 2, request_body: 'base64:a' })
  })

  it('of a client that broke off its upload has no number: it may reach no other plugin', () => {
    const [broken, next] = captures('an upload broken off')
    expect(broken).toMatchObject({ request_error: 'client disconnected' })
    expect([broken!.sequence, broken!.epoch]).toEqual([undefined, undefined])
    expect(next!.sequence).toBe(1)
  })

  it('is JSON in UTF-8 whatever stands in it', () => {
    const [capture] = captures('what JSON cannot carry')
    expect(capture!.log).toMatchObject({
      client_ip: 'a"b\\c\n\0',
      consumer: {
        id: '企',
        username: '\ufffd\ufffd\ufffda\ufffd\ufffd\ufffd\ufffd',
        custom_id: '😀 \ufffd\ufffd\ufffd\ufffd',
      },
    })
    expect(capture!.log.correlation_id).toBeUndefined()
    expect(capture!.log.upstream_status).toBeUndefined()
  })

  it('does not wait for the body of a gRPC call', () => {
    const [grpc] = captures('gRPC')
    expect(grpc).toMatchObject({ sequence: 1, request_error: 'gRPC is not read', response_bytes: 3 })
    expect(grpc!.tap_errors).toBeUndefined()
  })

  it('of a request that never came to the access phase has what Kong logs', () => {
    expect(captures('refused before access')[0]).toMatchObject({
      sequence: 1,
      request_error: 'the tap did not see the request',
      log: { request: { id: 'abc' } },
    })
  })

  it('has the payload of a token that Kong verified, and neither its head nor its signature', () => {
    const [verified, ...others] = captures('a token that Kong verified')
    expect(verified!.jwt_payload).toBe('eyJ0ZW5hbnQiOiJibHVlIn0')
    expect(JSON.stringify(verified)).not.toMatch(/c2VjcmV0|eyJhbGciOiJIUzI1NiJ9/)
    for (const other of others) expect(other.jwt_payload).toBeUndefined()
  })

  it('of an answer without a last chunk is whole where its length says so: Kong announces none where it buffers', () => {
    const [whole, cut] = captures('no last chunk')
    expect([whole!.response_complete, cut!.response_complete]).toEqual([true, false])
  })

  it('of a client that hung up has what came until then', () => {
    expect(captures('hang up')[0]).toMatchObject({
      response_body: 'base64:data: 1\u000a\u000a',
      response_complete: false,
      response_bytes: 9,
    })
  })
})

describe('bodies are bounded', () => {
  const head = 192 * 1024
  const tail = 64 * 1024
  const length = (value: unknown) => Number(/^(\d+) bytes/.exec(value as string)?.[1])

  it.each([100_000, 196_608, 196_609, 262_144])('an answer of %i bytes is whole, however it is chunked', (size) => {
    const all = [1000, 8192, 70_000, 500_000].map((chunk) => captures(`answer ${size} by ${chunk}`)[0]!)
    for (const capture of all) {
      expect(capture).toMatchObject({ response_bytes: size, response_complete: true })
      expect(length(capture.response_body)).toBe(size)
      expect(capture.response_tail).toBeUndefined()
    }
  })

  it.each([262_145, 400_000])('of %i bytes the middle is cut out, and the last bytes are there', (size) => {
    for (const chunk of [1000, 8192, 70_000, 500_000]) {
      const [capture] = captures(`answer ${size} by ${chunk}`)
      expect(capture).toMatchObject({ response_bytes: size, response_complete: true })
      expect([length(capture!.response_body), length(capture!.response_tail)]).toEqual([head, tail])
    }
  })

  it('an encoded answer is whole, or its beginning: it cannot be read without its middle', () => {
    const [small] = captures('encoded, small')
    expect(length(small!.response_body)).toBe(200_000)
    expect(small!.log.response!.headers).toMatchObject({
      'content-encoding': 'gzip',
      'content-type': 'text/event-stream',
    })
    const [large] = captures('encoded, too large')
    expect(length(large!.response_body)).toBe(256 * 1024)
    expect(large!.response_tail).toBeUndefined()
    expect(large!.response_bytes).toBe(300_000)
  })

  it('a request body beyond the cap: why it is missing, and how large it was', () => {
    expect(captures('no body of the request')[0]).toMatchObject({
      request_error: 'request body file too big: 300000 > 262144',
      request_bytes: 300_000,
    })
    const [memory] = captures('a large body from memory')
    expect([length(memory!.request_body), memory!.request_bytes]).toEqual([256 * 1024, 300_000])
  })
})

describe('when something fails', () => {
  it.each([
    ['timer', { sequence: 1, request_body: 'base64:a', response_bytes: 6 }],
    ['pid', { sequence: 1, request_body: 'base64:a', response_bytes: 6 }],
    ['get_raw_body', { sequence: 1, request_error: 'the tap could not read the body', response_bytes: 6 }],
    ['get_headers', { sequence: 1, request_body: 'base64:a', response_bytes: 6 }],
    ['get_header', { sequence: 1, request_body: 'base64:a', response_bytes: 6 }],
    ['now', { sequence: 1, request_body: 'base64:a' }],
  ])('in %s: what is still known is captured, and the next capture says that it failed', (operation, known) => {
    const [broken, next] = captures(`fault in ${operation}`)
    expect(broken).toMatchObject(known)
    expect(next).toMatchObject({ sequence: 2, response_body: 'base64:three' })
    if (operation !== 'timer' && operation !== 'pid' && operation !== 'get_header')
      expect(next!.tap_errors).toBeGreaterThan(0)
  })

  it.each([
    ['ngx.header', { sequence: 2, response_body: 'base64:three' }],
    ['ngx.timer', { sequence: 2, response_body: 'base64:three' }],
    ['kong.request.get_raw_body', { sequence: 2, response_body: 'base64:three', tap_errors: 1 }],
    ['kong.response.get_header', { sequence: 2, response_body: 'base64:three' }],
  ])('a Kong without %s: the rest is captured', (path, known) => {
    expect(captures(`without ${path}`)[1]).toMatchObject(known)
  })

  it.each(['ngx.timer ngx.socket kong.vault', 'ngx.timer'])(
    'a sandbox without %s (Kong Enterprise: strict, lax): every capture is whole and numbered, only totals are not told',
    (path) => {
      const [first, second] = captures(`without ${path}`)
      const { last_byte_at, ...known } = captures('plain')[0]!
      expect(last_byte_at).toBeDefined()
      expect(Object.keys(first!).toSorted()).toEqual([...Object.keys(known), 'last_byte_at'].toSorted())
      expect([first, second]).toMatchObject([
        { sequence: 1, request_body: 'base64:a', response_body: 'base64:onetwo', response_complete: true },
        { sequence: 2, request_body: 'base64:b', response_body: 'base64:three', response_complete: true },
      ])
      expect(second!.tap_errors).toBeUndefined()
    },
  )

  it('a body with a hole is not passed off as a whole one', () => {
    const [broken] = captures('fault in now')
    expect(broken!.response_bytes).toBeUndefined()
    expect(broken!.response_complete).toBeUndefined()
  })

  it.each(['serialize', 'encode_base64', 'get_id'])(
    'in %s: no capture, and no number that would be missing: the plugin takes Kong’s own log',
    (operation) => {
      const [broken, next] = scenarios[`fault in ${operation}`]!
      expect(broken!.capture).toBe('none')
      expect(next!.capture).toMatchObject({ sequence: 1, tap_errors: 1 })
    },
  )

  it('no error, no counter: the wire contract does not know it', () => {
    expect(captures('plain')[0]!.tap_errors).toBeUndefined()
  })
})

describe('the document that is picked from Kong’s keys', () => {
  it('is the serializer’s: compared with it five times, and then it is asked no more', () => {
    expect(asked['all alike']).toBe(6)
    const all = captures('picked')
    for (const { log } of all) expect(log).toEqual(all[0]!.log)
    expect(all[11]!.log).toEqual({ ...captures('plain')[0]!.log, workspace: 'w1', response: expect.anything() })
  })

  it.each([
    ['another key', 'picked, another key', 12],
    ['a key gone once', 'picked, a key gone once', 7],
  ])('of a Kong with %s the serializer is asked instead, and is right', (what, name, times) => {
    expect(asked[what]).toBe(times)
    for (const { log } of captures(name)) expect(log).toEqual(captures('picked')[0]!.log)
  })

  it('leaves to the serializer what a plugin has set in it', () => {
    // 1 for the workspace, 5 compared, the ninth.
    expect(asked['a document that plugins have set']).toBe(7)
  })
})

describe('totals', () => {
  it('are told within a second, and no timer is left where there is nothing new', () => {
    const [told, quiet, again] = seconds('told once')
    expect(told).toEqual({
      timers: [{ delay: 1, ok: true }],
      told: [
        {
          to: '127.0.0.1:8086',
          timeout: 2000,
          closed: true,
          sent: [
            'POST /v1/totals HTTP/1.1',
            'Host: 127.0.0.1:8086',
            'Content-Type: application/json',
            'Content-Length: 94',
            'Connection: close',
            'Authorization: Bearer resolved {vault://env/observer-intake-token}',
            '',
            '{"v":2,"node":"node-1","epoch":"E","sequence":3,"tap_errors":0}',
          ].join('\r\n'),
        },
      ],
      waiting: 0,
    })
    expect(quiet).toEqual({ timers: {}, told: {}, waiting: 0 })
    expect(again!.told[0]!.sent).toContain('"sequence":4')
  })

  it('wait longer and longer for a sidecar that is away, and are then told', () => {
    const [first, second, third, fourth] = seconds('sidecar away, then back')
    expect([first, second, third].map((second) => second!.timers[0]!.delay)).toEqual([1, 2, 4])
    expect(first!.told[0]!.sent).toBeUndefined()
    expect(third!.told[0]!.sent).toContain('"sequence":1')
    expect([first!.waiting, third!.waiting]).toEqual([1, 0])
    expect(fourth!.timers).toEqual({})
  })

  it.each(['refused', 'nothing answers'])('%s: again later, and no error gets out', (name) => {
    expect(seconds(name)[0]).toMatchObject({ timers: [{ ok: true }], waiting: 1 })
  })

  it('are tried once where the worker ends', () => {
    const [end, after] = seconds('at the end of a worker')
    expect(end).toMatchObject({ told: [{ to: '127.0.0.1:8086' }], waiting: 0 })
    expect(after!.timers).toEqual({})
  })

  it('go where the plugin’s sidecar is, with its token', () => {
    expect(seconds('to a unix socket')[0]!.told[0]).toMatchObject({ to: 'unix:/run/s.sock:nil' })
    expect(seconds('with a token')[0]!.told[0]).toMatchObject({
      to: 'sidecar:80',
      sent: expect.stringContaining('\r\nAuthorization: Bearer t-1\r\n'),
    })
    expect(seconds('with a token from a vault')[0]!.told[0]).toMatchObject({
      to: '[::1]:1',
      sent: expect.stringContaining('\r\nAuthorization: Bearer resolved {vault://env/t}\r\n'),
    })
    expect(seconds('to nobody')[0]).toEqual({ timers: {}, told: {}, waiting: 0 })
    expect(seconds('to TLS')[0]!.told[0]).toMatchObject({ to: 'sidecar:443', tls: 'sidecar, verified' })
    expect(seconds('to what it does not speak')[0]).toMatchObject({ timers: [{ ok: true }], waiting: 1 })
  })
})
