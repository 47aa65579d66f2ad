import { parseArgs } from 'node:util'
import { benchHandOver } from './hand-over.ts'
import { benchPlugin } from './plugin.ts'
import { benchRead } from './read.ts'
import { benchRequestPath } from './request-path.ts'
import { benchSidecar } from './sidecar.ts'
import { measureYardstick } from './yardstick.ts'

// npm run bench [-- --calls 200000]: everything in one run on one machine, so that the ratios mean something.
const DEFAULT_CALLS = 40_000
const GOAL_MICROS = 200
const READ_GOAL = 10_000

const { values } = parseArgs({ options: { calls: { type: 'string' } } })
const calls = Number(values.calls ?? DEFAULT_CALLS)
if (!Number.isInteger(calls) || calls < 1000 || calls > 1_000_000) {
  process.stderr.write(`--calls: give a whole number from 1000 to 1000000, not ${values.calls}\n`)
  process.exit(2)
}
const say = (text: string) => process.stdout.write(`${text}\n`)
const micros = (value: number) => `${value.toFixed(1)} µs`

say(`Node ${process.version}, 4 KB of content a call\n`)
const yardstick = measureYardstick(10_000)
say(
  `yardstick, CPU a call: JSON.parse ${micros(yardstick.parseMicros)} + SQLite append ${micros(yardstick.appendMicros)} + two protobuf spans ${micros(yardstick.spansMicros)} = ${micros(yardstick.totalMicros)}`,
)

for (const { name, exchangesPerSecond } of await benchRead(10_000))
  say(
    `read, 4 KB body, ${name.padEnd(20)} ${exchangesPerSecond} exchanges/s a core; goal ≥ ${READ_GOAL}: ${exchangesPerSecond >= READ_GOAL ? 'met' : 'MISSED'}`,
  )

const plugin = await benchPlugin()
say(
  `plugin server (real kong-pdk, tap):   ${plugin.ours.callsPerSecond} calls/s, ${micros(plugin.ours.cpuMicrosPerCall)} CPU a call, ${(plugin.ours.cpuMicrosPerCall / yardstick.totalMicros).toFixed(2)} × yardstick, ${(plugin.ours.cpuMicrosPerCall / plugin.bare.cpuMicrosPerCall).toFixed(2)} × a plugin that only asks (${micros(plugin.bare.cpuMicrosPerCall)})`,
)

const handOver = await benchHandOver()
say(
  `SIGTERM until 40 captures are stored: median ${handOver[Math.floor(handOver.length / 2)]!.toFixed(1)} ms, longest ${handOver.at(-1)!.toFixed(1)} ms; Kong leaves 25`,
)

const sidecar = await benchSidecar(calls)
say(
  `sidecar (ledger, OTLP, Langfuse, Loki): ${sidecar.callsPerSecond} calls/s, ${micros(sidecar.cpuMicrosPerCall)} CPU a call, ${(sidecar.cpuMicrosPerCall / yardstick.totalMicros).toFixed(2)} × yardstick; goal < ${GOAL_MICROS} µs: ${sidecar.cpuMicrosPerCall < GOAL_MICROS ? 'met' : 'MISSED'}`,
)
say(`resident memory over ${calls} calls, a tenth each, MiB: ${sidecar.residentMebibytes.join(' ')}`)

say('\nwhat a client of the stand-in gateway waits, 100 calls/s, the provider answers after 10 ms:')
const waits = await benchRequestPath()
const well = waits[0]!
for (const { name, p50Ms, p95Ms, errors } of waits)
  say(
    `  ${name.padEnd(22)} p50 ${p50Ms.toFixed(1)} ms (${(p50Ms / well.p50Ms).toFixed(2)} ×), p95 ${p95Ms.toFixed(1)} ms, ${errors} errors`,
  )
