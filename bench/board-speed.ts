import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { binary } from '../dev/servers/binary.ts'
import { type Prometheus, startPrometheus } from '../dev/servers/prometheus.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { type Answer, askBoard } from '../monitoring/testing/ask-boards.ts'
import { type Board, COMMITTED_BOARDS } from '../monitoring/testing/committed-boards.ts'
import { timeOf } from '../monitoring/testing/grafana-query.ts'
import { type SyntheticSeries, syntheticSeries } from '../monitoring/testing/synthetic-series.ts'

const USAGE = `usage: node bench/board-speed.ts [--tenants 50] [--models 5] [--hours 24] [--spacing 60] [--rounds 3] [--points N]
How long each board takes to fill on a real Prometheus: all its queries over its own range, as Grafana asks them, twenty at
a time. History is backfilled: --spacing seconds between samples, half of it within the last 7 hours, so that the boards of 6
hours have something to draw. The shipped scrape is every 5 s: 12 times the samples of 60, and the text of them is too long.
`
const GOAL_SECONDS = 3
const HOUR = 3600
const { values } = parseArgs({
  options: {
    tenants: { type: 'string', default: '50' },
    models: { type: 'string', default: '5' },
    hours: { type: 'string', default: '24' },
    spacing: { type: 'string', default: '60' },
    rounds: { type: 'string', default: '3' },
    /** Points of a line, in place of the panels' own. */
    points: { type: 'string' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}
const [tenants, models, hours, spacing, rounds] = [
  values.tenants,
  values.models,
  values.hours,
  values.spacing,
  values.rounds,
].map(Number) as [number, number, number, number, number]
const say = (text: string) => process.stdout.write(`${text}\n`)

const directory = mkdtempSync(join(tmpdir(), 'board-speed-'))
let prometheus: Prometheus | undefined
try {
  const end = Math.floor(Date.now() / 1000 / spacing) * spacing
  const series = syntheticSeries(tenants, models)
  const began = performance.now()
  const samples = await backfill(series, end - (hours + 2) * HOUR, end)
  const seconds = Math.round((performance.now() - began) / 1000)
  say(
    `${tenants} tenants × ${models} models, ${series.length} series, ${hours} h, a sample every ${spacing} s (${spacing / 2} s within 7 h): ${(samples / 1e6).toFixed(1)} million samples, backfilled in ${seconds} s`,
  )
  prometheus = await startPrometheus({
    directory: join(directory, 'prometheus'),
    config: { scrape_configs: [] },
    flags: ['--storage.tsdb.retention.time=90d'],
  })
  const { query } = prometheus
  await waitUntil(async () => (await query('up', end)).length === 2, { withinMs: 120_000 })

  say('\nboard                      queries  first s  median s  slowest query')
  for (const board of COMMITTED_BOARDS) await measure(prometheus, board, end)
} finally {
  await prometheus?.close()
  rmSync(directory, { recursive: true, force: true })
}

async function measure(on: Prometheus, board: Board, end: number): Promise<void> {
  const from = Math.max(timeOf(board.time.from, end), end - hours * HOUR)
  const taken: number[] = []
  let answers: Answer[] = []
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    answers = await askBoard(on, board, {
      tenant: 'tenant-0',
      range: { from, to: end },
      ...(values.points !== undefined && { maxDataPoints: Number(values.points) }),
    })
    taken.push((performance.now() - started) / 1000)
  }
  const slowest = answers.reduce((slow, answer) => (answer.milliseconds > slow.milliseconds ? answer : slow))
  const sorted = taken.toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)]!
  const cells = [
    board.title.padEnd(26),
    String(answers.length).padStart(7),
    taken[0]!.toFixed(2).padStart(8),
    median.toFixed(2).padStart(9),
    ` ${slowest.name} ${(slowest.milliseconds / 1000).toFixed(2)} s`,
    median <= GOAL_SECONDS ? '' : ` MISSED: over ${GOAL_SECONDS} s`,
  ]
  say(cells.join(' '))
  const empty = answers.filter(({ state }) => state === 'empty').map(({ name }) => name)
  if (empty.length > 0) say(`  without data: ${empty.join('; ')}`)
}

/** A file for every two hours: promtool reads a file once for each block in it. */
async function backfill(all: readonly SyntheticSeries[], start: number, end: number): Promise<number> {
  const samples = join(directory, 'prometheus', 'samples')
  mkdirSync(samples, { recursive: true })
  const span = 2 * HOUR
  const spacingAt = (at: number) => (at < end - 7 * HOUR ? spacing : spacing / 2)
  let written = 0
  for (let from = Math.floor(start / span) * span; from < end; from += span) {
    const file = join(directory, 'history.txt')
    const stream = createWriteStream(file)
    for (let at = Math.max(from, start); at < Math.min(from + span, end + 1); at += spacingAt(at)) {
      written += all.length
      for (let index = 0; index < all.length; index += 1000) {
        const lines = all.slice(index, index + 1000).map(lineAt(at, at - start))
        if (!stream.write(lines.join(''))) await once(stream, 'drain')
      }
    }
    stream.end('# EOF\n')
    await once(stream, 'close')
    await promisify(execFile)(binary('promtool'), ['tsdb', 'create-blocks-from', 'openmetrics', '-q', file, samples], {
      maxBuffer: 64 * 1024 * 1024,
    })
  }
  return written
}
function lineAt(at: number, seconds: number) {
  return ({ text, kind, amount }: SyntheticSeries) =>
    `${text} ${kind === 'counter' ? Math.floor(amount * seconds) : amount} ${at}\n`
}
