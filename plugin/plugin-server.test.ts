import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Capture, captureSchema } from '../sidecar/capture.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'
import { type FakeSidecar, startFakeSidecar } from './testing/fake-sidecar.ts'
import { connectAsKong, type KongSide, NEVER } from './testing/kong-side.ts'
import { dumpPlugins, type PluginServer, startPluginServer } from './testing/plugin-server.ts'
import { waitUntil } from './testing/wait-until.ts'

const TOKEN = 'token-that-nobody-may-see'
const PROMPT = 'a prompt that no log may show'
const root = join(import.meta.dirname, '..')
const KONG_LOGS = join(root, '../shared/data/kong-3.9.3-logs')

/** What the tap leaves: a capture without `content`. */
function tapped(n: number) {
  const { content: _content, ...capture } = makeCapture({ n, requestBody: { messages: [{ content: PROMPT }] } })
  return capture
}
/** A document as Kong's serializer makes it; only what the plugin may pick, and some that it may not. */
function logDocument(n: number): string {
  const { log } = makeCapture({ n })
  return JSON.stringify({
    ...log,
    request: {
      ...log.request,
      uri: `${log.request.uri}?key=query-secret`,
      headers: { ...log.request.headers, apikey: 'header-secret' },
    },
    tls: { version: 'TLSv1.3' },
  })
}
const answerTap = (n: number) => () => tapped(n)
const answerLog = (n: number) => (method: string) =>
  method === 'kong.log.serialize' ? logDocument(n) : method === 'kong.node.get_id' ? 'node-9' : undefined

const captures = (fake: FakeSidecar) => fake.stored().map((capture) => captureSchema.parse(capture))
const sequences = (fake: FakeSidecar) =>
  captures(fake)
    .map(({ sequence }) => sequence!)
    .toSorted((a, b) => a - b)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

