import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { BENCH_TEXTS, type BenchLoad, type BenchText } from './bench-capture.ts'
import { benchHandOver } from './hand-over.ts'
import { benchPlugin } from './plugin.ts'
import { benchRead } from './read.ts'
import { benchRequestPath } from './request-path.ts'
import { benchSidecar, type SidecarBenchOptions } from './sidecar.ts'
import { makeYardstick, yardstickApart } from './yardstick.ts'

// Everything in one run on one machine, so that the ratios mean something.
const USAGE = `npm run bench [-- options]
  --only    yardstick, read, plugin, sidecar, path   (all of them; the yardstick always)
  --calls   calls that are measured a run of the sidecar, 20000; fewer where a call is large
  --warm    calls before them, 20000
  --text    ${BENCH_TEXTS.join(', ')}
  --batch   captures a request, 100             --bytes   content of a call, 4096
  --chunks  of a streamed answer, 0 = one body  --tenants, --models   1
  --gzip    auto, on, off: of all sinks
  --root    other checkouts whose sidecar is measured as well
  --prof    a folder for CPU profiles of the sidecar
--text and --root: each value with each. Of the others the first of a list is the base; each further value is one more run.
`
/** Above these a run has fewer calls in proportion, so that it takes about as long. */
const PLAIN_BYTES = 16 * 1024
const PLAIN_CHUNKS = 50
const LEAST_CALLS = 1000
/** A plugin sends no more at once. */
const MOST_BATCH_BYTES = 8 * 1024 * 1024
const READ_GOAL = 10_000
const YARDSTICK_CALLS = 10_000
/** Of the yardstick on the sentence, gzip off on loopback. */
const GOALS: Record<BenchText, number> = { sentence: 1.8, prose: 2.6 }

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'yardstick,read,plugin,handover,sidecar,path' },
    calls: { type: 'string', default: '20000' },
    warm: { type: 'string', default: '20000' },
    text: { type: 'string', default: BENCH_TEXTS.join(',') },
    batch: { type: 'string', default: '100' },
    bytes: { type: 'string', default: '4096' },
    chunks: { type: 'string', default: '0' },
    tenants: { type: 'string', default: '1' },
    models: { type: 'string', default: '1' },
    gzip: { type: 'string', default: 'auto' },
    root: { type: 'string', default: '' },
    prof: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}
const say = (text: string) => process.stdout.write(`${text}\n`)
const micros = (value: number) => `${value.toFixed(1)} µs`
const parts = { yardstick: true, read: false, plugin: false, handover: false, sidecar: false, path: false }
for (const part of listOf('only', Object.keys(parts) as (keyof typeof parts)[])) parts[part] = true
const texts = listOf('text', BENCH_TEXTS)

say(`Node ${process.version}; CPU a call, user and system, all threads`)
const sentenceYardstick = makeYardstick('sentence')
const yardstick = () => sentenceYardstick(YARDSTICK_CALLS).totalMicros
const yardsticks = { sentence: sentenceYardstick(YARDSTICK_CALLS), prose: yardstickApart('prose', YARDSTICK_CALLS) }
for (const [text, { parseMicros, appendMicros, spansMicros, totalMicros }] of Object.entries(yardsticks))
  say(
    `yardstick, 4 KB ${text}: JSON.parse ${micros(parseMicros)} + SQLite append ${micros(appendMicros)} + two protobuf spans ${micros(spansMicros)} = ${micros(totalMicros)}`,
  )
say('ratios are to the yardstick on the sentence, as it is right before and after')

if (parts.read)
  for (const { name, exchangesPerSecond } of await benchRead(10_000))
    say(
      `read, 4 KB body, ${name.padEnd(20)} ${exchangesPerSecond} exchanges/s a core; goal ≥ ${READ_GOAL}: ${exchangesPerSecond >= READ_GOAL ? 'met' : 'MISSED'}`,
    )

if (parts.plugin) {
  const { ours, bare } = await benchPlugin()
  say(
    `plugin server (real kong-pdk, tap): ${ours.callsPerSecond} calls/s, ${micros(ours.cpuMicrosPerCall)} = ${(ours.cpuMicrosPerCall / yardstick()).toFixed(2)} × yardstick, ${(ours.cpuMicrosPerCall / bare.cpuMicrosPerCall).toFixed(2)} × a plugin that only asks (${micros(bare.cpuMicrosPerCall)})`,
  )
}

if (parts.handover) {
  const times = await benchHandOver()
  say(
    `SIGTERM until 40 captures are stored: median ${times[Math.floor(times.length / 2)]!.toFixed(1)} ms, longest ${times.at(-1)!.toFixed(1)} ms; Kong leaves 25`,
  )
}

