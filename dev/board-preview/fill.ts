import { execFile } from 'node:child_process'
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { RECORDING_GROUPS, type RecordingRule } from '../../monitoring/recording-rules.ts'
import { makeChild } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import { binary } from '../servers/binary.ts'
import { startPrometheus } from '../servers/prometheus.ts'
import { shippedPrometheus } from '../servers/shipped-prometheus.ts'
import { waitUntil } from '../wait-until.ts'
import { type Made, makeDay } from './day.ts'
import { makeKongSeries, serveText } from './kong-series.ts'

const ROOT = join(import.meta.dirname, '../..')
const SECOND = 1000
const HOUR = 3_600_000
/** The sidecar takes so many captures at a time. */
const BATCH = 200
/** What is kept of the days before the last: what the SLO board and the ceilings look back on. */
const LONG =
  /^(llm_calls_total|llm_cost_usd_total|llm_rate_limited_calls_total|llm_latency_seconds_|llm_budget_|observer_store_writable|up)/
const TARGET = { environment: 'production', region: 'local' }

const USAGE = `usage: node dev/board-preview/fill.ts [--port N] [--days 7] [--minutes 60] [--seed 1]
A week of made-up calls, told to a real sidecar whose clock runs fast; its /metrics as the history of a real Prometheus
with the shipped rules; then live. Ends by itself after --minutes, or on Ctrl-C.
`
const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    days: { type: 'string', default: '7' },
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}
const say = (text: string) => process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)

const directory = mkdtempSync(join(tmpdir(), 'board-preview-'))
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

const sink = createServer((request, response) => {
  request.resume()
  request.on('end', () => response.writeHead(request.url?.includes('loki') ? 204 : 200).end())
})
await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve))
const sinkUrl = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`

// The clock of the sidecar: milliseconds that it is behind, as a float64 in a file (set-clock.mjs).
const clockFile = join(directory, 'clock')
writeFileSync(clockFile, new Uint8Array(8))
const clock = openSync(clockFile, 'r+')
const setBehind = (milliseconds: number) =>
  writeSync(clock, new Uint8Array(new Float64Array([milliseconds]).buffer), 0, 8, 0)

const began = Date.now()
const from = began - Number(values.days) * 24 * HOUR
setBehind(began - from)
/** About when the clock will be right again: what happens in the day is told from here. */
const end = began + 10 * 60 * SECOND

const port = await freePort()
const sidecarUrl = `http://127.0.0.1:${port}`
const configFile = join(directory, 'observer.yaml')
writeFileSync(
  configFile,
  JSON.stringify({
    listen: { port },
    data: join(directory, 'data'),
    log: { level: 'WARN' },
    budgets: {
      tenants: {
        assistant: { day: 100, month: 750 },
        support: { day: 50, week: 225, month: 550 },
        search: { month: 60 },
        research: { week: 200, month: 500 },
      },
    },
    exporters: {
      otlp: { endpoint: sinkUrl },
      langfuse: { url: sinkUrl, publicKey: 'pk-lf-preview', secretKey: 'sk-lf-preview' },
      loki: { url: sinkUrl },
    },
  }),
)
const sidecar = makeChild({
  name: 'sidecar',
  command: process.execPath,
  args: [join(ROOT, 'sidecar/main.ts'), '--config', configFile],
  env: { NODE_OPTIONS: `--import ${join(import.meta.dirname, 'set-clock.mjs')}`, PREVIEW_CLOCK: clockFile },
  logFile: join(directory, 'sidecar.log'),
  ready: async () => (await fetch(`${sidecarUrl}/readyz`)).ok,
})
const open: (() => unknown)[] = [() => sidecar.kill('SIGTERM'), () => sink.close()]
try {
  await sidecar.start()
  await run()
} finally {
  for (const close of open.reverse()) await close()
  rmSync(directory, { recursive: true, force: true })
}