describe('the plugin in the real kong-js-pluginserver', () => {
  let server: PluginServer
  let fake: FakeSidecar
  let kong: KongSide
  const fakes: FakeSidecar[] = []

  beforeAll(async () => {
    server = await startPluginServer({ reportState: true })
  })
  afterAll(async () => {
    await server?.stop()
  })
  /** A sidecar of its own for each test, so that each has a shipper of its own. */
  async function begin() {
    fake = await startFakeSidecar()
    fakes.push(fake)
    kong = await connectAsKong(server.socket)
  }
  afterEach(async () => {
    kong?.close()
    for (const one of fakes.splice(0)) await one.close()
    expect(server.running()).toBe(true)
    expect(server.stdout() + server.stderr()).not.toContain(TOKEN)
    expect(server.stdout() + server.stderr()).not.toContain(PROMPT)
  })
  const config = (overrides: Record<string, unknown> = {}) => ({
    sidecar_url: fake.url,
    intake_token: TOKEN,
    linger_ms: 5,
    // Kong puts it beside the configuration of a plugin on a route.
    route_id: 'r1',
    ...overrides,
  })

  it('tap: one PDK call a request, and the table is the capture', async () => {
    await begin()
    const instance = await kong.startInstance(config({ source: 'tap', content: 'on' }))
    for (const n of upTo(3)) expect(await kong.event(instance, answerTap(n))).toEqual(['kong.ctx.shared.get'])
    await waitUntil(() => fake.stored().length === 3, 'stored')
    expect(captures(fake)).toEqual(upTo(3).map((n) => captureSchema.parse({ ...tapped(n), content: 'on' })))
    expect(fake.batches[0]!.authorization).toBe(`Bearer ${TOKEN}`)
  })

  it('log: one PDK call a request, and once in a process one for the node', async () => {
    await begin()
    const instance = await kong.startInstance(config({ source: 'log' }))
    const called = []
    for (const n of upTo(3)) called.push(await kong.event(instance, answerLog(n)))
    expect(called).toEqual([['kong.log.serialize', 'kong.node.get_id'], ['kong.log.serialize'], ['kong.log.serialize']])
    await waitUntil(() => fake.stored().length === 3, 'stored')
    expect(captures(fake)[1]).toMatchObject({
      source: 'log',
      node: 'node-9',
      content: 'off',
      log: { request: { id: 'request-2' } },
    })
    expect(JSON.stringify(fake.stored())).not.toMatch(/secret|tls/)
  })

  it.skipIf(!existsSync(KONG_LOGS) && !process.env.CI)('log: takes what real Kong wrote', async () => {
    await begin()
    const { readdirSync } = await import('node:fs')
    const documents = readdirSync(KONG_LOGS, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.jsonl?$/.test(file))
      .flatMap((file) => readFileSync(join(KONG_LOGS, file), 'utf8').split('\n'))
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
    expect(documents.length).toBeGreaterThan(0)
    const instance = await kong.startInstance(config({ source: 'log' }))
    for (const document of documents)
      await kong.event(instance, (method) => (method === 'kong.log.serialize' ? document : 'node-9'))
    await waitUntil(() => fake.stored().length === documents.length, `${documents.length} stored`)
    for (const capture of captures(fake)) expect(capture.log.request.headers).not.toHaveProperty('apikey')
  })

  it('auto: one PDK call a tapped request, a second for Kong’s log where there is no tap', async () => {
    await begin()
    const instance = await kong.startInstance(config())
    const [tap, log] = ['kong.ctx.shared.get', 'kong.log.serialize']
    const called = []
    for (const answer of [answerTap(1), answerTap(2), answerLog(3), answerLog(4), answerTap(5)])
      called.push((await kong.event(instance, answer)).filter((method) => method !== 'kong.node.get_id'))
    expect(called).toEqual([[tap], [tap], [tap, log], [tap, log], [tap]])
    await waitUntil(() => fake.stored().length === 5, 'stored')
    expect(captures(fake).map(({ source }) => source)).toEqual(['tap', 'tap', 'log', 'log', 'tap'])
  })

  it('tap: its text is the capture, its number is known, and nothing is parsed but for a limit', async () => {
    await begin()
    const text = (n: number, changes: object = {}) => {
      const { v, source, node, epoch, sequence, ...rest } = tapped(n)
      return JSON.stringify({ v, source, node, epoch, sequence, ...rest, ...changes })
    }
    const all = await kong.startInstance(config({ source: 'tap', content: 'on', route_id: undefined }))
    const limited = await kong.startInstance(config({ source: 'tap', max_content_bytes: 1024 }))
    await kong.event(all, () => text(1))
    await kong.event(all, () => text(2, { epoch: undefined, sequence: undefined }))
    await kong.event(limited, () => text(3))
    await kong.event(limited, () => text(4, { request_body: Buffer.alloc(5000).toString('base64') }))
    await kong.event(limited, () => 'no JSON')
    await waitUntil(() => fake.stored().length === 4 && errors().tap_table_invalid === 1, 'stored')
    const [first, second, third, fourth] = captures(fake)
    expect(first).toEqual(captureSchema.parse({ ...tapped(1), content: 'on', scope: 'global' }))
    expect(second).toMatchObject({ sequence: 1, epoch: expect.stringMatching(/^[0-9a-f]{32}$/), scope: 'global' })
    expect(third).toEqual(captureSchema.parse({ ...tapped(3), content: 'off' }))
    expect(fourth).toMatchObject({ sequence: 4, content: 'off' })
    expect(Buffer.from(fourth!.request_body!, 'base64').length).toBeLessThanOrEqual(1024)
  })

  it('says where it stands on no route and no service', async () => {
    await begin()
    for (const place of [{ route_id: undefined }, { route_id: undefined, service_id: 's1' }, {}]) {
      const instance = await kong.startInstance(config({ source: 'tap', ...place }))
      await kong.event(instance, answerTap(1))
    }
    await waitUntil(() => fake.stored().length === 3, 'stored')
    expect(captures(fake).map(({ scope }) => scope)).toEqual(['global', undefined, undefined])
  })

  const errors = () =>
    Object.fromEntries((fake.batches.at(-1)?.batch.errors ?? []).map(({ kind, total }) => [kind, total]))

  it('numbers what the tap has not numbered, densely, losses too: each is stored or told once', async () => {
    await begin()
    const log = await kong.startInstance(config({ source: 'log' }))
    await kong.event(log, () => undefined)
    await kong.event(log, answerLog(1))
    await kong.event(log, (method) => (method === 'kong.node.get_id' ? 'node-9' : '{broken'))
    await kong.event(log, answerLog(2))
    const unnumbered = await kong.startInstance(config({ source: 'tap' }))
    await kong.event(unnumbered, () => ({ ...tapped(3), sequence: undefined }))
    await waitUntil(() => fake.stored().length === 3 && fake.lost().length === 2, 'all told')
    const [{ epoch } = { epoch: '' }] = captures(fake)
    expect(epoch).toMatch(/^[0-9a-f]{32}$/)
    expect(captures(fake).map(({ epoch, sequence }) => [epoch, sequence])).toEqual([2, 4, 5].map((n) => [epoch, n]))
    expect(fake.lost().map(({ tombstone, sequence }) => [tombstone, sequence])).toEqual([
      ['pdk_error', 1],
      ['invalid', 3],
    ])
    expect(fake.lost().every((loss) => loss.epoch === epoch)).toBe(true)
  })

  it('what the tap has numbered and cannot be read is told by its number, or – unknown – as an error only', async () => {
    await begin()
    const instance = await kong.startInstance(config({ source: 'tap' }))
    await kong.event(instance, () => 'not a table')
    await kong.event(instance, () => ({ ...tapped(8), v: 99 }))
    await kong.event(instance, () => new Error('a PDK error'))
    await waitUntil(() => errors().tap_table_invalid === 1 && errors().pdk_error === 1, 'told')
    await waitUntil(() => fake.lost().length === 1, 'told')
    expect(fake.lost()).toEqual([{ v: 2, tombstone: 'invalid', epoch: 'e1', sequence: 8, count: 1, node: 'node-1' }])
  })

  it('what the tap has shipped itself is none of its own', async () => {
    await begin()
    const instance = await kong.startInstance(config())
    expect(await kong.event(instance, () => 'shipped')).toEqual(['kong.ctx.shared.get'])
    await kong.event(instance, answerTap(1))
    await waitUntil(() => fake.stored().length === 1, 'stored')
    expect([captures(fake)[0]!.sequence, fake.lost(), fake.batches.length]).toEqual([1, [], 1])
  })

  it('takes the capture of a tap of the version before', async () => {
    await begin()
    const instance = await kong.startInstance(config({ source: 'tap' }))
    await kong.event(instance, () => ({ ...tapped(1), v: 1 }))
    await waitUntil(() => fake.stored().length === 1, 'stored')
  })

  it('source tap: a route without the tap still gives Kong’s own log', async () => {
    await begin()
    const instance = await kong.startInstance(config({ source: 'tap' }))
    const untapped = (method: string) => (method === 'kong.ctx.shared.get' ? undefined : answerLog(1)(method))
    await kong.event(instance, untapped)
    await waitUntil(() => fake.stored().length === 1, 'stored')
    expect(captures(fake)[0]).toMatchObject({ source: 'log', sequence: 1 })
  })

  it('a PDK call that is never answered ends in time, told once, and a late answer harms nothing', async () => {
    await begin()
    const instance = await kong.startInstance(config({ source: 'tap', pdk_timeout_ms: 60 }))
    expect(await kong.event(instance, () => NEVER)).toEqual(['kong.ctx.shared.get'])
    // The tap has numbered it, and the gap shows it: told as a loss as well it would count twice.
    await waitUntil(() => errors().pdk_timeout === 1, 'told')
    expect(fake.lost()).toEqual([])
    // EventIds count up over the life of the server; ours was the last.
    const other = await connectAsKong(server.socket)
    const patient = await other.startInstance(config({ source: 'tap' }))
    const next = (await other.call('plugin.HandleEvent', { InstanceId: patient, EventName: 'log' })) as {
      EventId: number
    }
    expect(await kong.call('plugin.Step', { EventId: next.EventId - 1, Data: tapped(1) })).toMatchObject({
      Data: 'ret',
    })
    expect(await other.call('plugin.Step', { EventId: next.EventId, Data: tapped(2) })).toMatchObject({ Data: 'ret' })
    other.close()
    await waitUntil(() => fake.stored().length === 1, 'the next one is stored')
  })

  it('on an untapped route such a call’s number is told lost', async () => {
    await begin()
    const instance = await kong.startInstance(config({ pdk_timeout_ms: 60 }))
    await kong.event(instance, answerLog(1))
    await kong.event(instance, () => NEVER)
    await waitUntil(() => fake.lost().length === 1, 'told')
    expect(fake.lost()[0]).toMatchObject({ tombstone: 'pdk_timeout', sequence: 2, node: 'node-9' })
  })

  it('refuses a wrong configuration with the name of the field', async () => {
    await begin()
    await expect(kong.startInstance(config({ linger_ms: -1 }))).rejects.toThrow('config.linger_ms')
    await expect(kong.startInstance(config({ intake_token: `${TOKEN}\n` }))).rejects.toThrow('config.intake_token')
  })

  it('applies the limit on bodies', async () => {
    await begin()
    const instance = await kong.startInstance(config({ source: 'tap', max_content_bytes: 1024 }))
    const long = Buffer.alloc(5000, 'a').toString('base64')
    await kong.event(instance, () => ({ ...tapped(1), request_body: long, response_body: long }))
    await waitUntil(() => fake.stored().length === 1, 'stored')
    const [capture] = captures(fake) as [Capture]
    expect(Buffer.from(capture.request_body!, 'base64').length).toBeLessThanOrEqual(1024)
    expect(Buffer.from(capture.response_tail!, 'base64').length).toBeGreaterThan(500)
  })

  it('20 reloads of the configuration leave one shipper, and no timer or socket of theirs', async () => {
    await begin()
    const first = await kong.startInstance(config({ source: 'tap' }))
    await kong.event(first, answerTap(1))
    await waitUntil(() => fake.stored().length === 1, 'stored')
    const settled = async () => (await server.state()).held === 0
    await waitUntil(settled, 'settled')
    const before = await server.state()
    for (let reload = 0; reload < 20; reload++) {
      const instance = await kong.startInstance(config({ source: 'tap' }))
      await kong.event(instance, answerTap(reload + 2))
      // Kong closes an instance that it replaces, but not those that it has forgotten after a reset.
      if (reload < 15) await kong.call('plugin.CloseInstance', instance)
    }
    await waitUntil(() => fake.stored().length === 21, 'stored')
    await waitUntil(settled, 'settled')
    await waitUntil(async () => {
      const after = await server.state()
      return after.shippers === before.shippers && (after.resources.Timeout ?? 0) <= (before.resources.Timeout ?? 0) + 1
    }, 'as before')
    const after = await server.state()
    expect(after.servers[0]!.instances).toBe(before.servers[0]!.instances + 5)
    expect(after.servers[0]!.events).toBe(before.servers[0]!.events)
    expect(fake.connections()).toBeLessThanOrEqual(2)
  })

  it('an instance whose sidecar is new opens one more shipper only when it is used', async () => {
    await begin()
    const { shippers } = await server.state()
    const instance = await kong.startInstance(config({ source: 'tap' }))
    expect((await server.state()).shippers).toBe(shippers)
    await kong.event(instance, answerTap(1))
    expect((await server.state()).shippers).toBe(shippers + 1)
  })
})

