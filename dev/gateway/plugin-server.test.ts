import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { somebodyServes } from '../../sidecar/unix-socket.ts'
import { waitUntil } from '../wait-until.ts'
import { type Fixture, startFixture } from './testing/gateway-fixture.ts'

const root = join(import.meta.dirname, '../..')
const SERVER = join(root, 'node_modules/kong-pdk/bin/kong-js-pluginserver')
const WITHOUT_TS_NODE = join(root, 'plugin/without-ts-node.cjs')

/** A plugin that writes down what it can learn, by kong-pdk as Kong's users have it. */
const PROBE = `
'use strict'
const { appendFileSync } = require('node:fs')
class Probe {
  constructor (config) { this.config = config }
  async log (kong) {
    const seen = { config: this.config.mark, routeOfInstance: this.config.route_id }
    seen.document = JSON.parse(await kong.log.serialize())
    seen.capture = await kong.ctx.shared.get('llm_observer')
    seen.nothing = await kong.ctx.shared.get('no_such_key')
    seen.consumer = await kong.client.get_consumer()
    seen.route = await kong.router.get_route()
    seen.service = await kong.router.get_service()
    seen.status = await kong.response.get_status()
    seen.source = await kong.response.get_source()
    seen.type = await kong.response.get_header('content-type')
    seen.headers = await kong.response.get_headers(100)
    seen.agent = await kong.request.get_header('user-agent')
    seen.node = await kong.node.get_id()
    seen.plugin = await kong.plugin.get_id()
    seen.startedAt = await kong.nginx.req_start_time()
    appendFileSync(this.config.file, JSON.stringify(seen) + '\\n')
  }
}
module.exports = { Plugin: Probe, Name: 'llm-observer', Version: '0.1.0', Priority: 1, Schema: [] }
`

describe('the real kong-js-pluginserver, with a probe', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plugin-server-'))
  const plugins = join(directory, 'plugins')
  const socket = join(directory, 'js.sock')
  const file = join(directory, 'seen.jsonl')
  let fixture: Fixture
  let child: ChildProcess | undefined

  const startServer = async () => {
    const options = ['-d', plugins, '-p', directory, '--sock-name', 'js.sock']
    child = spawn(process.execPath, ['--require', WITHOUT_TS_NODE, SERVER, ...options], {
      env: { PATH: process.env.PATH ?? '' },
      stdio: 'ignore',
    })
    await waitUntil(() => somebodyServes(socket))
  }
  const stopServer = async (signal: NodeJS.Signals) => {
    const ended = once(child!, 'exit')
    child!.kill(signal)
    await ended
  }
  const send = async (path = '/openai/v1') => {
    const { status } = await fixture.send(path, { headers: { apikey: 'alice-demo-key' }, body: '{}' })
    expect(status).toBe(200)
  }
  const seen = () =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line))
      : []

  beforeAll(async () => {
    mkdirSync(plugins)
    writeFileSync(join(plugins, 'llm-observer.cjs'), PROBE)
    await startServer()
    fixture = await startFixture({
      upstream: (_request, _body, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'x-twice': ['a', 'b'] })
        response.end('{"ok":true}')
      },
      gateway: { pluginServerSocket: socket, pluginConfig: { file, mark: 'm' } },
    })
  })
  afterAll(async () => {
    await fixture?.close()
    child?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })

  it('gets what it asks for, as from Kong', async () => {
    await send()
    await fixture.gateway.idle()
    expect(fixture.gateway.stats()).toEqual({ requests: 1, eventsSent: 1, eventsLost: 0, eventsRunning: 0 })
    const [only] = seen()
    expect(JSON.parse(only!.capture as string)).toMatchObject({
      ...{ v: 2, source: 'tap', sequence: 1, response_body: Buffer.from('{"ok":true}').toString('base64') },
    })
    expect(only).toMatchObject({
      config: 'm',
      document: { response: { status: 200 }, consumer: { username: 'alice' }, tries: [{ port: expect.any(Number) }] },
      consumer: { username: 'alice', tags: ['tenant:blue'] },
      route: { name: 'openai', paths: ['/openai'] },
      service: { name: 'openai', port: 9500 },
      status: 200,
      source: 'service',
      type: 'application/json',
      agent: 'test/1',
      node: 'node-1',
      plugin: expect.stringMatching(/^[0-9a-f-]{36}$/),
      startedAt: expect.any(Number),
    })
    // As Kong's StepMultiMap has them: each value a list.
    expect(only.headers).toMatchObject({ 'content-type': ['application/json'], 'x-twice': ['a', 'b'] })
    expect(only.nothing).toBeUndefined()
  })

  it('forty at once: all arrive', async () => {
    const before = seen().length
    await Promise.all(Array.from({ length: 40 }, () => send()))
    await fixture.gateway.idle()
    expect(seen().length - before).toBe(40)
    expect(fixture.gateway.stats().eventsLost).toBe(0)
  })

  it('killed, and there again: what fell into the gap is lost and counted, then it goes on', async () => {
    const before = seen().length
    await stopServer('SIGKILL')
    await send()
    await send('/anthropic/v1')
    await fixture.gateway.idle()
    expect(fixture.gateway.stats().eventsLost).toBe(2)
    await startServer()
    await send('/anthropic/v1')
    await send()
    await fixture.gateway.idle()
    expect(fixture.gateway.stats().eventsLost).toBe(2)
    // Each by an instance of its own route, although the new server numbers them from 0 again. Their order is free.
    const delivered = seen().slice(before)
    expect(delivered.map(({ route }) => route.name).toSorted()).toEqual(['anthropic', 'openai'])
    for (const { route, routeOfInstance } of delivered) expect(routeOfInstance).toBe(route.id)
  })

  it('stopped: clients are served, and all events arrive when it goes on', async () => {
    const before = seen().length
    child!.kill('SIGSTOP')
    for (let n = 0; n < 10; n++) await send()
    await waitUntil(async () => fixture.gateway.stats().eventsRunning === 10)
    child!.kill('SIGCONT')
    await fixture.gateway.idle()
    expect(seen().length - before).toBe(10)
  })
})