async function run(): Promise<void> {
  say(`sidecar at ${sidecarUrl}, its clock at ${new Date(from).toISOString()}`)

  const kong = makeKongSeries()
  async function tell(made: readonly Made[]): Promise<void> {
    kong.note(made.map(({ request }) => request))
    for (let at = 0; at < made.length; at += BATCH) {
      const captures = made.slice(at, at + BATCH).map(({ capture }) => capture)
      const response = await fetch(`${sidecarUrl}/v1/captures`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ v: 1, plugin: { version: 'preview', instance: 'preview' }, dropped: [], captures }),
      })
      if (response.status !== 202) throw new Error(`the sidecar answered ${response.status}: ${await response.text()}`)
    }
  }

  /** /metrics once all sinks have settled everything; after half a second as it is. */
  async function settledMetrics(): Promise<{ text: string; seconds: number }> {
    const until = performance.now() + 500
    for (;;) {
      const started = performance.now()
      const text = await (await fetch(`${sidecarUrl}/metrics`)).text()
      const seconds = (performance.now() - started) / 1000
      if (!/^observer_sink_lag_calls\{[^}]*\} [1-9]/m.test(text) || performance.now() > until) return { text, seconds }
      await wait(3)
    }
  }

  const samples = join(directory, 'prometheus', 'samples')
  mkdirSync(samples, { recursive: true })
  const history = makeHistory()
  const day = makeDay(Number(values.seed), end)
  let calls = 0
  let at = from
  // Wider steps long ago; from the last hours on as Prometheus scrapes.
  const stepAt = (time: number) => (end - time > 25 * HOUR ? 120 : end - time > 6.5 * HOUR ? 60 : 15) * SECOND
  let saidAt = 0
  // No tick ends in the future: a scrape in between would tell more than the tick after it, and a counter would fall.
  while (at + stepAt(at) <= Date.now() && !stop.signal.aborted) {
    const next = at + stepAt(at)
    const made = day.calls(at, next)
    setBehind(Date.now() - next)
    await tell(made)
    calls += made.length
    at = next
    const { text, seconds } = await settledMetrics()
    await history.write(at, { sidecar: text, kong: kong.text(), scrapeSeconds: seconds })
    if (Date.now() - saidAt > 30 * SECOND) {
      saidAt = Date.now()
      say(`${new Date(at).toISOString()}: ${calls} calls`)
    }
  }
  await history.close()
  if (stop.signal.aborted) return
  setBehind(0)
  say(`the sidecar's clock is right; ${calls} calls so far; live from here on`)

  const kongPort = await freePort()
  const kongServer = await serveText(() => kong.text(), kongPort)
  open.push(() => kongServer.close())
  const prometheusPort = values.port === undefined ? await freePort() : Number(values.port)
  const shipped = shippedPrometheus({
    targets: {
      'llm-observer': `127.0.0.1:${port}`,
      kong: `127.0.0.1:${kongPort}`,
      prometheus: `127.0.0.1:${prometheusPort}`,
    },
  })
  const NAMES: Record<string, string> = {
    'llm-observer': 'sidecar:8086',
    kong: 'kong:8100',
    prometheus: 'prometheus:9090',
  }
  const config = {
    ...shipped,
    scrape_configs: shipped.scrape_configs.map((job) => ({
      ...job,
      // The names that the history has.
      static_configs: job.static_configs.map((one) => ({
        ...one,
        labels: { ...one.labels, instance: NAMES[job.job_name]! },
      })),
    })),
  }
  const prometheus = await startPrometheus({
    directory: join(directory, 'prometheus'),
    port: prometheusPort,
    // Without rules until there is a past to reckon them from.
    config: { ...config, rule_files: [] },
    flags: ['--enable-feature=exemplar-storage', '--storage.tsdb.retention.time=90d'],
  })
  open.push(() => prometheus.close())
  const live = (async () => {
    while (!stop.signal.aborted) {
      const now = Date.now()
      const made = day.calls(at, now)
      at = now
      await tell(made)
      await wait(2 * SECOND, undefined, { signal: stop.signal }).catch(() => {})
    }
  })()

  for (const file of history.files()) await promtool(['tsdb', 'create-blocks-from', 'openmetrics', file, samples])
  say('history is in blocks')
  const oldest = Math.floor(from / SECOND)
  const isLoaded = async (expr: string, time: number) => (await prometheus.query(expr, time)).length > 0
  for (const time of [oldest + 3600, Date.now() / SECOND - 1800])
    await waitUntil(() => isLoaded('llm_calls_total', time), { withinMs: 150 * SECOND })
  // A rule that reads what another one records finds it only once its blocks are loaded.
  for (const [floor, rules] of recordingFloors().entries()) {
    const file = join(directory, `floor-${floor}.yaml`)
    const blocks = join(directory, `floor-${floor}`)
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'floor', rules }] }))
    await promtool([
      'tsdb',
      'create-blocks-from',
      'rules',
      `--start=${oldest + 600}`,
      `--end=${Math.floor(Date.now() / SECOND)}`,
      '--eval-interval=60s',
      `--url=${prometheus.url}`,
      `--output-dir=${blocks}`,
      file,
    ])
    for (const block of readdirSync(blocks)) renameSync(join(blocks, block), join(samples, block))
    const { record, labels = {} } = rules.at(-1)!
    const matchers = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    for (const time of [oldest + 3600, Date.now() / SECOND - 1800])
      await waitUntil(() => isLoaded(`${record}{${matchers.join()}}`, time), { withinMs: 150 * SECOND })
    say(`recorded series: floor ${floor + 1}, ${rules.length} rules`)
  }
  await prometheus.reload(config)
  say(`ready: node dev/board-preview/preview.ts --prometheus ${prometheus.url}`)

  await wait(Number(values.minutes) * 60 * SECOND, undefined, { signal: stop.signal }).catch(() => {})
  stop.abort()
  await live
}

