import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Nginx, startNginx } from '../dev/nginx/nginx.ts'
import { seededRandom } from '../dev/seeded-random.ts'
import { binariesPresent } from '../dev/servers/binary.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { type Capture, captureSchema } from '../sidecar/capture.ts'

/**
 * The tap's chunks, unchanged, in a real nginx with ngx_lua and LuaJIT, as Kong is made of; only the few functions of Kong that
 * they call are a shim's. What a fake cannot show: nginx's own filters, buffers, files, hang-ups, timers and reloads.
 */
const present = binariesPresent('nginx')

const KB = 1024
const random = seededRandom(20_261_127)
const bytes = (length: number) => Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)))
const MEGABYTE = bytes(KB * KB)
const decoded = (base64: string | null | undefined) => Buffer.from(base64 ?? '', 'base64')

describe.skipIf(!present)('the tap in nginx', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tap-in-nginx-'))
  const servers: Server[] = []
  const told: { authorization: string | undefined; total: { epoch: string; sequence: number; tap_errors: number } }[] =
    []
  let nginx: Nginx
  /** What the upstream does with the next requests. */
  let answer: RequestListener = (_request, response) => response.end('ok')
  let received = Buffer.alloc(0)

  async function serve(listener: RequestListener): Promise<number> {
    const server = createServer(listener)
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }
  const bodyOf = async (stream: IncomingMessage) => {
    const parts: Buffer[] = []
    for await (const part of stream) parts.push(part as Buffer)
    return Buffer.concat(parts)
  }
  beforeAll(async () => {
    const upstreamPort = await serve(async (request, response) => {
      received = await bodyOf(request).catch(() => Buffer.alloc(0))
      answer(request, response)
    })
    const sidecarPort = await serve(async (request, response) => {
      const total = JSON.parse((await bodyOf(request)).toString())
      told.push({ authorization: request.headers.authorization, total })
      response.writeHead(202).end('{}')
    })
    nginx = await startNginx({
      directory: join(directory, 'nginx'),
      upstreamPort,
      sidecar: { url: `http://127.0.0.1:${sidecarPort}`, token: 't-1' },
    })
  })
  afterAll(async () => {
    await nginx?.close()
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
    rmSync(directory, { recursive: true, force: true })
  })

  interface Answer {
    status: number
    headers: IncomingMessage['headers']
    body: Buffer
    broken: boolean
  }
  function send(path: string, body: Buffer | string = '', headers: Record<string, string> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(`${nginx.url}${path}`, { method: 'POST', headers }, (response) => {
        const parts: Buffer[] = []
        response.on('data', (part) => parts.push(part))
        response.on('error', () => {})
        response.on('close', () => {
          const { date: _, ...rest } = response.headers
          resolve({
            status: response.statusCode!,
            headers: rest,
            body: Buffer.concat(parts),
            broken: !response.complete,
          })
        })
      })
      request.on('error', reject)
      request.end(body)
    })
  }
  const written = (path: string) =>
    nginx
      .captures()
      .filter(({ capture }) => capture !== 'none' && (capture as unknown as Capture).log.request.uri === path)
  async function captureOf(path: string): Promise<Capture> {
    await waitUntil(async () => written(path).length === 1)
    const [{ capture, left_over }] = written(path) as [ReturnType<typeof written>[number]]
    expect(left_over).toBe(false)
    return captureSchema.parse({ ...(capture as object), content: 'on' })
  }

  it('passes a stream chunk by chunk, and keeps every byte and both times', async () => {
    const events = ['data: 1\n\n', 'data: 2\n\n', 'data: [DONE]\n\n']
    let next: (() => void) | undefined
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let at = 0
      next = () => (at < events.length - 1 ? response.write(events[at++]) : response.end(events[at++]))
      next()
    }
    // Each event is sent only when the one before it has come through nginx.
    const seen: string[] = []
    await new Promise<void>((resolve, reject) => {
      const request = httpRequest(`${nginx.url}/tapped/stream`, { method: 'POST' }, (response) => {
        response.on('data', (part: Buffer) => {
          seen.push(part.toString())
          if (seen.length < events.length) next!()
        })
        response.on('end', resolve)
      })
      request.on('error', reject)
      request.end('{}')
    })
    expect(seen).toEqual(events)
    const capture = await captureOf('/tapped/stream')
    expect(decoded(capture.response_body).toString()).toBe(events.join(''))
    expect(capture).toMatchObject({ response_complete: true, request_bytes: 2 })
    expect(capture.last_byte_at).toBeGreaterThanOrEqual(capture.first_byte_at!)
  })

  it.each([
    ['in memory', 1000],
    ['in a file', 100 * KB],
    ['at the cap', 256 * KB],
    ['over the cap', 256 * KB + 1],
  ])('a request body %s: the upstream gets each byte, the capture those that it may keep', async (name, length) => {
    answer = (_request, response) => response.end('ok')
    const body = MEGABYTE.subarray(0, length)
    const path = `/tapped/body-${length}`
    expect(await send(path, body)).toMatchObject({ status: 200, broken: false })
    expect(received.equals(body)).toBe(true)
    const capture = await captureOf(path)
    expect(capture.request_bytes).toBe(length)
    if (name === 'over the cap') expect(capture).toMatchObject({ request_error: expect.stringContaining('too big') })
    else expect(decoded(capture.request_body).equals(body)).toBe(true)
  })

  it('of a long answer keeps the first 192 KB and the last 64 KB, to the byte', async () => {
    answer = (_request, response) => response.end(MEGABYTE)
    const { body } = await send('/tapped/long')
    expect(body.equals(MEGABYTE)).toBe(true)
    const capture = await captureOf('/tapped/long')
    expect(capture).toMatchObject({ response_bytes: MEGABYTE.length, response_complete: true })
    expect(decoded(capture.response_body).equals(MEGABYTE.subarray(0, 192 * KB))).toBe(true)
    expect(decoded(capture.response_tail).equals(MEGABYTE.subarray(-64 * KB))).toBe(true)
  })

  it('of a compressed answer keeps it whole', async () => {
    const text = `${'usage '.repeat(30_000)}${MEGABYTE.toString('latin1', 0, 100_000)}`
    answer = (_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' }).end(gzipSync(text))
    await send('/tapped/gzip')
    const capture = await captureOf('/tapped/gzip')
    expect(gunzipSync(decoded(capture.response_body)).toString()).toBe(text)
    expect(capture.log.response.headers['content-encoding']).toBe('gzip')
  })

  it('of a client that hangs up keeps what came until then', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: 1\n\n')
    }
    await new Promise<void>((resolve) => {
      const request = httpRequest(`${nginx.url}/tapped/hang-up`, { method: 'POST' }, (response) => {
        response.on('error', () => {})
        response.once('data', () => {
          request.destroy()
          resolve()
        })
      })
      request.on('error', () => {})
      request.end('{}')
    })
    const capture = await captureOf('/tapped/hang-up')
    expect(capture.response_complete).toBe(false)
    expect(decoded(capture.response_body).toString()).toBe('data: 1\n\n')
  })

  it('an upstream that is gone, or breaks off, is told as nginx tells it', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half')
      setImmediate(() => response.destroy())
    }
    expect(await send('/tapped/broken')).toMatchObject({ status: 200, broken: true })
    const capture = await captureOf('/tapped/broken')
    expect(capture).toMatchObject({ response_complete: false, response_bytes: 4 })
  })

  describe('a client notices nothing', () => {
    const cases: [string, RequestListener][] = [
      [
        'a stream',
        (_q, response) =>
          response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\ndata: 2\n\n'),
      ],
      ['a long answer', (_q, response) => response.end(MEGABYTE)],
      ['a refusal', (_q, response) => response.writeHead(429, { 'retry-after': '7' }).end('{"error":{}}')],
      ['no body', (_q, response) => response.writeHead(204).end()],
    ]
    const functions = ['get_headers', 'get_raw_body', 'now', 'serialize', 'encode_base64', 'get_id', 'pid', 'timer.at']
    const summed = (answer: Answer) => ({ ...answer, body: createHash('sha256').update(answer.body).digest('hex') })
    it.each(cases)(
      '%s is the same byte for byte without the tap, with it, and with an error in each call that it makes',
      async (_name, listener) => {
        answer = listener
        const body = MEGABYTE.subarray(0, 300 * KB)
        const plain = summed(await send('/plain/x', body))
        for (const fault of ['', ...functions]) {
          expect(summed(await send('/tapped/fault', body, { 'x-fault': fault })), fault).toEqual(plain)
          expect(received.equals(body), fault).toBe(true)
        }
        expect(nginx.luaErrors()).toEqual([])
      },
    )

    it('an error that nobody catches reaches it: else the test above could not fail', async () => {
      answer = (_request, response) => response.end('ok')
      expect(await send('/tapped/uncaught', '', { 'x-fault': 'hook access' })).toMatchObject({ status: 500 })
      await expect(send('/tapped/uncaught', '', { 'x-fault': 'hook body_filter' })).rejects.toThrow('hang up')
    })
  })

  it('numbers captures without a gap, whatever runs beside, and tells the total after the last one', async () => {
    answer = (_request, response) => response.end('ok')
    const many = 300
    await Promise.all(Array.from({ length: many }, (_, n) => send(`/tapped/many-${n}`, 'x'.repeat(n * 50))))
    const of = () => nginx.captures().filter(({ capture }) => capture !== 'none') as unknown as { capture: Capture }[]
    await waitUntil(async () => of().filter(({ capture }) => /many-/.test(capture.log.request.uri)).length === many)
    const { epoch } = of().at(-1)!.capture
    const sequences = of().flatMap(({ capture }) => (capture.epoch === epoch ? [capture.sequence!] : []))
    expect(new Set(sequences).size).toBe(sequences.length)
    const highest = Math.max(...sequences)
    await waitUntil(async () => told.at(-1)?.total.sequence === highest)
    expect(told.at(-1)).toMatchObject({ authorization: 'Bearer t-1', total: { epoch, node: 'node-of-nginx' } })
    // What the faults above took has used no number.
    expect(highest).toBe(sequences.length)
  })

  it('picks what it needs from Kong’s own keys, and asks the serializer no more once they were compared', async () => {
    answer = (_request, response) => response.end('ok')
    const { serialized } = await nginx.state()
    for (let n = 0; n < 20; n++) await send(`/tapped/picked-${n}`, '{}')
    await waitUntil(async () => written('/tapped/picked-19').length === 1)
    expect((await nginx.state()).serialized).toBe(serialized)
    const [first, last] = [await captureOf('/tapped/picked-0'), await captureOf('/tapped/picked-19')]
    for (const { log } of [first, last])
      expect(log).toMatchObject({
        workspace: 'w',
        workspace_name: 'default',
        source: 'upstream',
        upstream_status: '200',
        route: { id: 'r', name: 'tapped' },
        service: { id: 's', name: 'nginx', port: 80 },
      })
  })

  it('uploads that clients break off have no number, and are no gap', async () => {
    answer = (_request, response) => response.end('ok')
    await send('/tapped/before-uploads')
    const before = await captureOf('/tapped/before-uploads')
    for (let n = 0; n < 5; n++) {
      const socket = connect(nginx.port, '127.0.0.1')
      socket.on('error', () => {})
      await new Promise((resolve) => socket.once('connect', resolve))
      const head = `POST /tapped/broken-upload-${n} HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n`
      await new Promise((resolve) => socket.write(`${head}twenty-two bytes of it`, resolve))
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (n % 2 === 0) socket.resetAndDestroy()
      else socket.destroy()
    }
    for (let n = 0; n < 5; n++) {
      const capture = await captureOf(`/tapped/broken-upload-${n}`)
      expect(capture).toMatchObject({ request_error: expect.any(String), log: { request: { method: 'POST' } } })
      expect([capture.epoch, capture.sequence]).toEqual([undefined, undefined])
    }
    await send('/tapped/after-uploads')
    const after = await captureOf('/tapped/after-uploads')
    expect([after.epoch, after.sequence]).toEqual([before.epoch, before.sequence! + 1])
  })

  it('a request that Kong answers itself does not wait for its upload, and is numbered', async () => {
    const plain = await send('/tapped/answered', MEGABYTE.subarray(0, 1000), { 'x-answered': '401' })
    expect(plain.status).toBe(401)
    const capture = await captureOf('/tapped/answered')
    expect(capture).toMatchObject({
      request_error: expect.stringContaining('answered before'),
      sequence: expect.any(Number),
    })
    expect(capture.request_body).toBeUndefined()
  })

  it('a reload begins a new epoch, and the old one’s total is told', async () => {
    answer = (_request, response) => response.end('ok')
    await send('/tapped/before-reload')
    const before = await captureOf('/tapped/before-reload')
    nginx.reload()
    await waitUntil(async () => {
      await send('/tapped/after-reload')
      return written('/tapped/after-reload').some(
        ({ capture }) => (capture as unknown as Capture).epoch !== before.epoch,
      )
    })
    const after = written('/tapped/after-reload').map(({ capture }) => capture as unknown as Capture)
    const old = after.filter(({ epoch }) => epoch === before.epoch)
    const last = Math.max(before.sequence!, ...old.map(({ sequence }) => sequence!))
    expect(after.filter(({ epoch }) => epoch !== before.epoch).map(({ sequence }) => sequence)[0]).toBe(1)
    await waitUntil(async () => told.some(({ total }) => total.epoch === before.epoch && total.sequence === last))
  })

  it('of a result file of 100 MB keeps the sums of every line, and no more of it than of any other answer', async () => {
    // 100,000 lines of 1 KB and more, made as they are asked for; their sums beside.
    const lines = 100_000
    const expected = new Map<string, { lines: number; input: number; output: number }>()
    let sent = 0
    const text = MEGABYTE.toString('base64')
    function line(n: number): string {
      const [model, input, output] = [`claude-${n % 3}`, 1 + ((n * 7919) % 300_000), n % 211]
      const over = [272_000, 256_000, 200_000, 128_000, 100_000, 32_000].find((step) => input > step) ?? 0
      const sum = expected.get(`${model} ${over}`) ?? { lines: 0, input: 0, output: 0 }
      expected.set(`${model} ${over}`, sum)
      sum.lines++
      sum.input += input
      sum.output += output
      const said = `"usage": {"input_tokens": 9} ${text.slice((n * 37) % 1_000_000, ((n * 37) % 1_000_000) + 850 + (n % 97))}`
      return `${JSON.stringify({
        custom_id: `r${n}`,
        result: {
          type: 'succeeded',
          message: {
            model,
            content: [{ type: 'text', text: said }],
            usage: { input_tokens: input, output_tokens: output },
          },
        },
      })}\n`
    }
    const idle = (await nginx.state()).kilobytes
    let most = 0
    answer = async (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-jsonl' })
      for (let n = 0; n < lines; n += 500) {
        const part = Array.from({ length: 500 }, (_, step) => line(n + step)).join('')
        sent += part.length
        if (!response.write(part)) await once(response, 'drain')
        if (n % 10_000 === 0) most = Math.max(most, (await nginx.state()).kilobytes - idle)
      }
      response.end()
    }
    let came = 0
    await new Promise<void>((resolve, reject) => {
      const request = httpRequest(`${nginx.url}/tapped/results`, { method: 'GET' }, (response) => {
        response.on('data', (part: Buffer) => {
          came += part.length
        })
        response.on('end', resolve)
      })
      request.on('error', reject)
      request.end()
    })
    expect(came).toBe(sent)
    expect(came).toBeGreaterThan(100_000_000)
    const { usage_lines, response_bytes, response_complete } = await captureOf('/tapped/results')
    expect({ response_bytes, response_complete }).toEqual({ response_bytes: sent, response_complete: true })
    expect({ lines: usage_lines?.lines, skipped: usage_lines?.skipped }).toEqual({ lines, skipped: 0 })
    const groups = usage_lines!.groups.map(({ model, prompt_over, lines: counted, sums }) => [
      `${model} ${prompt_over}`,
      { lines: counted, input: sums.input_tokens, output: sums.output_tokens },
    ])
    expect(Object.fromEntries(groups)).toEqual(Object.fromEntries(expected))
    // Head and tail are held; beside them one chunk and one line.
    expect(most).toBeGreaterThan(192)
    expect(most).toBeLessThan(256 + 80 + 64)
  })

  it('holds at most the caps of each request that is under way', async () => {
    const streams = 20
    let release: () => void = () => {}
    const hold = new Promise<void>((resolve) => {
      release = resolve
    })
    let waiting = 0
    answer = async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      // 2 MB each, of which at most 256 KB may stay, beside 256 KB of the request.
      for (let sent = 0; sent < 2; sent++) response.write(randomBytes(MEGABYTE.length))
      waiting++
      await hold
      response.end('data: [DONE]\n\n')
    }
    const idle = (await nginx.state()).kilobytes
    let came = 0
    const all = Promise.all(
      Array.from(
        { length: streams },
        (_, n) =>
          new Promise<void>((resolve, reject) => {
            const request = httpRequest(`${nginx.url}/tapped/memory-${n}`, { method: 'POST' }, (response) => {
              response.on('data', (part: Buffer) => {
                came += part.length
              })
              response.on('end', resolve)
            })
            request.on('error', reject)
            // Lua keeps one of strings that are alike.
            request.end(randomBytes(200 * KB))
          }),
      ),
    )
    await waitUntil(async () => waiting === streams && came === streams * 2 * MEGABYTE.length)
    const held = ((await nginx.state()).kilobytes - idle) / streams
    // The request's 200 KB and the answer's 256 KB are held, with the chunk that went past the tail's cap last.
    expect(held).toBeGreaterThan(400)
    expect(held).toBeLessThan(200 + 256 + 80)
    release()
    await all
    await waitUntil(async () => (await nginx.state()).kilobytes - idle < 2000)
  })
})
