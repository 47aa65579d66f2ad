import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Answer, askBoard } from '../dashboards/testing/ask-boards.ts'
import { type Board, COMMITTED_BOARDS } from '../dashboards/testing/committed-boards.ts'
import { timeOf } from '../dashboards/testing/grafana-query.ts'
import { type SyntheticSeries, syntheticSeries } from '../dashboards/testing/synthetic-series.ts'
import { type Prometheus, startPrometheus } from '../dev/servers/prometheus.ts'
import { remoteWrite, type StepSeries } from '../dev/servers/remote-write.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { THINNED } from '../monitoring/recorded.ts'
import { RECORDING_GROUPS } from '../monitoring/recording-rules.ts'
import { milliseconds } from '../monitoring/testing/evaluate.ts'

const USAGE = `usage: node bench/board-speed.ts [--tenants 10] [--models 5] [--hours 24] [--every 5] [--rounds 3] [--points N] [--data DIR]
How long each board takes to fill on a real Prometheus: all its queries over its own range, as Grafana asks them, twenty at
a time. History is written first, as densely as shipped: the sidecar's series each --every seconds, recorded ones as often as
their rule. "cpu" is Prometheus's own for one filling, whatever else the machine does: two free cores need half of it. "raw"
is the same board with the counters themselves in place of their thinned rates (monitoring/recorded.ts).
50 tenants with 5 models are 390 million samples, written in 7 minutes. --data keeps them for the next run.
`
const GOAL_SECONDS = 3
const HOUR = 3600
/** Prometheus takes samples that are at most an hour older than its newest. */
const SPAN = 3000
const { values } = parseArgs({
  options: {
    tenants: { type: 'string', default: '10' },
    models: { type: 'string', default: '5' },
    hours: { type: 'string', default: '24' },
    every: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    /** Points of a line, in place of the panels' own. */
    points: { type: 'string' },
    data: { type: 'string' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}
const [tenants, models, hours, every, rounds] = [
  values.tenants,
  values.models,
  values.hours,
  values.every,
  values.rounds,
].map(Number) as [number, number, number, number, number]
const say = (text: string) => process.stdout.write(`${text}\n`)
const intervals = new Map(
  RECORDING_GROUPS.flatMap(({ interval, rules }) => rules.map(({ record }) => [record as string, interval] as const)),
)

const directory = values.data ?? mkdtempSync(join(tmpdir(), 'board-speed-'))
const filled = join(directory, 'filled.json')
let prometheus: Prometheus | undefined
try {
  prometheus = await startPrometheus({
    directory,
    config: { scrape_configs: [] },
    flags: ['--storage.tsdb.retention.time=90d', '--web.enable-remote-write-receiver'],
  })
  const end = existsSync(filled) ? await lastSample(prometheus) : Math.floor(Date.now() / 60_000) * 60
  if (!existsSync(filled)) {
    const began = performance.now()
    const series = syntheticSeries(tenants, models)
    const samples = await fill(prometheus, series, end - (hours + 2) * HOUR, end)
    writeFileSync(filled, '{}')
    say(
      `${tenants} tenants × ${models} models, ${series.length} series, ${hours} h, every ${every} s: ${(samples / 1e6).toFixed(1)} million samples, written in ${Math.round((performance.now() - began) / 1000)} s`,
    )
  }
  const { url } = prometheus
  // Two hours of samples at a time become a block: not while the boards are measured.
  await waitUntil(async () => (await headHours(url)) < 3.1, { withinMs: 900_000, everyMs: 1000 })

  say(`load ${loadavg()[0]!.toFixed(1)}`)
  say('\nboard                      queries  first s  median s    cpu s    raw s  raw cpu s  slowest query')
  for (const board of COMMITTED_BOARDS) await report(prometheus, board, end)
} finally {
  await prometheus?.close()
  if (values.data === undefined) rmSync(directory, { recursive: true, force: true })
}

async function report(on: Prometheus, board: Board, end: number): Promise<void> {
  const { taken, cpu, answers } = await measure(on, board, end)
  const median = medianOf(taken)
  const before = rawBoard(board)
  const raw = JSON.stringify(before) === JSON.stringify(board) ? undefined : await measure(on, before, end)
  const slowest = answers.reduce((slow, answer) => (answer.milliseconds > slow.milliseconds ? answer : slow))
  const cells = [
    board.title.padEnd(26),
    String(answers.length).padStart(7),
    taken[0]!.toFixed(2).padStart(8),
    median.toFixed(2).padStart(9),
    cpu.toFixed(2).padStart(8),
    (raw === undefined ? '' : medianOf(raw.taken).toFixed(2)).padStart(8),
    (raw?.cpu.toFixed(2) ?? '').padStart(10),
    ` ${slowest.name} ${(slowest.milliseconds / 1000).toFixed(2)} s`,
    median <= GOAL_SECONDS ? '' : ` MISSED: over ${GOAL_SECONDS} s`,
  ]
  say(cells.join(' ').trimEnd())
  const empty = answers.filter(({ state }) => state === 'empty').map(({ name }) => name)
  if (empty.length > 0) say(`  without data: ${empty.join('; ')}`)
}
async function measure(
  on: Prometheus,
  board: Board,
  end: number,
): Promise<{ taken: number[]; cpu: number; answers: Answer[] }> {
  const from = Math.max(timeOf(board.time.from, end), end - hours * HOUR)
  const taken: number[] = []
  let answers: Answer[] = []
  const before = await metric(on.url, 'process_cpu_seconds_total')
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    answers = await askBoard(on, board, {
      tenant: 'tenant-0',
      range: { from, to: end },
      ...(values.points !== undefined && { maxDataPoints: Number(values.points) }),
    })
    taken.push((performance.now() - started) / 1000)
  }
  const cpu = ((await metric(on.url, 'process_cpu_seconds_total')) - before) / rounds
  return { taken, cpu, answers }
}
function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!
}
/** The board as it would be without thinned rates. */
function rawBoard(board: Board): Board {
  const text = Object.entries(THINNED).reduce(
    (text, [name, counter]) =>
      text.replaceAll(`avg_over_time(${name}{`, `rate(${counter}${name.includes('_bucket:') ? '_bucket' : ''}{`),
    JSON.stringify(board),
  )
  return JSON.parse(text) as Board
}

/** All series side by side through time, as scrapes write them. */
async function fill(into: Prometheus, all: readonly SyntheticSeries[], start: number, end: number): Promise<number> {
  let written = 0
  for (let from = start; from <= end; from += SPAN) {
    const half = (odd: number) =>
      remoteWrite(
        into.url,
        (function* () {
          for (let index = odd; index < all.length; index += 2) {
            const part = samplesOf(all[index]!, from, Math.min(from + SPAN, end + 1), start)
            written += part.values.length
            yield part
          }
        })(),
      )
    await Promise.all([half(0), half(1)])
  }
  return written
}
function samplesOf(of: SyntheticSeries, from: number, to: number, start: number): StepSeries {
  const { labels, kind, amount } = of
  const { __name__ } = labels
  const step = secondsBetween(labels)
  const first = Math.ceil(from / step) * step
  const values = new Float64Array(Math.max(0, Math.ceil((to - first) / step)))
  if (__name__! in THINNED)
    // Alike ones would be read faster: a value that differs from the one before is stored in full.
    for (let index = 0; index < values.length; index++)
      values[index] = amount * (1 + 0.1 * Math.sin(first / step + index))
  else if (kind === 'gauge') values.fill(amount)
  else
    for (let index = 0; index < values.length; index++)
      values[index] = Math.floor(amount * (first + index * step - start))
  return { labels, start: first * 1000, stepMs: step * 1000, values }
}
function secondsBetween({ __name__, job }: SyntheticSeries['labels']): number {
  const rule = intervals.get(__name__!)
  if (rule !== undefined) return milliseconds(rule) / 1000
  return job === 'llm-observer' ? every : 15
}

async function lastSample(on: Prometheus): Promise<number> {
  return Math.floor((await metric(on.url, 'prometheus_tsdb_head_max_time_seconds')) / 60) * 60
}
async function headHours(url: string): Promise<number> {
  const [from, to] = [
    await metric(url, 'prometheus_tsdb_head_min_time_seconds'),
    await metric(url, 'prometheus_tsdb_head_max_time_seconds'),
  ]
  return (to - from) / HOUR
}
async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)![1])
}
