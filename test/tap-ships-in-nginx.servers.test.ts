import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest, type RequestListener, type Server } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { type Nginx, startNginx } from '../dev/nginx/nginx.ts'
import { seededRandom } from '../dev/seeded-random.ts'
import { binariesPresent } from '../dev/servers/binary.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { type FakeSidecar, startFakeSidecar } from '../plugin/testing/fake-sidecar.ts'
import { type Capture, captureSchema } from '../sidecar/capture.ts'

/**
 * `ship: tap`: the tap's chunks, unchanged, in a real nginx with ngx_lua, ship by themselves. What the plugin's own tests say of
 * its shipper is said here of the worker's queue: nothing is lost that is not told, and nothing of it is felt.
 */
const present = binariesPresent('nginx')

const KB = 1024
const random = seededRandom(20_261_128)
const bytes = (length: number) => Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)))
const MEGABYTE = bytes(KB * KB)
const decoded = (base64: string | null | undefined) => Buffer.from(base64 ?? '', 'base64')
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

describe.skipIf(!present)('the tap that ships by itself, in nginx', () => {
  const cleanUps: (() => unknown)[] = []
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })
  let answer: RequestListener = (_request, response) => response.end('ok')
  let received = Buffer.alloc(0)

  async function begin(
    options: {
      change?: (log: string) => string
      content?: 'on' | 'off'
      /** What the tap is told in the place of the sidecar's own address. */
      through?: (fake: FakeSidecar) => Promise<string>
      http?: string
    } = {},
  ) {
    answer = (_request, response) => response.end('ok')
    const directory = mkdtempSync(join(tmpdir(), 'tap-ships-'))
    cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
    const fake = await startFakeSidecar()
    cleanUps.push(() => fake.close())
    const upstream: Server = createServer(async (request, response) => {
      const parts: Buffer[] = []
      try {
        for await (const part of request) parts.push(part as Buffer)
      } catch {}
      received = Buffer.concat(parts)
      answer(request, response)
    })
    cleanUps.push(() => {
      upstream.closeAllConnections()
      upstream.close()
    })
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    const { content, change } = options
    const nginx = await startNginx({
      directory: join(directory, 'nginx'),
      upstreamPort: (upstream.address() as AddressInfo).port,
      sidecar: {
        url: (await options.through?.(fake)) ?? fake.url,
        token: 't-1',
        ...(content !== undefined && { content }),
      },
      ship: 'tap',
      ...(change !== undefined && { change }),
      ...(options.http !== undefined && { http: options.http }),
    })
    cleanUps.push(() => nginx.close())
    return { fake, nginx }
  }

  function send(nginx: Nginx, path: string, body: Buffer | string = '', headers: Record<string, string> = {}) {
    return new Promise<{ status: number; body: Buffer }>((resolve, reject) => {
      const request = httpRequest(`${nginx.url}${path}`, { method: 'POST', headers }, (response) => {
        const parts: Buffer[] = []
        response.on('data', (part) => parts.push(part))
        response.on('error', () => {})
        response.on('close', () => resolve({ status: response.statusCode!, body: Buffer.concat(parts) }))
      })
      request.on('error', reject)
      request.end(body)
    })
  }
  const captures = (fake: FakeSidecar) => fake.stored().map((capture) => captureSchema.parse(capture))
  const paths = (fake: FakeSidecar) => captures(fake).map(({ log }) => log.request.uri)
  const numbers = (fake: FakeSidecar) => [...new Set(captures(fake).map(({ sequence }) => sequence!))]
  const lost = (fake: FakeSidecar, reason?: string) =>
    fake
      .lost()
      .filter(({ tombstone }) => reason === undefined || tombstone === reason)
      .flatMap(({ sequence, count }) => upTo(count).map((step) => sequence + step - 1))
  const accounted = (fake: FakeSidecar) => [...numbers(fake), ...lost(fake)].toSorted((a, b) => a - b)

  async function captureOf(fake: FakeSidecar, path: string): Promise<Capture> {
    await waitUntil(async () => paths(fake).includes(path))
    return captures(fake).find(({ log }) => log.request.uri === path)!
  }

  it('delivers every byte of request and answer, bounded, in order, with the token, over one connection', async () => {
    const { fake, nginx } = await begin({ content: 'on' })
    const bodies: [string, Buffer, (response: Parameters<RequestListener>[1]) => void, Buffer][] = [
      [
        'small',
        MEGABYTE.subarray(0, 50),
        (response) => response.end(MEGABYTE.subarray(0, 900)),
        MEGABYTE.subarray(0, 900),
      ],
      ['file', MEGABYTE.subarray(0, 100 * KB), (response) => response.end('ok'), Buffer.from('ok')],
      ['nothing', Buffer.alloc(0), (response) => response.writeHead(204).end(), Buffer.alloc(0)],
      [
        'nearly cut',
        Buffer.from('{}'),
        (response) => response.end(MEGABYTE.subarray(0, 256 * KB)),
        MEGABYTE.subarray(0, 256 * KB),
      ],
    ]
    for (const [name, body, give, expected] of bodies) {
      answer = (_request, response) => give(response)
      expect((await send(nginx, `/tapped/${encodeURI(name)}`, body)).body.equals(expected)).toBe(true)
      expect(received.equals(body)).toBe(true)
      const capture = await captureOf(fake, `/tapped/${encodeURI(name)}`)
      expect(decoded(capture.request_body).equals(body), name).toBe(true)
      expect(decoded(capture.response_body).equals(expected), name).toBe(true)
      expect(capture).toMatchObject({
        content: 'on',
        source: 'tap',
        response_complete: true,
        request_bytes: body.length,
      })
      expect(capture.response_tail).toBeUndefined()
    }
    answer = (_request, response) => response.end(MEGABYTE)
    await send(nginx, '/tapped/long', MEGABYTE)
    const long = await captureOf(fake, '/tapped/long')
    expect(decoded(long.response_body).equals(MEGABYTE.subarray(0, 192 * KB))).toBe(true)
    expect(decoded(long.response_tail).equals(MEGABYTE.subarray(-64 * KB))).toBe(true)
    expect(long.request_error).toContain('too big')
    const text = `${'usage '.repeat(30_000)}${MEGABYTE.toString('latin1', 0, 100_000)}`
    answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text))
    await send(nginx, '/tapped/gzip')
    expect(gunzipSync(decoded((await captureOf(fake, '/tapped/gzip')).response_body)).toString()).toBe(text)

    expect(captures(fake).map(({ sequence }) => sequence)).toEqual(upTo(6))
    expect(fake.batches.every(({ authorization }) => authorization === 'Bearer t-1')).toBe(true)
    expect(fake.batches.at(-1)!.batch.acknowledged).toEqual([[captures(fake)[0]!.epoch, [[1, 5]]]])
    expect(fake.connections()).toBe(1)
    expect(fake.batches[0]!.batch.plugin.instance).toBe(captures(fake)[0]!.epoch)
  })

  it('many at once: each number once, in batches', async () => {
    const { fake, nginx } = await begin()
    const many = 400
    await Promise.all(upTo(many).map((n) => send(nginx, `/tapped/many-${n}`, 'x'.repeat(n * 20))))
    await waitUntil(async () => captures(fake).length === many)
    expect(numbers(fake).toSorted((a, b) => a - b)).toEqual(upTo(many))
    expect(fake.batches.length).toBeLessThan(many / 2)
    expect(new Set(paths(fake)).size).toBe(many)
    expect(captures(fake).every(({ content }) => content === 'off')).toBe(true)
  })

  it('over HTTP/2, chunked, unbuffered, and of 11 MB: the upstream gets each byte, the sidecar what it may', async () => {
    const { fake, nginx } = await begin({ content: 'on' })
    const body = MEGABYTE.subarray(0, 60 * KB)
    const session = connectHttp2(nginx.http2Url)
    const stream = session.request({ ':method': 'POST', ':path': '/tapped/h2' })
    stream.end(body)
    const status = await new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])))
    stream.resume()
    await new Promise((resolve) => stream.on('close', resolve))
    session.close()
    expect([status, received.equals(body)]).toEqual([200, true])
    expect(decoded((await captureOf(fake, '/tapped/h2')).request_body).equals(body)).toBe(true)

    for (const path of ['/tapped/chunked', '/tapped/unbuffered/x']) {
      await send(nginx, path, body, { 'transfer-encoding': 'chunked' })
      expect(received.equals(body)).toBe(true)
      expect(decoded((await captureOf(fake, path)).request_body).equals(body), path).toBe(true)
    }
    const large = Buffer.concat(Array.from({ length: 11 }, () => MEGABYTE))
    answer = (_request, response) => response.end(large)
    const { body: returned } = await send(nginx, '/tapped/large', large)
    expect([received.equals(large), returned.equals(large)]).toEqual([true, true])
    expect(await captureOf(fake, '/tapped/large')).toMatchObject({
      request_error: expect.stringContaining('too big'),
      request_bytes: large.length,
      response_bytes: large.length,
      response_complete: true,
    })
    expect(accounted(fake)).toEqual(upTo(4))
  })

  it('over TLS, to a sidecar whose certificate is known, and to no other', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tap-tls-'))
    cleanUps.push(() => rmSync(directory, { recursive: true, force: true }))
    const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=DNS:127.0.0.1']
    const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate]
    expect(spawnSync('openssl', [...made, ...subject]).status).toBe(0)
    let attempts = 0
    const through = async (fake: FakeSidecar) => {
      const door = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (socket) => {
        const inner = connect(Number(new URL(fake.url).port), '127.0.0.1')
        inner.on('error', () => socket.destroy())
        socket.on('error', () => inner.destroy())
        socket.pipe(inner).pipe(socket)
      })
      door.on('connection', () => attempts++)
      cleanUps.push(() => door.close())
      await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
      return `https://127.0.0.1:${(door.address() as AddressInfo).port}`
    }
    const unknown = await begin({
      through,
      change: (log) => log.replace('BACKOFF_MOST, REFUSED = 0.1, 5', 'BACKOFF_MOST, REFUSED = 0.1, 0.2'),
    })
    for (const n of upTo(3)) await send(unknown.nginx, `/tapped/x-${n}`)
    await waitUntil(async () => attempts > 2)
    expect(unknown.fake.requests).toBe(0)

    const known = await begin({ through, http: `lua_ssl_trusted_certificate ${certificate}; lua_ssl_verify_depth 2;` })
    for (const n of upTo(3)) await send(known.nginx, `/tapped/x-${n}`)
    await waitUntil(async () => numbers(known.fake).length === 3)
    expect(known.fake.batches[0]!.authorization).toBe('Bearer t-1')
  })

  it('uploads that clients break off are shipped too, and are no gap', async () => {
    const { fake, nginx } = await begin()
    for (let n = 0; n < 5; n++) {
      const socket = connect(nginx.port, '127.0.0.1')
      socket.on('error', () => {})
      await new Promise((resolve) => socket.once('connect', resolve))
      const head = `POST /tapped/broken-${n} HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n`
      await new Promise((resolve) => socket.write(`${head}twenty-two bytes of it`, resolve))
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (n % 2 === 0) socket.resetAndDestroy()
      else socket.destroy()
    }
    await send(nginx, '/tapped/after')
    await waitUntil(async () => captures(fake).length === 6)
    expect(accounted(fake)).toEqual(upTo(6))
    expect((await captureOf(fake, '/tapped/broken-0')).request_error).toEqual(expect.any(String))
  })

  it.each([
    ['503', { status: 503 }],
    ['401', { status: 401 }],
    ['a broken connection', 'reset' as const],
  ])('keeps and sends again after %s: clients feel nothing, nothing is lost', async (_what, behaviour) => {
    const { fake, nginx } = await begin({
      change: (log) =>
        log.replace('BACKOFF, BACKOFF_MOST, REFUSED = 0.1, 5, 5', 'BACKOFF, BACKOFF_MOST, REFUSED = 0.01, 0.1, 0.1'),
    })
    fake.behave(behaviour)
    for (const n of upTo(30)) expect((await send(nginx, `/tapped/x-${n}`)).status).toBe(200)
    await waitUntil(async () => fake.requests > 3)
    fake.behave({ status: 202 })
    await waitUntil(async () => numbers(fake).length === 30)
    expect(accounted(fake)).toEqual(upTo(30))
    expect(lost(fake)).toEqual([])
    expect(fake.batches.findLast(({ status }) => status === 202)!.batch.errors[0]).toMatchObject({
      kind: 'sidecar_away',
    })
  })

  it('sidecar away: its memory is bounded, the oldest go, and are told by number once it is back', async () => {
    const { fake, nginx } = await begin({
      change: (log) => log.replace('QUEUE_BYTES = 16777216', 'QUEUE_BYTES = 1048576'),
    })
    fake.behave({ status: 503 })
    const idle = (await nginx.state()).kilobytes
    answer = (_request, response) => response.end(bytes(20 * KB))
    const many = 200
    for (const n of upTo(many)) await send(nginx, `/tapped/x-${n}`, bytes(1000))
    // 4 MB were captured; 1 MB is kept, and what Lua needs for it.
    expect((await nginx.state()).kilobytes - idle).toBeLessThan(1600)
    fake.behave({ status: 202 })
    await waitUntil(async () => accounted(fake).length === many)
    expect(accounted(fake)).toEqual(upTo(many))
    expect(lost(fake, 'queue_full').length).toBeGreaterThan(100)
    expect(numbers(fake).at(-1)).toBe(many)
    expect(fake.lost().length).toBeLessThan(10)
  })

  it.each([
    ['hangs', 'hang' as const, 'timed_out'],
    ['is refused as too large', { status: 413 }, 'too_large'],
    ['is refused', { status: 400 }, 'rejected'],
    ['kills the sidecar', 'reset' as const, 'timed_out'],
  ])('one that %s is set aside and, as others pass, given up; the others arrive', async (_what, behaviour, reason) => {
    const { fake, nginx } = await begin({
      change: (log) =>
        log
          .replace('SEND_TIMEOUT_MS = 5000', 'SEND_TIMEOUT_MS = 150')
          .replace('BACKOFF, BACKOFF_MOST, REFUSED = 0.1, 5, 5', 'BACKOFF, BACKOFF_MOST, REFUSED = 0.01, 0.05, 0.1'),
    })
    const bad = ({ log }: Capture) => log.request.uri === '/tapped/bad'
    fake.behave((batch) => ((batch.captures as Capture[]).some(bad) ? behaviour : { status: 202 }))
    await Promise.all(upTo(20).map((n) => send(nginx, n === 7 ? '/tapped/bad' : `/tapped/x-${n}`)))
    let more = 0
    await waitUntil(async () => {
      // Other traffic, by which it is known whose fault it is.
      if (lost(fake).length === 0 && ++more % 20 === 0) await send(nginx, '/tapped/other')
      return lost(fake).length === 1
    })
    expect(lost(fake, reason)).toHaveLength(1)
    await waitUntil(async () => {
      const all = accounted(fake)
      return all.length === all.at(-1)
    })
    expect(paths(fake)).not.toContain('/tapped/bad')
    expect(new Set(accounted(fake)).size).toBe(accounted(fake).length)
  })

  it('a sidecar that takes nothing is away: nothing is given up', async () => {
    const { fake, nginx } = await begin({
      change: (log) =>
        log
          .replace('SEND_TIMEOUT_MS = 5000', 'SEND_TIMEOUT_MS = 30')
          .replace('BACKOFF, BACKOFF_MOST, REFUSED = 0.1, 5, 5', 'BACKOFF, BACKOFF_MOST, REFUSED = 0.01, 0.02, 0.1'),
    })
    fake.behave('hang')
    for (const n of upTo(4)) await send(nginx, `/tapped/x-${n}`)
    await waitUntil(async () => fake.batches.filter(({ batch }) => batch.captures.length === 1).length > 10)
    fake.behave({ status: 202 })
    await waitUntil(async () => numbers(fake).length === 4)
    expect(lost(fake)).toEqual([])
  })

  it('a reload: the old worker ships what it holds, also of streams that end after it, each epoch from 1', async () => {
    const { fake, nginx } = await begin({ change: (log) => log.replace('LINGER = 0.05', 'LINGER = 30') })
    let release: () => void = () => {}
    const hold = new Promise<void>((resolve) => {
      release = resolve
    })
    answer = async (request, response) => {
      response.write('data: 1\n\n')
      if (request.url!.includes('stream')) await hold
      response.end('data: [DONE]\n\n')
    }
    const streams = upTo(10).map((n) => send(nginx, `/tapped/stream-${n}`))
    for (const n of upTo(5)) await send(nginx, `/tapped/before-${n}`)
    expect(captures(fake)).toHaveLength(0)
    nginx.reload()
    // Its queue goes out because it ends, not because it lingered long enough.
    await waitUntil(async () => captures(fake).length >= 5)
    release()
    await Promise.all(streams)
    await waitUntil(async () => paths(fake).filter((path) => path.includes('stream')).length === 10)
    const epochs = Map.groupBy(captures(fake), ({ epoch }) => epoch)
    for (const own of epochs.values())
      expect(own.map(({ sequence }) => sequence!).toSorted((a, b) => a - b)).toEqual(upTo(own.length))
    for (const { log, response_complete } of captures(fake))
      expect([log.request.uri, response_complete]).toEqual([log.request.uri, true])
  })

  it('a client notices nothing, with an error in each call that the tap makes', async () => {
    const { fake, nginx } = await begin()
    answer = (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\ndata: 2\n\n')
    const plain = await send(nginx, '/plain/x', MEGABYTE.subarray(0, 300 * KB))
    const functions = ['get_headers', 'get_raw_body', 'now', 'serialize', 'get_id', 'pid', 'timer.at']
    for (const fault of ['', ...functions])
      expect(await send(nginx, '/tapped/fault', MEGABYTE.subarray(0, 300 * KB), { 'x-fault': fault }), fault).toEqual(
        plain,
      )
    expect(nginx.luaErrors()).toEqual([])
    await send(nginx, '/tapped/last')
    await captureOf(fake, '/tapped/last')
    await waitUntil(async () => accounted(fake).length === functions.length + 2)
    // What failed whole is told: it has a number.
    expect(accounted(fake)).toEqual(upTo(functions.length + 2))
    expect(lost(fake, 'pdk_error').length).toBeLessThanOrEqual(2)
  })
})
