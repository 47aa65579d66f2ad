import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { waitUntil } from '../wait-until.ts'
import { type Fixture, type FixtureOptions, projectKongYml, startFixture } from './testing/gateway-fixture.ts'

const KEY = { apikey: 'alice-demo-key' }
let fixture: Fixture
afterEach(() => fixture.close())
const start = async (options: FixtureOptions = {}) => {
  fixture = await startFixture(options)
  return fixture
}

describe('proxying', () => {
  it('passes request and answer on, the prefix stripped, the credential hidden, the consumer named', async () => {
    await start({
      upstream: (_request, body, response) => {
        response.writeHead(201, 'Made', { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'], 'x-one': '1' })
        response.end(Buffer.concat([Buffer.from([0, 255, 128]), body]))
      },
    })
    const body = Buffer.from([1, 0, 255, 200])
    const answer = await fixture.send('/openai/v1/chat?x=1&y=%20', {
      headers: { ...KEY, 'x-consumer-username': 'mallory', 'x-twice': ['1', '2'] },
      body,
    })
    expect(answer).toMatchObject({
      status: 201,
      broken: false,
      headers: { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'], via: '1.1 kong/3.9.3', 'x-one': '1' },
    })
    expect(answer.body).toEqual(Buffer.from([0, 255, 128, 1, 0, 255, 200]))
    const [seen] = fixture.upstreamRequests
    expect(seen).toMatchObject({ method: 'POST', url: '/v1/chat?x=1&y=%20', body })
    expect(seen!.headers).toMatchObject({
      host: '127.0.0.1:9500',
      'x-consumer-username': 'alice',
      'x-consumer-custom-id': 'demo-alice',
      'x-forwarded-host': '127.0.0.1',
      'x-kong-request-id': answer.headers['x-kong-request-id'],
      'x-twice': '1, 2',
    })
    expect(seen!.headers.apikey).toBeUndefined()
    expect(answer.headers['x-kong-proxy-latency']).toMatch(/^\d+$/)
    expect(answer.headers['x-kong-upstream-latency']).toMatch(/^\d+$/)
  })

  it('names the consumer by what Kong knows, whatever the client says', async () => {
    const kongYml = projectKongYml((config: Record<string, unknown>) => {
      for (const consumer of config.consumers as { custom_id?: string }[]) delete consumer.custom_id
    })
    await start({ kongYml })
    const forged = { 'x-consumer-custom-id': 'mallory', 'x-credential-identifier': 'mallory' }
    await fixture.send('/openai/v1', { headers: { ...KEY, ...forged } })
    const { headers } = fixture.upstreamRequests[0]!
    expect(headers['x-consumer-username']).toBe('alice')
    expect(JSON.stringify(headers)).not.toContain('mallory')
  })

  it('streams: each chunk is with the client before the upstream sends the next', async () => {
    const received = ['']
    await start({
      upstream: async (_request, _body, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        for (let n = 0; n < 5; n++) {
          response.write(`data: ${n}\n\n`)
          await waitUntil(async () => received.join('').includes(`data: ${n}\n\n`), { everyMs: 1 })
        }
        response.end()
      },
    })
    const answer = await fixture.send('/openai/v1/chat', {
      headers: KEY,
      onChunk: (chunk) => {
        received.push(chunk.toString())
        return false
      },
    })
    expect(answer).toMatchObject({ status: 200, broken: false })
    expect(answer.body.toString()).toBe([0, 1, 2, 3, 4].map((n) => `data: ${n}\n\n`).join(''))
  })

  it('waits for a client that reads slowly, and loses nothing', async () => {
    const big = Buffer.alloc(8 * 1024 * 1024, 'abcdefg')
    await start({ upstream: (_request, _body, response) => response.end(big) })
    const answer = await fixture.send('/openai/v1/files', { headers: KEY })
    expect(answer.body.equals(big)).toBe(true)
  })

  it('does not read on for a client that does not read', async () => {
    const size = 64 * 1024 * 1024
    let sent = () => 0
    await start({
      upstream: ({ socket }, _body, response) => {
        const before = socket.bytesWritten
        sent = () => socket.bytesWritten - before - response.writableLength
        const write = () => {
          while (socket.bytesWritten - before < size && response.write(Buffer.alloc(65_536)));
        }
        response.on('drain', write)
        write()
      },
    })
    const client = connect(fixture.gateway.port, '127.0.0.1').pause()
    client.on('error', () => {})
    client.write(`POST /openai/v1 HTTP/1.1\r\nhost: x\r\napikey: ${KEY.apikey}\r\ncontent-length: 0\r\n\r\n`)
    let last = 0
    let still = 0
    await waitUntil(async () => {
      still = sent() > 0 && sent() === last ? still + 1 : 0
      last = sent()
      return still === 5
    })
    expect(last).toBeLessThan(size / 2)
    client.destroy()
  })

  it('the longest prefix wins, and what is left always begins with a slash', async () => {
    const route = (name: string, path: string) => ({ name, paths: [path] })
    await start({
      kongYml: JSON.stringify({
        _format_version: '3.0',
        services: [
          { name: 'a', url: 'http://127.0.0.1:9500/base', routes: [route('short', '/a'), route('long', '/a/b')] },
        ],
      }),
    })
    await fixture.send('/a/b/c')
    await fixture.send('/abc?q=/a')
    await fixture.send('/a')
    expect(fixture.upstreamRequests.map(({ url }) => url)).toEqual(['/base/c', '/base/bc?q=/a', '/base/'])
    expect(fixture.accessLog().map(({ route }) => (route as { name: string }).name)).toEqual(['long', 'short', 'short'])
  })

  it('HEAD and an answer without a body', async () => {
    await start({ upstream: (_request, _body, response) => response.writeHead(204).end() })
    expect(await fixture.send('/openai/v1', { headers: KEY })).toMatchObject({ status: 204, broken: false })
    expect(await fixture.send('/openai/v1', { headers: KEY, method: 'HEAD' })).toMatchObject({ status: 204 })
  })
})

describe('Kong’s own answers', () => {
  const kongSays = (message: string, requestId: unknown) =>
    `{\n  "message":"${message}",\n  "request_id":"${requestId}"\n}`

  it.each([
    ['no key', '/openai/v1', {}, 401, 'No API key found in request'],
    ['a wrong key', '/openai/v1', { apikey: 'nobody' }, 401, 'Unauthorized'],
    ['two keys', '/openai/v1', { apikey: ['alice-demo-key', 'bob-demo-key'] }, 401, 'Duplicate API key found'],
    ['no route', '/nowhere', KEY, 404, 'no Route matched with those values'],
  ])('%s', async (_name, path, headers, status, message) => {
    await start()
    const answer = await fixture.send(path, { headers })
    expect(answer.status).toBe(status)
    expect(answer.body.toString()).toBe(kongSays(message, answer.headers['x-kong-request-id']))
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      server: 'kong/3.9.3',
      ...(status === 401 && { 'www-authenticate': 'Key' }),
    })
    expect(fixture.upstreamRequests).toEqual([])
  })

  it('the key may stand in the query, and does not reach the upstream', async () => {
    await start()
    expect((await fixture.send('/openai/v1?a=1&apikey=alice-demo-key')).status).toBe(200)
    expect(fixture.upstreamRequests[0]!.url).toBe('/v1?a=1')
  })

  it('the upstream is gone: 502 after its retries', async () => {
    await start({ gateway: { upstreamOverride: { '127.0.0.1:9500': '127.0.0.1:1' } } })
    const answer = await fixture.send('/openai/v1', { headers: KEY })
    expect(answer.status).toBe(502)
    expect(answer.body.toString()).toBe(
      kongSays('An invalid response was received from the upstream server', answer.headers['x-kong-request-id']),
    )
    const { document } = await fixture.only()
    expect(document).toMatchObject({ source: 'kong', upstream_status: Array(6).fill('502').join(', ') })
    expect(document.tries).toHaveLength(6)
    expect((document.tries as unknown[])[0]).toMatchObject({ state: 'failed', code: 502 })
  })

  it('its name is unknown: 503', async () => {
    await start({ gateway: { upstreamOverride: { '127.0.0.1:9500': 'no-such-host.invalid:80' } } })
    expect((await fixture.send('/openai/v1', { headers: KEY })).status).toBe(503)
  })

  it('the upstream is too slow: 504', async () => {
    const kongYml = projectKongYml((config: Record<string, unknown>) => {
      Object.assign((config.services as object[])[0]!, { read_timeout: 20 })
    })
    await start({ kongYml, upstream: () => {} })
    expect((await fixture.send('/openai/v1', { headers: KEY })).status).toBe(504)
  })

  it('the upstream closes without an answer: 502, not sent twice', async () => {
    await start({ upstream: (request) => request.socket.destroy() })
    expect((await fixture.send('/openai/v1', { headers: KEY })).status).toBe(502)
    expect(fixture.upstreamRequests).toHaveLength(1)
  })

  /** A handshake by hand, then one text; what came until the other side closed. */
  const upgrade = (key?: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(fixture.gateway.port, '127.0.0.1')
      let received = ''
      socket.on('data', (chunk) => {
        received += chunk
        if (received.endsWith('\r\n\r\n')) socket.write('ping')
        if (received.endsWith('pong')) socket.end()
      })
      socket.on('close', () => resolve(received))
      const lines = ['host: x', 'connection: upgrade', 'upgrade: websocket', ...(key ? [`apikey: ${key}`] : [])]
      socket.write(`GET /openai/v1/realtime?model=m HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    })

  it('an upgrade passes after the handshake, is logged, and is captured as one that nobody read', async () => {
    await start()
    fixture.upstream.on('upgrade', (request, socket) => {
      expect(request.url).toBe('/v1/realtime?model=m')
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n')
      socket.on('data', (chunk: Buffer) => socket.write(chunk.toString().replace('ping', 'pong')))
      socket.on('end', () => socket.end())
      socket.on('error', () => {})
    })
    expect(await upgrade('alice-demo-key')).toMatch(/^HTTP\/1\.1 101 [\s\S]*pong$/)
    const { document, capture } = await fixture.only()
    expect(document).toMatchObject({ response: { status: 101 }, consumer: { username: 'alice' } })
    expect(capture).toMatchObject({ sequence: 1, upgrade: 'websocket', log: { response: { status: 101 } } })
  })

  it('an upgrade without a key is refused, and nobody behind it sees it', async () => {
    await start()
    expect(await upgrade()).toMatch(/^HTTP\/1\.1 401 [\s\S]*No API key found/)
    expect((await fixture.only()).capture).toMatchObject({ upgrade: 'websocket', log: { response: { status: 401 } } })
    expect(fixture.upstreamRequests).toEqual([])
  })
})

describe('an answer that breaks off', () => {
  it('in the upstream: the client sees that the end is missing', async () => {
    await start({
      upstream: (_request, _body, response) => {
        response.write('data: 1\n\n')
        setImmediate(() => response.destroy())
      },
    })
    expect(await fixture.send('/openai/v1', { headers: KEY })).toMatchObject({ status: 200, broken: true })
    const { document, capture } = await fixture.only()
    expect(document).toMatchObject({ response: { status: 200 }, upstream_status: '200' })
    expect(capture).toMatchObject({ response_complete: false })
    expect(fixture.accessLog()).toMatchObject([{ response: { status: 200 }, upstream_status: '200' }])
  })

  it('by the client, after bytes: Kong keeps the status that the client was told; the upstream is stopped', async () => {
    let stopped = false
    await start({
      upstream: (_request, _body, response) => {
        response.on('close', () => {
          stopped = true
        })
        response.write('data: 1\n\n')
      },
    })
    const answer = await fixture.send('/openai/v1', { headers: KEY, onChunk: () => true })
    expect(answer.broken).toBe(true)
    await waitUntil(async () => stopped)
    const { document, capture } = await fixture.only()
    expect(document).toMatchObject({ response: { status: 200 }, upstream_status: '200', source: 'upstream' })
    expect(capture).toMatchObject({
      response_complete: false,
      response_body: Buffer.from('data: 1\n\n').toString('base64'),
    })
    expect(fixture.accessLog()).toMatchObject([{ response: { status: 200 }, upstream_status: '200' }])
  })

  it('by the client, before any byte: 499', async () => {
    let stopped = false
    await start({
      upstream: (_request, _body, response) => {
        response.on('close', () => {
          stopped = true
        })
      },
    })
    const sent = fixture.send('/openai/v1', {
      headers: KEY,
      onSent: (request) => {
        void waitUntil(async () => fixture.upstreamRequests.length === 1).then(() => request.destroy())
      },
    })
    await expect(sent).rejects.toThrow(/socket hang up/)
    await waitUntil(async () => stopped)
    const { document, capture } = await fixture.only()
    expect(document).toMatchObject({ response: { status: 499 } })
    expect(capture).toMatchObject({ log: { response: { status: 499 } }, response_complete: false, response_bytes: 0 })
    expect(fixture.accessLog()).toMatchObject([{ response: { status: 499 }, route: { name: 'openai' } }])
  })

  it('by the client, in the middle of its own body: 499, and the plugins learn of it', async () => {
    await start()
    const sent = fixture.send('/openai/v1', {
      headers: { ...KEY, 'content-length': '1000' },
      body: 'only this',
      onSent: (request) => {
        void waitUntil(async () => fixture.gateway.stats().requests === 1).then(() => request.destroy())
      },
    })
    await expect(sent).rejects.toThrow()
    const { capture } = await fixture.only()
    expect(capture).toMatchObject({ log: { response: { status: 499 } }, request_error: 'client disconnected' })
    expect(fixture.upstreamRequests).toEqual([])
  })
})

describe('the plugin server never matters to a client', () => {
  it.each(['/nowhere/js.sock', undefined])('socket %s', async (pluginServerSocket) => {
    await start({ gateway: { pluginServerSocket: pluginServerSocket! } })
    for (let n = 0; n < 3; n++) expect((await fixture.send('/openai/v1', { headers: KEY })).status).toBe(200)
    await fixture.gateway.idle()
    expect(fixture.gateway.stats()).toEqual({
      requests: 3,
      eventsSent: 0,
      eventsLost: pluginServerSocket === undefined ? 0 : 3,
      eventsRunning: 0,
    })
  })

  it('the configuration that it gets is that of kong.yml, with what was merged over it', async () => {
    await start({ gateway: { pluginConfig: { intake_token: 'merged' } } })
    await fixture.send('/plain/v1', { headers: KEY })
    const { plugin, capture } = await fixture.only()
    expect(JSON.parse(plugin)).toMatchObject({
      source: 'log',
      content: 'on',
      intake_token: 'merged',
      __plugin_id: expect.any(String),
      route_id: expect.any(String),
    })
    expect(capture).toBeUndefined()
  })
})

describe('access log', () => {
  it('is the log document of each request, with all headers of the answer', async () => {
    await start({
      upstream: (_request, _body, response) => {
        response.writeHead(200, { 'x-mock-usage': '{"input":3}', 'X-Cache-Status': 'Hit', 'x-other': '1' })
        response.end('{}')
      },
    })
    const answer = await fixture.send('/cached/v1', { headers: KEY, body: '{"a":1}' })
    const { document } = await fixture.only()
    expect(fixture.accessLog()).toEqual([document])
    expect(document.response).toMatchObject({
      status: 200,
      headers: { ...answer.headers, 'x-mock-usage': '{"input":3}', 'x-cache-status': 'Hit', 'x-other': '1' },
    })
    expect(document.consumer).toMatchObject({ username: 'alice', tags: ['tenant:blue'] })
  })

  it('has a line of what no plugin sees', async () => {
    await start()
    await fixture.send('/openai/v1')
    await fixture.send('/nowhere')
    await fixture.gateway.idle()
    const [refused, lost] = fixture.accessLog()
    expect(refused).toMatchObject({ route: { name: 'openai' }, response: { status: 401 }, upstream_status: '' })
    expect(refused!.consumer).toBeUndefined()
    expect(lost).toMatchObject({ response: { status: 404 } })
    expect(lost!.route).toBeUndefined()
    expect(lost!.tries).toBeUndefined()
  })

  it('keeps no credential', async () => {
    await start({
      upstream: (_request, _body, response) => response.writeHead(200, { 'set-cookie': ['secret', 'secret'] }).end(),
    })
    const names = ['authorization', 'proxy-authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'cookie']
    await fixture.send('/openai/v1?key=secret&apikey=alice-demo-key', {
      headers: Object.fromEntries(names.map((name) => [name, 'secret'])),
    })
    await fixture.gateway.idle()
    const [line] = fixture.accessLog()
    expect(line).toMatchObject({ consumer: { username: 'alice' }, request: { uri: '/openai/v1' }, upstream_uri: '/v1' })
    expect((line!.request as { headers: object }).headers).toMatchObject(
      Object.fromEntries(names.map((name) => [name, 'REDACTED'])),
    )
    expect(JSON.stringify(line)).not.toMatch(/secret|demo-key/)
  })
})