/** Recording rules by how many of them stand below each; those for anomalies are on no board. */
function recordingFloors(): RecordingRule[][] {
  const floors: RecordingRule[][] = []
  const rules = RECORDING_GROUPS.flatMap((group) => (group.name === 'llm-anomalies' ? [] : group.rules))
  const floorOf = ({ expr }: RecordingRule): number =>
    Math.max(0, ...rules.filter(({ record }) => expr.includes(record)).map((below) => floorOf(below) + 1))
  for (const rule of rules) {
    const floor = floorOf(rule)
    floors[floor] ??= []
    floors[floor].push(rule)
  }
  return floors
}

/** A process beside this one, which goes on sending calls and answering scrapes. */
async function promtool(args: string[]): Promise<void> {
  try {
    await promisify(execFile)(binary('promtool'), args, { maxBuffer: 64 * 1024 * 1024 })
  } catch (error) {
    throw new Error(`promtool ${args.slice(0, 4).join(' ')}: ${(error as { stderr?: string }).stderr ?? error}`)
  }
}

/** OpenMetrics text, a file for every two hours: promtool reads a file once for each block in it. */
function makeHistory() {
  const folder = join(directory, 'history')
  mkdirSync(folder)
  let open: { name: string; stream: ReturnType<typeof createWriteStream> } | undefined
  async function finish() {
    if (open === undefined) return
    const { stream } = open
    open = undefined
    await new Promise<void>((resolve) => stream.end('# EOF\n', resolve))
  }
  const labelled = (text: string, labels: Record<string, string>, long: boolean, time: number) => {
    const own = Object.entries(labels)
      .map(([label, value]) => `${label}="${value}"`)
      .join(',')
    let out = ''
    for (const line of text.split('\n')) {
      if (line === '' || line.startsWith('#') || (long && !LONG.test(line))) continue
      const brace = line.indexOf('{')
      const close = line.lastIndexOf('}')
      const space = line.indexOf(' ', close + 1)
      const value = line.slice(space + 1)
      if (value === 'Nan' || value === 'NaN') continue
      const name = brace < 0 ? line.slice(0, space) : line.slice(0, brace)
      const labelsOfLine = brace < 0 || close === brace + 1 ? own : `${line.slice(brace + 1, close)},${own}`
      // Prometheus writes a bucket's bound as a float.
      out += `${name}{${labelsOfLine.replace(/le="(\d+)"/, 'le="$1.0"')}} ${value} ${time / SECOND}\n`
    }
    return out
  }
  return {
    async write(time: number, scrape: { sidecar: string; kong: string; scrapeSeconds: number }) {
      const name = join(folder, `${Math.floor(time / (2 * HOUR))}.txt`)
      if (open?.name !== name) {
        await finish()
        open = { name, stream: createWriteStream(name) }
      }
      const long = end - time > 25 * HOUR
      const count = scrape.sidecar.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
      const up = `up 1\nscrape_duration_seconds ${scrape.scrapeSeconds}\nscrape_samples_scraped ${count}\n`
      const ofSidecar = { job: 'llm-observer', instance: 'sidecar:8086', ...TARGET }
      const ofKong = { job: 'kong', instance: 'kong:8100', ...TARGET }
      const text =
        labelled(scrape.sidecar + up, ofSidecar, long, time) +
        (long ? '' : labelled(`${scrape.kong}up 1\n`, ofKong, long, time))
      if (!open.stream.write(text)) await new Promise<void>((resolve) => open!.stream.once('drain', resolve))
    },
    close: finish,
    files: () => readdirSync(folder).map((name) => join(folder, name)),
  }
}
