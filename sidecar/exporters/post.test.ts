import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createNetServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { secretSchema } from '../secret.ts'
import { CONNECTION_REASONS, causeOf } from './causes.ts'
import { makePoster, resolveHeaders } from './post.ts'

const never = new AbortController().signal
const cleanUp: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanUp.splice(0)) await clean()
})

async function serverOf(handle: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void) {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    handle(request, response, Buffer.concat(chunks))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/door`
}
function posterOf(timeoutMs = 120_000) {
  const poster = makePoster(timeoutMs)
  cleanUp.unshift(() => poster.close())
  return poster
}
const push = (url: string, more: { gzip?: boolean; headers?: Record<string, string> } = {}) => ({
  url,
  headers: {},
  body: 'x'.repeat(5000),
  gzip: false,
  ...more,
})

const answered = (url: string, status: number) => `${new URL(url).host} answered ${status}`

describe('post', () => {
  it('sends the body, compressed where asked', async () => {
    const seen: { encoding: string | undefined; own: unknown; body: Buffer }[] = []
    const url = await serverOf((request, response, body) => {
      seen.push({ encoding: request.headers['content-encoding'], own: request.headers['x-own'], body })
      response.end('done')
    })
    const poster = posterOf()
    const headers = { 'x-own': 'one' }
    expect(await poster.post(push(url, { headers }), never)).toEqual({ ok: Buffer.from('done') })
    expect(await poster.post(push(url, { headers, gzip: true }), never)).toEqual({ ok: Buffer.from('done') })
    expect(seen.map(({ encoding, own }) => [encoding, own])).toEqual([
      [undefined, 'one'],
      ['gzip', 'one'],
    ])
    expect(seen[1]!.body.length).toBeLessThan(200)
    expect(gunzipSync(seen[1]!.body)).toEqual(seen[0]!.body)
  })

  it('keeps its connections: a handful for any number of pushes', async () => {
    const ports = new Set<number | undefined>()
    const url = await serverOf((request, response) => {
      ports.add(request.socket.remotePort)
      response.end()
    })
    const poster = posterOf()
    for (let n = 0; n < 20; n++) await poster.post(push(url), never)
    expect(ports.size).toBeLessThanOrEqual(4)
  })

  it('reads no more of an answer than it needs, and still knows its status', async () => {
    const statuses = [200, 503, 400]
    const url = await serverOf((_, response) => {
      response.writeHead(statuses.shift()!)
      response.end(Buffer.alloc(8 * 1024 * 1024))
    })
    const poster = posterOf()
    const taken = await poster.post(push(url), never)
    expect('ok' in taken && taken.ok.length).toBeLessThan(256 * 1024)
    expect(await poster.post(push(url), never)).toEqual({ retry: 'http_503', cause: answered(url, 503) })
    expect(await poster.post(push(url), never)).toEqual({ drop: 'http_400', cause: answered(url, 400) })
  })

  it('an answer that never ends is a timeout', async () => {
    const url = await serverOf((_, response) => {
      response.writeHead(200)
      response.write('a')
    })
    expect(await posterOf(100).post(push(url), never)).toEqual({
      retry: 'timeout',
      cause: `${new URL(url).host} gave no answer within 100 ms`,
    })
  })

  it('Retry-After: seconds or an HTTP date; what is neither, or past, is left out', async () => {
    const inAnHour = new Date(Date.now() + 3_600_000).toUTCString()
    const headers = ['7', inAnHour, 'soon', '-5', new Date(0).toUTCString(), '']
    const url = await serverOf((_, response) => response.writeHead(429, { 'retry-after': headers.shift()! }).end())
    const poster = posterOf()
    expect(await poster.post(push(url), never)).toEqual({
      retry: 'http_429',
      cause: answered(url, 429),
      afterMs: 7000,
    })
    const asked = Date.now()
    const dated = await poster.post(push(url), never)
    expect('afterMs' in dated && dated.afterMs).toBeGreaterThanOrEqual(Date.parse(inAnHour) - Date.now())
    expect('afterMs' in dated && dated.afterMs).toBeLessThanOrEqual(Date.parse(inAnHour) - asked)
    for (const _ of [1, 2, 3, 4])
      expect(await poster.post(push(url), never)).toEqual({ retry: 'http_429', cause: answered(url, 429) })
  })

  it('statuses that HTTP does not register are told by their class: the list of reasons is closed', async () => {
    const statuses = [599, 299, 499, 418]
    const url = await serverOf((_, response) => response.writeHead(statuses.shift()!).end())
    const poster = posterOf()
    expect(await poster.post(push(url), never)).toMatchObject({ retry: 'http_5xx' })
    expect(await poster.post(push(url), never)).toMatchObject({ ok: expect.anything() })
    expect(await poster.post(push(url), never)).toMatchObject({ drop: 'http_4xx' })
    expect(await poster.post(push(url), never)).toMatchObject({ drop: 'http_418' })
  })
})

describe('why no answer came', () => {
  async function listening(server: Server) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const sockets = new Set<Socket>()
    server.on('connection', (socket: Socket) => sockets.add(socket))
    cleanUp.push(() => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(resolve))
    })
    return `127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const closedPort = async () => {
    const server = createNetServer()
    const address = await listening(server)
    await cleanUp.pop()!()
    return address
  }
  const refuse = (url: string) => posterOf().post(push(url), never)

  it('nothing listens: host, port and code, and nothing else of the address', async () => {
    const address = await closedPort()
    expect(await refuse(`http://user:hunter2@${address}/path?key=hunter3`)).toEqual({
      retry: 'refused',
      cause: `${address}: nothing listens there (ECONNREFUSED)`,
    })
  })

  it('no such host', async () => {
    // Reserved: RFC 6761. A machine without a name server says so in its own way.
    const answer = await refuse('http://no-such-host.invalid:4318/v1/traces')
    expect(answer).toMatchObject({
      retry: 'dns',
      cause: expect.stringMatching(/^no-such-host\.invalid:4318: .*\(E\w+\)$/),
    })
  })

  it('no HTTP', async () => {
    const address = await listening(createNetServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')))
    expect(await refuse(`http://${address}`)).toMatchObject({
      retry: 'protocol',
      cause: expect.stringContaining(`${address}: its answer is not HTTP`),
    })
  })

  it('broken off before an answer, and in the middle of one', async () => {
    const before = await listening(createNetServer((socket) => socket.once('data', () => socket.destroy())))
    expect(await refuse(`http://${before}`)).toMatchObject({ retry: 'reset', cause: expect.stringContaining(before) })
    const within = await serverOf((_, response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('half', () => response.destroy())
    })
    expect(await refuse(within)).toMatchObject({ retry: 'reset' })
  })

  it('https to a port that does not speak it', async () => {
    const ssh = await listening(createNetServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')))
    expect(await refuse(`https://${ssh}`)).toMatchObject({ retry: 'tls', cause: expect.stringContaining('speak TLS') })
    const http = new URL(await serverOf((_, response) => response.end())).host
    expect(await refuse(`https://${http}`)).toMatchObject({ retry: 'tls', cause: expect.stringContaining('speak TLS') })
  })

  describe('certificates', () => {
    const folder = mkdtempSync(join(tmpdir(), 'certificates-'))
    afterAll(() => rmSync(folder, { recursive: true }))
    const make = (name: string, ...more: string[]) => {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
      execFileSync(
        'openssl',
        ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key]
          .concat(['-out', cert, '-subj', '/CN=wrong.example'])
          .concat(more),
        { stdio: 'ignore' },
      )
      return { key: readFileSync(key), cert: readFileSync(cert) }
    }

    it('self-signed', async () => {
      const server = createTlsServer(make('self-signed', '-days', '1'), (_, response) => response.end())
      const address = await listening(server)
      expect(await refuse(`https://${address}`)).toEqual({
        retry: 'tls',
        cause: `${address}: its certificate is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)`,
      })
    })

    it.each([
      ['CERT_HAS_EXPIRED', 'has expired'],
      ['ERR_TLS_CERT_ALTNAME_INVALID', 'for another host'],
      ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'authority'],
      ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'handshake'],
      ['CERT_REVOKED', 'handshake'],
    ])('%s', (code, text) => {
      const error = Object.assign(new Error('Bearer hunter2'), { code })
      expect(causeOf(error, 'host:443')).toEqual({
        retry: 'tls',
        cause: expect.stringMatching(`^host:443: .*${text}.*${code}`),
      })
    })
  })

  it.each([
    [{ code: 'UND_ERR_CONNECT_TIMEOUT' }, 'unreachable'],
    [{ code: 'EAI_AGAIN' }, 'dns'],
    [{ message: 'fetch failed', cause: { code: 'ECONNRESET' } }, 'reset'],
    [{ errors: [{ code: 'ECONNREFUSED' }, { code: 'EHOSTUNREACH' }] }, 'refused'],
    [{ code: 'HPE_INVALID_CONSTANT' }, 'protocol'],
    [{ code: 'something secret' }, 'connection'],
    [new Error('Bearer hunter2'), 'connection'],
    ['text', 'connection'],
    [undefined, 'connection'],
  ])('%j is %s', (error, reason) => {
    const answer = causeOf(error, 'host:1')
    expect(answer.retry).toBe(reason)
    expect(answer.cause).not.toMatch(/secret|hunter2/)
  })

  it('any error has a reason of the closed list, and tells nothing but a code', () => {
    fc.assert(
      fc.property(fc.anything(), (error) => {
        const { retry, cause } = causeOf(error, 'h:1')
        expect(CONNECTION_REASONS).toContain(retry)
        expect(cause).toMatch(/^h:1: [^()]*( \([A-Z][A-Z0-9_]*\))?$/)
      }),
    )
  })
})

describe('headers of the configuration', () => {
  const of = (headers: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, secretSchema.parse(value)]))

  it('are revealed, names in lower case', () => {
    expect(resolveHeaders(of({ Authorization: { env: 'A' }, 'X-Own': 'b' }), { A: 'Bearer 1' })).toEqual({
      authorization: 'Bearer 1',
      'x-own': 'b',
    })
  })

  it.each([[{ 'x-key': 'hunter2\n' }], [{ 'x-key': 'hunter2 \u4e2d' }], [{ 'x key': 'hunter2' }]])(
    'an error at the start where HTTP cannot carry it, without the value: %j',
    (headers) => {
      let message = ''
      try {
        resolveHeaders(of(headers), {})
      } catch (error) {
        message = (error as Error).message
      }
      expect(message).toMatch(/x.key/)
      expect(message).not.toContain('hunter2')
    },
  )
})
