import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { allowedHost } from './allowed-host.ts'
import { configSchema } from './config.ts'
import { makeDoorTokens } from './door-tokens.ts'
import { makeLogLimit } from './log-limit.ts'
import { makeLogger } from './logger.ts'
import { makeServer, newReceiveCounters, type ReceiveCounters } from './receive.ts'
import { listenOnSocket } from './unix-socket.ts'

const INTAKE = '7f3a9c1e5b8d2046af13c97e60d4b825'
const METRICS = '60d4b8257f3a9c1e5b8d2046af13c97e'

let server: FastifyInstance
let counters: ReceiveCounters
let folder: string

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'doors-'))
  counters = newReceiveCounters()
  const { listen } = configSchema.parse({
    listen: { tokens: { intake: INTAKE, metrics: METRICS }, hosts: ['observer.example.com'] },
  })
  const logger = makeLogger('ERROR', { write: () => {} })
  server = makeServer({
    admits: makeDoorTokens(listen, {}).admits,
    hostFault: allowedHost(listen),
    maxBodyBytes: 1024 * 1024,
    logger,
    log: makeLogLimit(logger),
    intake: () => undefined,
    counters,
    metrics: async () => ({ contentType: 'text/plain', body: ['up 1\n'] }),
    notReady: () => [],
    notAlive: () => [],
  })
  await server.listen({ host: '127.0.0.1', port: 0 })
})
afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** By a TCP connection, or by the unix socket. */
function ask(path: string, headers: Record<string, string> = {}, socketPath?: string): Promise<number> {
  const { port } = server.server.address() as { port: number }
  const to = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath }
  const method = path.startsWith('/v1/') ? 'POST' : 'GET'
  return new Promise((resolve, reject) => {
    const sent = request(
      { ...to, path, method, headers: { 'content-type': 'application/json', ...headers } },
      (answer) => {
        answer.resume()
        answer.on('end', () => resolve(answer.statusCode!))
      },
    )
    sent.on('error', reject)
    sent.end(method === 'POST' ? '{}' : undefined)
  })
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

it('each door takes its own token alone; health asks for none', async () => {
  expect(await ask('/metrics')).toBe(401)
  expect(await ask('/metrics', bearer(INTAKE))).toBe(401)
  expect(await ask('/metrics', bearer(METRICS))).toBe(200)
  for (const path of ['/v1/captures', '/v1/totals']) {
    expect(await ask(path)).toBe(401)
    expect(await ask(path, bearer(METRICS))).toBe(401)
    expect(await ask(path, bearer(INTAKE))).toBe(400)
  }
  expect(await ask('/healthz')).toBe(200)
  expect(await ask('/readyz')).toBe(200)
  expect(counters.refusals.unauthorized).toBe(6)
})

it('a page whose name points here gets nothing, whatever it asks', async () => {
  const paths = ['/metrics', '/v1/captures', '/v1/totals', '/healthz', '/readyz', '/nothing']
  for (const path of paths) expect(await ask(path, { ...bearer(INTAKE), host: 'rebind.attacker.example' })).toBe(403)
  expect(await ask('/healthz', { origin: 'https://attacker.example' })).toBe(403)
  expect(counters.refusals.wrong_host).toBe(paths.length + 1)
  expect(await ask('/healthz', { host: 'observer.example.com:8086' })).toBe(200)
})

it('by the unix socket any Host passes: no page reaches it', async () => {
  const path = join(folder, 's.sock')
  const close = await listenOnSocket(server.server, path)
  expect(await ask('/healthz', { host: 'whatever.example' }, path)).toBe(200)
  expect(await ask('/metrics', { host: 'whatever.example' }, path)).toBe(401)
  server.server.closeAllConnections()
  await close()
})