describe('two plugin servers on one socket, as while Kong reloads', () => {
  it('the old one goes on with the connections that it has, the new one takes the others, and nothing is lost', async () => {
    const sidecar = await startFakeSidecar()
    const config = { source: 'tap', sidecar_url: sidecar.url, linger_ms: 5, route_id: 'r1' }
    const old = await startPluginServer()
    const kongOfOld = await connectAsKong(old.socket)
    const oldInstance = await kongOfOld.startInstance(config)
    await kongOfOld.event(oldInstance, answerTap(1))

    const young = await startPluginServer({ directory: old.directory })
    const kongOfYoung = await connectAsKong(young.socket)
    const instance = await kongOfYoung.startInstance(config)
    await Promise.all([kongOfOld.event(oldInstance, answerTap(2)), kongOfYoung.event(instance, answerTap(3))])
    await kongOfOld.event(oldInstance, answerTap(4))
    // Right before its queue is due: what it holds goes out all the same.
    old.child.kill('SIGTERM')
    await kongOfYoung.event(instance, answerTap(5))
    await waitUntil(() => sequences(sidecar).length === 5, 'both have delivered')
    expect(sequences(sidecar)).toEqual(upTo(5))
    expect(young.running()).toBe(true)
    kongOfOld.close()
    kongOfYoung.close()
    await young.stop()
    await old.stop()
    await sidecar.close()
  })
})