if (parts.sidecar) for (const text of texts) await benchSidecars(text)

if (parts.path) {
  say('\nwhat a client of the stand-in gateway waits, 100 calls/s, the provider answers after 10 ms:')
  const waits = await benchRequestPath()
  const well = waits[0]!
  for (const { name, p50Ms, p95Ms, errors } of waits)
    say(
      `  ${name.padEnd(22)} p50 ${p50Ms.toFixed(1)} ms (${(p50Ms / well.p50Ms).toFixed(2)} ×), p95 ${p95Ms.toFixed(1)} ms, ${errors} errors`,
    )
}

/** The base of this checkout, of the others, then one run for each further value of an option. */
async function benchSidecars(text: BenchText): Promise<void> {
  const own = resolve(import.meta.dirname, '..')
  const lists = {
    batch: numbersOf('batch', 1, 10_000),
    bytes: numbersOf('bytes', 64, 1024 * 1024),
    chunks: numbersOf('chunks', 0, 12_000),
    tenants: numbersOf('tenants', 1, 10_000),
    models: numbersOf('models', 1, 10_000),
    gzip: listOf('gzip', ['auto', 'on', 'off'] as const),
  }
  const base = {
    batch: lists.batch[0]!,
    bytes: lists.bytes[0]!,
    chunks: lists.chunks[0]!,
    tenants: lists.tenants[0]!,
    models: lists.models[0]!,
    gzip: lists.gzip[0]!,
  }
  const run = async (name: string, given: typeof base, root: string) => {
    const { bytes, chunks, tenants, models, gzip } = given
    const load: BenchLoad = { text, bytes, chunks, tenants, models }
    const share = Math.min(1, PLAIN_BYTES / bytes, PLAIN_CHUNKS / Math.max(1, chunks))
    const scaled = (calls: number) => Math.min(calls, Math.max(LEAST_CALLS, Math.round(calls * share)))
    const options: SidecarBenchOptions = {
      load,
      calls: scaled(numbersOf('calls', 1000, 10_000_000)[0]!),
      warm: scaled(numbersOf('warm', 0, 10_000_000)[0]!),
      batch: Math.max(1, Math.min(given.batch, Math.floor(MOST_BATCH_BYTES / (bytes * 1.4)))),
      gzip,
      root,
      profiles: values.prof,
    }
    const before = yardstick()
    const measured = await benchSidecar(options)
    const beside = (before + yardstick()) / 2
    const ratio = measured.cpuMicrosPerCall / beside
    say(
      `sidecar, ${text}, ${name}: ${micros(measured.cpuMicrosPerCall)} = ${ratio.toFixed(2)} × yardstick (${micros(beside)}; ${options.calls} calls after ${options.warm}, ${options.batch} a request; ${measured.callsPerSecond} calls/s; ${measured.sentBytesPerCall} B a call to the sinks)`,
    )
    say(
      `  threads: ${measured.threads
        .filter(({ microsPerCall }) => microsPerCall >= 0.5)
        .map(({ name, microsPerCall }) => `${name} ${microsPerCall.toFixed(0)}`)
        .join(', ')}; resident MiB, a tenth each: ${measured.residentMebibytes.join(' ')}`,
    )
    return ratio
  }
  const shown = Object.entries(base)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
  const measured = await run(shown, base, own)
  const against = (other: number) => say(`  ${(other / measured).toFixed(2)} × the base`)
  if (base.gzip !== 'on' && base.bytes === 4096 && base.chunks === 0)
    say(`  goal ≤ ${GOALS[text]} × yardstick: ${measured <= GOALS[text] ? 'met' : 'MISSED'}`)
  for (const root of values.root.split(',').filter((path) => path !== ''))
    against(await run(`checkout ${root}`, base, resolve(root)))
  for (const option of Object.keys(lists) as (keyof typeof lists)[])
    for (const value of lists[option].slice(1))
      against(await run(`${option} ${value}`, { ...base, [option]: value }, own))
}

function listOf<T extends string>(option: keyof typeof values, allowed: readonly T[]): T[] {
  const given = String(values[option]).split(',') as T[]
  const wrong = given.find((value) => !allowed.includes(value))
  if (wrong !== undefined) fail(`--${option}: ${allowed.join(', ')}, not ${wrong}`)
  return given
}

function numbersOf(option: keyof typeof values, least: number, most: number): number[] {
  const given = String(values[option]).split(',').map(Number)
  if (given.some((value) => !Number.isInteger(value) || value < least || value > most))
    fail(`--${option}: whole numbers from ${least} to ${most}, not ${values[option]}`)
  return given
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}
