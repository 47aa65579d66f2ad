import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { pino } from 'pino'
import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../plugin/config.ts'
import { makeSender } from '../plugin/send.ts'
import { configSchema } from './config.ts'
import { checkConfig } from './config-check.ts'
import { planReload, snapshotOf } from './config-reload.ts'
import { type Sidecar, serve } from './serve.ts'
import { makeCapture } from './testing/make-capture.ts'
import { type Authority, makeAuthority, replaceFile } from './testing/make-certificates.ts'

let folder = ''
let ours: Authority
let theirs: Authority
let server: { cert: string; key: string }
let client: { cert: string; key: string }
let stranger: { cert: string; key: string }
let sidecar: Sidecar | undefined
let n = 0
let starts = 0
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tls-'))
  ours = makeAuthority(folder, 'ours')
  theirs = makeAuthority(folder, 'theirs')
  server = ours.issue('server')
  client = ours.issue('client')
  stranger = theirs.issue('client')
})
afterEach(async () => {
  await sidecar?.close()
  sidecar = undefined
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const configOf = (tls: object | undefined, listen: object = {}) =>
  configSchema.parse({ listen: { port: 0, tls, ...listen }, data: join(folder, `data-${starts}`) })
async function start(tls: object | undefined, listen: object = {}): Promise<Sidecar> {
  starts++
  sidecar = await serve(configOf(tls, listen), {
    logger: pino({ level: 'silent' }),
    environment: {},
    onFatal(error) {
      throw error
    },
  })
  return sidecar
}
const files = ({ cert, key }: { cert: string; key: string }) => ({ cert: { file: cert }, key: { file: key } })
const body = () =>
  Buffer.from(
    JSON.stringify({
      v: 1,
      plugin: { version: '0.1.0', instance: 't' },
      dropped: [],
      captures: [makeCapture({ n: ++n })],
    }),
  )
/** As the plugin sends, with the fields of its configuration. */
async function send(url: string, fields: object = {}) {
  const config = readConfig({ sidecar_url: url, ...fields })
  const sender = makeSender(config.sidecarUrl, config.intakeToken, config.tls)
  try {
    return await sender.send(body(), 5000)
  } finally {
    await sender.close()
  }
}
const status = async (url: string, path: string) => {
  const dispatcher = new Agent({ connect: { ca: readFileSync(ours.ca, 'utf8') } })
  try {
    const { statusCode, body: answer } = await request(`${url}${path}`, { dispatcher })
    await answer.dump()
    return statusCode
  } finally {
    await dispatcher.close()
  }
}

describe('TLS', () => {
  it('carries captures of a plugin that knows the authority, and nobody who does not', async () => {
    const { url } = await start(files(server))
    expect(url).toMatch(/^https:/)
    expect(await send(url, { sidecar_ca: ours.ca })).toMatchObject({ kind: 'stored' })
    expect(await send(url, { sidecar_ca: readFileSync(ours.ca, 'utf8') })).toMatchObject({ kind: 'stored' })
    expect(await send(url)).toMatchObject({ kind: 'later', reason: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
    expect(await send(url, { sidecar_ca: theirs.ca })).toMatchObject({ kind: 'later' })
    expect(await send(url, { sidecar_ca: join(folder, 'none.pem') })).toMatchObject({ kind: 'later', reason: 'ENOENT' })
    // Not in clear.
    expect((await send(url.replace('https:', 'http:'))).kind).not.toBe('stored')
    expect(await send(url.replace('127.0.0.1', '127.0.0.2'), { sidecar_ca: ours.ca })).toMatchObject({ kind: 'later' })
  })

  it('leaves the unix socket plain', async () => {
    const socket = join(folder, `observer-${n}.sock`)
    await start({ ...files(server), clientCa: { file: ours.ca } }, { socket })
    expect(await send(`unix:${socket}`)).toMatchObject({ kind: 'stored' })
  })

  it('takes another certificate without a restart; a pair that is none changes nothing', async () => {
    const pair = { cert: join(folder, 'live.pem'), key: join(folder, 'live.key') }
    copyFileSync(server.cert, pair.cert)
    copyFileSync(server.key, pair.key)
    const { url } = await start(files(pair))
    const before = snapshotOf(configOf(files(pair)), {})
    replaceFile(pair.cert, stranger.cert)
    expect(() => sidecar!.reload(configOf(files(pair)))).toThrow(/listen\.tls: .* not valid/)
    expect(await send(url, { sidecar_ca: ours.ca })).toMatchObject({ kind: 'stored' })
    replaceFile(pair.key, stranger.key)
    const plan = planReload(before, snapshotOf(configOf(files(pair)), {}))
    expect([plan.applied, plan.needsRestart]).toEqual([['listen.tls.cert', 'listen.tls.key'], []])
    sidecar!.reload(configOf(files(pair)))
    expect(await send(url, { sidecar_ca: ours.ca })).toMatchObject({ kind: 'later' })
    expect(await send(url, { sidecar_ca: theirs.ca })).toMatchObject({ kind: 'stored' })
    // Whether a certificate is asked for is settled at the start.
    const asking = { ...files(pair), clientCa: { file: ours.ca } }
    expect(planReload(before, snapshotOf(configOf(asking), {})).needsRestart).toContain('listen.tls.clientCa')
  })

  it('does not start with a key that is not the certificate’s', async () => {
    await expect(start(files({ cert: server.cert, key: stranger.key }))).rejects.toThrow(/listen\.tls: /)
    await expect(start({ ...files(server), clientCa: 'no certificate' })).rejects.toThrow(/listen\.tls: /)
  })
})

describe('--check-config', () => {
  const problems = (tls: object): string => {
    const file = join(folder, 'observer.yaml')
    writeFileSync(file, JSON.stringify({ listen: { tls }, data: join(folder, 'data') }))
    try {
      checkConfig(file, {})
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  it('says which pair is none, and which file is not there', () => {
    expect(problems(files(server))).toBe('')
    expect(problems(files({ cert: server.cert, key: stranger.key }))).toMatch(/listen\.tls: .* is not valid/)
    expect(problems({ ...files(server), clientCa: { file: join(folder, 'none.pem') } })).toMatch(/none\.pem/)
    expect(problems({ cert: { file: server.cert } })).toMatch(/listen\.tls\.key/)
  })
})

describe('mTLS', () => {
  const asking = () => ({ ...files(server), clientCa: { file: ours.ca } })
  const as = ({ cert, key }: { cert: string; key: string }) => ({
    ...{ sidecar_ca: ours.ca, sidecar_cert: cert, sidecar_key: key },
  })

  it('takes captures and totals from holders of a certificate of clientCa alone', async () => {
    const { url } = await start(asking())
    expect(await send(url, as(client))).toMatchObject({ kind: 'stored' })
    expect(await send(url, as(stranger))).toMatchObject({ kind: 'refused', reason: 'http_401' })
    expect(await send(url, { sidecar_ca: ours.ca })).toMatchObject({ kind: 'refused', reason: 'http_401' })
    // Probes and Prometheus hold none.
    expect(await status(url, '/healthz')).toBe(200)
    expect(await status(url, '/metrics')).toBe(200)
  })

  it('asks for the token too, and not instead', async () => {
    const { url } = await start(asking(), { tokens: { intake: 'x'.repeat(43) } })
    expect(await send(url, as(client))).toMatchObject({ kind: 'refused', reason: 'http_401' })
    expect(await send(url, { ...as(client), intake_token: 'x'.repeat(43) })).toMatchObject({ kind: 'stored' })
    expect(await send(url, { sidecar_ca: ours.ca, intake_token: 'x'.repeat(43) })).toMatchObject({ kind: 'refused' })
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is not passed by a session of %s that is resumed without a certificate',
    async (version) => {
      const { url } = await start(asking())
      const { port } = new URL(url)
      const open = (session?: Buffer): Promise<{ socket: TLSSocket; session: Buffer | undefined; answer: string }> =>
        new Promise((resolve, reject) => {
          let kept: Buffer | undefined
          let answer = ''
          const socket = connect({
            ...{ host: '127.0.0.1', port: Number(port), ca: readFileSync(ours.ca), session },
            ...{ minVersion: version, maxVersion: version },
          })
          socket.on('session', (ticket: Buffer) => {
            kept = ticket
          })
          socket.on('data', (chunk: Buffer) => {
            answer += chunk.toString()
          })
          socket.on('error', reject)
          socket.on('close', () => resolve({ socket, session: kept, answer }))
          const bytes = body()
          socket.write(
            `POST /v1/captures HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${bytes.length}\r\n\r\n`,
          )
          socket.write(bytes)
        })
      const first = await open()
      expect(first.answer).toMatch(/^HTTP\/1\.1 401 /)
      expect(first.session).toBeDefined()
      const second = await open(first.session)
      expect(second.answer).toMatch(/^HTTP\/1\.1 401 /)
    },
  )
})

describe('the plugin’s settings of TLS', () => {
  it.each([
    [{ sidecar_ca: 'relative.pem' }, /sidecar_ca must be PEM/],
    [{ sidecar_ca: 7 }, /sidecar_ca must be PEM/],
    [{ sidecar_cert: '/a.pem' }, /go together/],
    [{ sidecar_url: 'http://host', sidecar_ca: '/a.pem' }, /are for a sidecar_url of https/],
  ])('refuse %j', (fields, text) => {
    expect(() => readConfig({ sidecar_url: 'https://host', ...fields })).toThrow(text)
  })
  it('show no key in a message', () => {
    expect(() => readConfig({ sidecar_url: 'https://host', sidecar_key: 'top secret' })).toThrow(/withheld/)
    expect(() => readConfig({ sidecar_url: 'https://host', sidecar_key: 'top secret' })).not.toThrow(/top secret/)
  })
})