describe('the end of the plugin server', () => {
  const cleanUps: (() => unknown)[] = []
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })
  async function begin(env: Record<string, string> = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'fake-sidecar-'))
    cleanUps.push(() => rmSync(folder, { recursive: true, force: true }))
    const fake = await startFakeSidecar({ path: join(folder, 'sidecar.sock') })
    cleanUps.push(() => fake.close())
    const server = await startPluginServer({ env })
    cleanUps.push(() => server.stop())
    const kong = await connectAsKong(server.socket)
    cleanUps.push(() => kong.close())
    const instance = await kong.startInstance({
      source: 'tap',
      sidecar_url: fake.url,
      linger_ms: 60_000,
      batch_max_calls: 50,
    })
    return { fake, server, kong, instance }
  }

  it('SIGTERM: hands over what is queued, and ends', async () => {
    const { fake, server, kong, instance } = await begin()
    // A first batch has opened the connection, as it has in real life.
    for (const n of upTo(50)) await kong.event(instance, answerTap(n))
    await waitUntil(() => fake.stored().length === 50, 'the first batch')
    for (let n = 51; n <= 90; n++) await kong.event(instance, answerTap(n))
    server.child.kill('SIGTERM')
    await waitUntil(() => !server.running(), 'the end')
    expect(sequences(fake)).toEqual(upTo(90))
    expect(server.child.exitCode).toBe(0)
  })

  it('SIGTERM: does not wait for a sidecar that is gone', async () => {
    const { fake, server, kong, instance } = await begin()
    for (const n of upTo(3)) await kong.event(instance, answerTap(n))
    await fake.close()
    server.child.kill('SIGTERM')
    await waitUntil(() => !server.running(), 'the end')
    expect(server.stderr()).toContain('"captures":3')
  })

  it('SIGTERM: as a process of its own it goes on trying for a bounded time', async () => {
    const { fake, server, kong, instance } = await begin({ LLM_OBSERVER_DRAIN_MS: '120000' })
    fake.behave({ status: 503 }, { status: 503 }, { status: 503 }, { status: 202 })
    for (const n of upTo(3)) await kong.event(instance, answerTap(n))
    server.child.kill('SIGTERM')
    await waitUntil(() => !server.running(), 'the end')
    expect(sequences(fake)).toEqual(upTo(3))
  })

  it('SIGTERM: the bounded time is kept', async () => {
    const { fake, server, kong, instance } = await begin({ LLM_OBSERVER_DRAIN_MS: '300' })
    fake.behave({ status: 503 })
    for (const n of upTo(3)) await kong.event(instance, answerTap(n))
    server.child.kill('SIGTERM')
    await waitUntil(() => !server.running(), 'the end')
    expect(server.stderr()).toContain('"captures":3')
  })
})

