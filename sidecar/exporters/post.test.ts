import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { secretSchema } from '../secret.ts'
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
    expect(await poster.post(push(url), never)).toEqual({ retry: 'http_503' })
    expect(await poster.post(push(url), never)).toEqual({ drop: 'http_400' })
  })

  it('an answer that never ends is a timeout', async () => {
    const url = await serverOf((_, response) => {
      response.writeHead(200)
      response.write('a')
    })
    expect(await posterOf(100).post(push(url), never)).toEqual({ retry: 'timeout' })
  })

  it('Retry-After: seconds or an HTTP date; what is neither, or past, is left out', async () => {
    const inAnHour = new Date(Date.now() + 3_600_000).toUTCString()
    const headers = ['7', inAnHour, 'soon', '-5', new Date(0).toUTCString(), '']
    const url = await serverOf((_, response) => response.writeHead(429, { 'retry-after': headers.shift()! }).end())
    const poster = posterOf()
    expect(await poster.post(push(url), never)).toEqual({ retry: 'http_429', afterMs: 7000 })
    const asked = Date.now()
    const dated = await poster.post(push(url), never)
    expect('afterMs' in dated && dated.afterMs).toBeGreaterThanOrEqual(Date.parse(inAnHour) - Date.now())
    expect('afterMs' in dated && dated.afterMs).toBeLessThanOrEqual(Date.parse(inAnHour) - asked)
    for (const _ of [1, 2, 3, 4]) expect(await poster.post(push(url), never)).toEqual({ retry: 'http_429' })
  })

  it('an address that cannot be one tells nothing of it', async () => {
    const answer = await posterOf().post(push('http://user:hunter2@127.0.0.1:1/'), never)
    expect(answer).toEqual({ retry: 'connection' })
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
