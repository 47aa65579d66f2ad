import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { type Capture, captureSchema } from '../../sidecar/capture.ts'
import type { Exchange } from './exchange.ts'
import { parseKongConfig } from './kong-config.ts'
import { createKongLua, type KongLua } from './kong-lua.ts'
import { type Fixture, projectKongYml, type Sending, startFixture, type Upstream } from './testing/gateway-fixture.ts'
import { makeEvent } from './testing/make-event.ts'

/** kong.yml's tap in the stand-in gateway, with real bytes over real sockets. */
const KEY = { apikey: 'alice-demo-key' }
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
let fixture: Fixture | undefined
afterEach(async () => {
  await fixture?.close()
  fixture = undefined
})

async function captureOf(path: string, upstream: Upstream, sending: Sending = {}): Promise<Capture> {
  fixture = await startFixture({ upstream })
  await fixture.send(path, { headers: KEY, ...sending })
  const { capture } = await fixture.only()
  return captureSchema.parse({ ...(capture as object), content: 'on' })
}
/** What the tap has left of a request; undefined where nothing. */
function left(lua: KongLua, exchange: Exchange): Capture | undefined {
  const text = lua.sharedValue(exchange, 'llm_observer')
  return text === undefined || text === null ? undefined : JSON.parse(Buffer.from(text as Uint8Array).toString())
}
const decoded = (base64: string | null | undefined) => Buffer.from(base64 ?? '', 'base64')

describe('a capture over the socket of the plugin server', () => {
  it('keeps each byte of request and answer', async () => {
    const capture = await captureOf('/openai/v1/x?key=secret', (_q, _b, response) => response.end(ALL_BYTES), {
      headers: { ...KEY, authorization: 'Bearer secret', cookie: 'secret', 'x-session-id': 's-1' },
      body: ALL_BYTES,
    })
    expect(decoded(capture.request_body)).toEqual(ALL_BYTES)
    expect(decoded(capture.response_body)).toEqual(ALL_BYTES)
    expect(capture).toMatchObject({
      node: 'node-1',
      worker: 4711,
      sequence: 1,
      epoch: expect.stringMatching(/^[0-9a-f]{32}$/),
      request_bytes: 256,
      response_bytes: 256,
      response_complete: true,
      log: {
        consumer: { username: 'alice', custom_id: 'demo-alice', tags: ['tenant:blue'] },
        route: { name: 'openai' },
        service: { name: 'openai', host: '127.0.0.1', port: 9500, protocol: 'http' },
        request: { uri: '/openai/v1/x', headers: { 'x-session-id': 's-1' } },
        upstream_uri: '/v1/x',
      },
    })
    expect(JSON.stringify(capture)).not.toMatch(/secret|demo-key|x-consumer/)
  })

  it('of a 401, which is refused after the tap has seen it, without its body', async () => {
    const capture = await captureOf('/openai/v1', () => {}, { headers: {}, body: '{"a":1}' })
    expect(capture.log).toMatchObject({ source: 'kong', response: { status: 401 } })
    expect(capture.log.consumer).toBeUndefined()
    // Kong answers before its last plugin, which reads the body, runs.
    expect(capture.request_body).toBeUndefined()
    expect(capture.request_error).toContain('answered before')
    expect(decoded(capture.response_body).toString()).toContain('No API key found')
  })

  it('of a gzip answer, whole', async () => {
    const text = 'usage '.repeat(50_000)
    const capture = await captureOf('/openai/v1', (_q, _b, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' })
      response.end(gzipSync(text))
    })
    expect(gunzipSync(decoded(capture.response_body)).toString()).toBe(text)
    expect(capture.log.response.headers['content-encoding']).toBe('gzip')
  })

  it('has the time of the first and of the last byte', async () => {
    const before = Date.now() / 1000
    const capture = await captureOf('/anthropic/v1/messages', (_q, _b, response) => {
      response.write('event: a\n\n')
      setImmediate(() => response.end('event: b\n\n'))
    })
    expect(capture.first_byte_at).toBeGreaterThanOrEqual(before)
    expect(capture.last_byte_at).toBeGreaterThanOrEqual(capture.first_byte_at!)
  })

  it('numbers each route on its own, without a gap', async () => {
    fixture = await startFixture()
    for (const path of ['/openai/1', '/openai/2', '/anthropic/1', '/openai/3', '/cached/1', '/trusted/1', '/plain/1'])
      await fixture.send(path, { headers: KEY })
    await fixture.gateway.idle()
    const numbers = new Map<string, number[]>()
    for (const { capture } of fixture.observed) {
      if (capture === undefined) continue
      const { epoch, sequence } = capture as Capture
      numbers.set(epoch!, [...(numbers.get(epoch!) ?? []), sequence!])
    }
    expect([...numbers.values()].map((all) => all.toSorted())).toEqual([[1, 2, 3], [1], [1], [1]])
  })
})

