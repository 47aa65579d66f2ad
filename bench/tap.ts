import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { startNginx } from '../dev/nginx/nginx.ts'
import { binary } from '../dev/servers/binary.ts'
import { readTap } from '../plugin/tap-text.ts'
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
const prompt = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'q'.repeat(2000) }] })
const answer = JSON.stringify({
  id: 'c',
  choices: [{ message: { content: 'a'.repeat(3900) } }],
  usage: { prompt_tokens: 1 },
})
const event = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'word ' } }] })}\n\n`
const directory = mkdtempSync(join(tmpdir(), 'bench-tap-'))
const upstream = createServer((incoming, response) => {
  incoming.resume()
  if (incoming.url !== '/stream') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) })
    return void response.end(answer)
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let left = 100
  const next = () => {
    response.write(event)
    if (--left > 0) setImmediate(next)
    else response.end('data: [DONE]\n\n')
  }
  next()
})
await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
const nginx = await startNginx({
  directory,
  upstreamPort: (upstream.address() as AddressInfo).port,
  sidecar: { url: '', token: '' },
})
const [worker] = execFileSync('pgrep', ['-P', String(nginx.pid)], { encoding: 'utf8' })
  .trim()
  .split('\n')
  .map(Number)
const dispatcher = new Agent({ connections: 16 })

async function send(path: string, count: number): Promise<void> {
  let left = count
  const lane = async () => {
    while (left-- > 0) {
      const { body, statusCode } = await request(`${nginx.url}${path}`, {
        dispatcher,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-unseen': '1' },
        body: prompt,
      })
      await body.dump({ limit: 1024 * 1024 })
      if (statusCode !== 200) throw new Error(`${path}: ${statusCode}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, lane))
}
/** Microseconds of the worker's CPU a request. */
async function cost(path: string, count: number): Promise<number> {
  const before = cpuSeconds(worker!)
  await send(path, count)
  return ((cpuSeconds(worker!) - before) * 1_000_000) / count
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

const version = spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr.trim()
console.log(`${version}; CPU of its worker a request, median of ${ROUNDS} rounds by turns`)
for (const [name, path, count] of [
  ['2 KB asked, 4 KB answered', 'small', Math.ceil(requests / ROUNDS)],
  ['2 KB asked, a stream of 100 chunks', 'stream', Math.ceil(requests / ROUNDS / 10)],
] as const) {
  await send(`/plain/${path}`, 500)
  await send(`/tapped/${path}`, 500)
  const plain: number[] = []
  const tapped: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    plain.push(await cost(`/plain/${path}`, count))
    tapped.push(await cost(`/tapped/${path}`, count))
  }
  const [without, having] = [median(plain), median(tapped)]
  console.log(
    `${name.padEnd(36)} without ${without.toFixed(0)} µs, with the tap ${having.toFixed(0)} µs: +${(having - without).toFixed(0)} µs, ${(having / without).toFixed(2)} ×`,
  )
}
if (readFileSync(join(directory, 'captures.jsonl'), 'utf8') !== '') throw new Error('captures were written')
await dispatcher.close()
await nginx.close()
upstream.closeAllConnections()
upstream.close()
rmSync(directory, { recursive: true })