describe('--dump-all-plugins', () => {
  it('gives the schema, and nothing else on stdout', async () => {
    const [plugin] = JSON.parse(await dumpPlugins()) as [Record<string, unknown>]
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    expect(plugin).toMatchObject({ Name: 'llm-observer', Version: version, Phases: ['log'] })
    expect(plugin.Priority).toBeLessThan(768)
    const [{ config }] = (plugin.Schema as { fields: [{ config: { fields: Record<string, unknown>[] } }] }).fields
    const names = config.fields.map((field) => Object.keys(field)[0])
    expect(names).toEqual([
      'source',
      'sidecar_url',
      'intake_token',
      'sidecar_token',
      'sidecar_ca',
      'sidecar_cert',
      'sidecar_key',
      'content',
      'max_content_bytes',
      'queue_bytes',
      'batch_max_calls',
      'batch_max_bytes',
      'linger_ms',
      'send_timeout_ms',
      'pdk_timeout_ms',
    ])
    expect(config.fields[2]).toMatchObject({ intake_token: { referenceable: true } })
  })

  const typescript4 = join(root, 'node_modules/kong-pdk/node_modules/typescript')
  it.skipIf(!existsSync(typescript4)).each([{}, { TS_NODE_IGNORE: '.*' }])(
    'works beside the ts-node that kong-pdk registers, env %j',
    async (extra) => {
      const env = { ...extra, TS_NODE_COMPILER: typescript4 }
      expect(JSON.parse(await dumpPlugins({ nodeArguments: [], env }))).toHaveLength(1)
    },
  )
})