describe('head and tail', () => {
  const config = parseKongConfig(projectKongYml())
  const [route] = config.routes
  const lua = createKongLua({ nodeId: 'n', workerPid: 1 })
  lua.load(route!.preFunction!)
  const HEAD = 192 * 1024
  const TAIL = 64 * 1024

  it('are the first and the last bytes, whatever the chunks', () => {
    const sizes = fc.oneof(
      fc.integer({ min: 0, max: 2000 }),
      fc.integer({ min: 60_000, max: 70_000 }),
      fc.integer({ min: 190_000, max: 300_000 }),
      fc.constantFrom(TAIL, TAIL + 1, HEAD, HEAD + 1),
    )
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 12 }), (lengths) => {
        let seed = 1
        const chunks = lengths.map((length) => Buffer.alloc(length, `${seed++}:`))
        const whole = Buffer.concat(chunks)
        const { exchange } = makeEvent({ route: route!, ...lua.begin() })
        for (const hook of ['access', 'header_filter'] as const) lua.hook(route!.preFunction, hook, exchange)
        for (const chunk of chunks) {
          const filtered = lua.filterBody(route!.preFunction, exchange, chunk, false)
          expect('chunk' in filtered && filtered.chunk).toBe(chunk)
        }
        lua.filterBody(route!.preFunction, exchange, Buffer.alloc(0), true)
        lua.hook(route!.preFunction, 'log', exchange)
        const capture = left(lua, exchange)!
        lua.end(exchange)
        expect(capture.response_bytes).toBe(whole.length)
        if (whole.length <= HEAD + TAIL) {
          expect(decoded(capture.response_body).equals(whole)).toBe(true)
          expect(capture.response_tail).toBeUndefined()
        } else {
          expect(decoded(capture.response_body).equals(whole.subarray(0, HEAD))).toBe(true)
          expect(decoded(capture.response_tail).equals(whole.subarray(-TAIL))).toBe(true)
        }
      }),
      { numRuns: 80 },
    )
  })
})

