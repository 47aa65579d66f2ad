import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Reading } from '../sidecar/dialects/dialect.ts'
import { read } from '../sidecar/dialects/index.ts'
import { countTokens } from '../sidecar/estimate/encode.ts'
import { planEstimate, withEstimate } from '../sidecar/estimate/estimate.ts'
import { parseExchangeLine } from '../sidecar/read-command/exchange-line.ts'

// node bench/estimates.ts: how good estimates are. Recorded answers that do report usage, estimated as if they did not:
// the absolute error of the median and of the 95th call in a hundred, and how much all calls together are off.
const FILE = join(import.meta.dirname, '../../shared/data/provider-exchanges/exchanges.jsonl')
if (!existsSync(FILE)) {
  process.stderr.write('../shared/data/provider-exchanges is not beside the checkout: nothing to compare with\n')
  process.exit(2)
}

interface Side {
  errors: number[]
  estimated: number
  reported: number
}
interface Errors {
  rows: number
  input: Side
  output: Side
}
const newSide = (): Side => ({ errors: [], estimated: 0, reported: 0 })
const groups = new Map<string, Errors>()

for (const text of readFileSync(FILE, 'utf8').trimEnd().split('\n')) {
  // Where the recorder left something out, the text is not what the provider read.
  if (text.includes('base64 omitted')) continue
  const row = JSON.parse(text) as { provider: string }
  const { exchange } = parseExchangeLine(text, () => 0)
  const truth = read(exchange)
  if (truth.usageSource !== 'provider' || truth.counts.input === undefined) continue
  const silent: Reading = {
    ...truth,
    counts: {},
    usage: {},
    usageSource: 'unknown',
    usageReason: 'stream_without_usage',
  }
  const plan = planEstimate(silent)
  // Pictures, sounds and hidden thoughts cannot be counted; the row says that they are there.
  if (plan === undefined || plan.lowerBound) continue
  const counted = withEstimate(
    silent,
    plan,
    plan.job.texts.map((piece) => countTokens(piece, plan.job.encoding)),
  )
  const hidden = (truth.counts.reasoning ?? 0) - (counted.counts.reasoning ?? 0)
  const tools = truth.content?.tools === undefined ? '' : ', with tools'
  const key = `${plan.standIn ? `${row.provider} (o200k_base as a stand-in)` : row.provider}${tools}`
  const errors = groups.get(key) ?? { rows: 0, input: newSide(), output: newSide() }
  groups.set(key, errors)
  errors.rows++
  add(errors.input, counted.counts.input, truth.counts.input)
  if (hidden <= 0) add(errors.output, counted.counts.output, truth.counts.output)
}

function add(side: Side, estimated: number | undefined, reported: number | undefined): void {
  if (estimated === undefined || reported === undefined || reported === 0) return
  side.errors.push(Math.abs(estimated - reported) / reported)
  side.estimated += estimated
  side.reported += reported
}
const percent = (value: number) => `${(value * 100).toFixed(0)} %`
function quantile(values: readonly number[], share: number): string {
  if (values.length === 0) return '–'
  const sorted = [...values].sort((a, b) => a - b)
  return percent(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!)
}
const cells = ({ errors, estimated, reported }: Side) => [
  quantile(errors, 0.5),
  quantile(errors, 0.95),
  errors.length === 0 ? '–' : percent((estimated - reported) / reported),
]
const line = ([name = '', ...columns]: readonly string[]) =>
  `${name.padEnd(54)}${columns.map((column) => column.padStart(9)).join('')}\n`
process.stdout.write(
  line(['estimate against truth', 'rows', 'in p50', 'in p95', 'in all', 'out p50', 'out p95', 'out all']),
)
for (const [key, { rows, input, output }] of [...groups].sort(([, a], [, b]) => b.rows - a.rows))
  process.stdout.write(line([key, String(rows), ...cells(input), ...cells(output)]))
