import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { startNginx } from '../dev/nginx/nginx.ts'
import { binary } from '../dev/servers/binary.ts'
import { readTap, SHIPS } from '../plugin/tap-text.ts'
import { cpuSeconds } from './process-cost.ts'

/**
 * node bench/tap.ts [requests]: what the tap's Lua costs by itself in LuaJIT, and in a real nginx beside the same proxying without
 * it, where the shim that stands for Kong – the log document above all – is in the difference. Not Kong's price: its own phases,
 * its serializer and the event to the plugin server are what bench/kong.sh measures.
 */
const requests = Number(process.argv[2] ?? 20_000)
if (!Number.isInteger(requests) || requests < 1000 || requests > 1_000_000)
  throw new Error('requests: from 1000 to 1000000')
binary('nginx')

const tap = readTap()
const sections = [...Object.entries(tap['pre-function']), ['body', tap['post-function'].access]]
const program = `local SECTIONS = { ${sections.map(([name, source]) => `${name} = [==[\n${source}]==]`).join(', ')} }
${readFileSync(join(import.meta.dirname, 'tap.lua'), 'utf8')}`
const figures = `string.format("%.1f µs a request with an answer in one piece, %.1f µs with one in 100",
  tap.microseconds(200000, string.rep("a", 4096), 1), tap.microseconds(20000, string.rep("a", 60), 100))`
const alone = spawnSync('luajit', ['-e', `local tap = (function() ${program} end)() io.write(${figures})`], {
  encoding: 'utf8',
})
console.log(
  alone.status === 0 ? `the tap's Lua alone, LuaJIT: ${alone.stdout}` : 'no luajit on PATH: not measured alone',
)

const ROUNDS = 5
/** Bodies differ from call to call, as in life: LuaJIT interns strings, so that equal ones are found instead of made. */
const text = (length: number) =>
  randomBytes(Math.ceil((length * 3) / 4))
    .toString('base64url')
    .slice(0, length)
const prompts = Array.from({ length: 2000 }, () =>
  JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: text(2000) }] }),
)
const answers = Array.from({ length: 1000 }, (_, n) =>
  JSON.stringify({ id: `c${n}`, choices: [{ message: { content: text(3900) } }], usage: { prompt_tokens: 1 } }),
)
const event = (n: number) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text(4) } }], n })}\n\n`
const streams = Array.from({ length: 200 }, () => Array.from({ length: 100 }, (_, n) => event(n)))
const directory = mkdtempSync(join(tmpdir(), 'bench-tap-'))
let turn = 0
const upstream = createServer((incoming, response) => {
  incoming.resume()
  turn++
  if (incoming.url !== '/stream') {
    const answer = answers[turn % answers.length]!
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) })
    return void response.end(answer)
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const events = streams[turn % streams.length]!
  let at = 0
  const next = () => {
    response.write(events[at++]!)
    if (at < events.length) setImmediate(next)
    else response.end('data: [DONE]\n\n')
  }
  next()
})
let shipped = 0
const sidecar = createServer((incoming, response) => {
  incoming.resume().on('end', () => {
    if (incoming.url === '/v1/captures') shipped++
    response.writeHead(202, { 'content-length': 2 }).end('{}')
  })
})
const listen = async (server: Server) => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
const upstreamPort = await listen(upstream)
const url = `http://127.0.0.1:${await listen(sidecar)}`
const ways = await Promise.all(
  SHIPS.map(async (ship) => {
    const nginx = await startNginx({
      directory: join(directory, ship),
      upstreamPort,
      sidecar: { url, token: '' },
      ship,
    })
    const [worker] = execFileSync('pgrep', ['-P', String(nginx.pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number)
    return { ship, nginx, worker: worker! }
  }),
)
const dispatcher = new Agent({ connections: 16 })

async function send(address: string, count: number): Promise<void> {
  let left = count
  const lane = async () => {
    while (left-- > 0) {
      const { body, statusCode } = await request(address, {
        dispatcher,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-unseen': '1' },
        body: prompts[left % prompts.length]!,
      })
      await body.dump()
      if (statusCode !== 200) throw new Error(`${address}: ${statusCode}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, lane))
}
/** Microseconds of the worker's CPU a request. */
async function cost(worker: number, address: string, count: number): Promise<number> {
  const before = cpuSeconds(worker)
  await send(address, count)
  return ((cpuSeconds(worker) - before) * 1_000_000) / count
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

const version = spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr.trim()
console.log(`${version}; CPU of its worker a request, median of ${ROUNDS} rounds by turns`)
for (const [name, path, count] of [
  ['2 KB asked, 4 KB answered', 'small', Math.ceil(requests / ROUNDS)],
  ['2 KB asked, a stream of 100 chunks', 'stream', Math.ceil(requests / ROUNDS / 10)],
] as const) {
  const figures = ways.map(() => ({ plain: [] as number[], tapped: [] as number[] }))
  for (const { nginx } of ways) for (const way of ['plain', 'tapped']) await send(`${nginx.url}/${way}/${path}`, 500)
  for (let round = 0; round < ROUNDS; round++)
    for (const [index, { nginx, worker }] of ways.entries())
      for (const way of ['plain', 'tapped'] as const)
        figures[index]![way].push(await cost(worker, `${nginx.url}/${way}/${path}`, count))
  for (const [index, { ship }] of ways.entries()) {
    const [without, having] = [median(figures[index]!.plain), median(figures[index]!.tapped)]
    console.log(
      `${name.padEnd(36)} ship: ${ship.padEnd(7)} without ${without.toFixed(0)} µs, with ${having.toFixed(0)} µs: +${(having - without).toFixed(0)} µs, ${(having / without).toFixed(2)} ×`,
    )
  }
}
if (shipped === 0) throw new Error('nothing was shipped')
await dispatcher.close()
for (const { nginx } of ways) await nginx.close()
for (const server of [upstream, sidecar]) {
  server.closeAllConnections()
  server.close()
}
rmSync(directory, { recursive: true })