describe('an error in any call of any hook', () => {
  const [route] = parseKongConfig(projectKongYml()).routes
  const chunks = [Buffer.from('data: 1\n\n'), Buffer.alloc(200_000, 'x'), ALL_BYTES]

  function serve(lua: KongLua): Capture | undefined {
    const { exchange } = makeEvent({ route: route!, requestBody: Buffer.from('{}'), ...lua.begin() })
    const errors = [
      lua.hook(route!.preFunction, 'access', exchange),
      lua.hook(route!.postFunction, 'access', exchange),
      lua.hook(route!.preFunction, 'header_filter', exchange),
    ]
    const passed = chunks.map((chunk) => lua.filterBody(route!.preFunction, exchange, chunk, false))
    expect(passed).toEqual(chunks.map((chunk) => ({ chunk })))
    expect(lua.filterBody(route!.preFunction, exchange, Buffer.alloc(0), true)).not.toHaveProperty('error')
    errors.push(lua.hook(route!.preFunction, 'log', exchange))
    expect(errors).toEqual([undefined, undefined, undefined, undefined])
    const capture = left(lua, exchange)
    if (capture !== undefined) captureSchema.parse({ ...capture, content: 'on' })
    return capture
  }

  /** Two requests, in the first of which the n-th call of Kong's API raises. Gives back how many calls there were. */
  function serveWithFault(nth: number): number {
    let calls = 0
    const fault = () => {
      if (++calls === nth) throw new Error('injected')
    }
    const lua = createKongLua({ nodeId: 'n', workerPid: 1, fault })
    lua.load(route!.preFunction!)
    lua.load(route!.postFunction!)
    const first = serve(lua)
    const ofTheFirst = calls
    // Where there is no capture no number was used: the plugin takes Kong's own log.
    expect(serve(lua)).toMatchObject({
      sequence: first === undefined ? 1 : 2,
      response_bytes: 200_265,
      response_complete: true,
    })
    return ofTheFirst
  }

  it('stays in it, and the next request is whole', () => {
    const calls = serveWithFault(Number.POSITIVE_INFINITY)
    expect(calls).toBeGreaterThan(10)
    for (let nth = 1; nth <= calls; nth++) serveWithFault(nth)
  })
})

describe('an error in a hook', () => {
  const body = Buffer.concat([Buffer.from('data: 1\n\n'), ALL_BYTES])
  const upstream: Upstream = (_request, _body, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-one': '1' })
    response.write(body.subarray(0, 9))
    response.end(body.subarray(9))
  }
  const served = async (fault?: string, kongYml?: string) => {
    const failed: string[] = []
    const luaFault = (operation: string) => {
      if (operation !== fault) return
      failed.push(operation)
      throw new Error(`injected: ${operation}`)
    }
    fixture = await startFixture({ upstream, gateway: { luaFault }, ...(kongYml !== undefined && { kongYml }) })
    const { status, headers, body, broken } = await fixture.send('/openai/v1', { headers: KEY, body: '{}' })
    const {
      date,
      'x-kong-request-id': _id,
      'x-kong-proxy-latency': _p,
      'x-kong-upstream-latency': _u,
      ...same
    } = headers
    await fixture.gateway.idle()
    return { answer: { status, headers: same, body, broken }, failed, observed: fixture.observed }
  }

  it.each([
    'kong.request.get_raw_body',
    'kong.response.get_header',
    'ngx.now',
    'kong.log.serialize',
    'kong.node.get_id',
    'ngx.worker.pid',
    'ngx.encode_base64',
  ])('%s raises: the client gets the same answer, byte for byte', async (operation) => {
    const well = await served()
    expect(well.answer).toMatchObject({ status: 200, body, broken: false })
    expect(well.observed[0]!.capture).toMatchObject({ response_bytes: body.length })
    await fixture!.close()
    const broken = await served(operation)
    expect(broken.failed.length).toBeGreaterThan(0)
    expect(broken.answer).toEqual(well.answer)
  })

  // The stand-in lets such errors through as Kong does; else the test above could not fail.
  it.each([
    ['access', { status: 500, broken: false }],
    ['header_filter', undefined],
    ['body_filter', { status: 200, broken: true }],
    ['log', { status: 200, broken: false }],
  ])('that nobody catches, in %s, reaches the client as in Kong', async (hook, expected) => {
    const kongYml = projectKongYml((config: Record<string, unknown>) => {
      const [service] = config.services as { routes: { plugins: { name: string; config: object }[] }[] }[]
      service!.routes[0]!.plugins[1]!.config = { [hook]: ['error("not caught")'] }
    })
    if (expected === undefined) await expect(served(undefined, kongYml)).rejects.toThrow(/hang up|ECONNRESET/)
    else expect((await served(undefined, kongYml)).answer).toMatchObject(expected)
  })
})
