import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Reading } from '../sidecar/dialects/dialect.ts'
import { read } from '../sidecar/dialects/index.ts'
import { countTokens } from '../sidecar/estimate/encode.ts'
import { planEstimate, withEstimate } from '../sidecar/estimate/estimate.ts'
import { parseExchangeLine } from '../sidecar/read-command/exchange-line.ts'

// node bench/estimates.ts: how good estimates are. Recorded answers that do report usage, estimated as if they did not.
const FILE = join(import.meta.dirname, '../../shared/data/provider-exchanges/exchanges.jsonl')
if (!existsSync(FILE)) {
  process.stderr.write('../shared/data/provider-exchanges is not beside the checkout: nothing to compare with\n')
  process.exit(2)
}

interface Errors {
  input: number[]
  output: number[]
}
const groups = new Map<string, Errors>()

for (const text of readFileSync(FILE, 'utf8').trimEnd().split('\n')) {
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
  const errors = groups.get(key) ?? { input: [], output: [] }
  groups.set(key, errors)
  errors.input.push(relative(counted.counts.input ?? 0, truth.counts.input))
  if (hidden <= 0 && (truth.counts.output ?? 0) > 0)
    errors.output.push(relative(counted.counts.output ?? 0, truth.counts.output ?? 0))
}

function relative(estimate: number, truth: number): number {
  return truth === 0 ? 0 : (estimate - truth) / truth
}
function quantile(values: readonly number[], share: number): string {
  if (values.length === 0) return '–'
  const sorted = [...values].sort((a, b) => a - b)
  return `${(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]! * 100).toFixed(0)} %`
}
const line = (cells: readonly string[]) =>
  `${cells[0]!.padEnd(52)}${cells
    .slice(1)
    .map((cell) => cell.padStart(9))
    .join('')}\n`
process.stdout.write(line(['estimate against truth', 'rows', 'in p50', 'in p95', 'out p50', 'out p95']))
for (const [key, { input, output }] of [...groups].sort(([, a], [, b]) => b.input.length - a.input.length)) {
  const absolute = (values: number[]) => values.map(Math.abs)
  process.stdout.write(
    line([
      key,
      String(input.length),
      quantile(input, 0.5),
      quantile(absolute(input), 0.95),
      quantile(output, 0.5),
      quantile(absolute(output), 0.95),
    ]),
  )
}
