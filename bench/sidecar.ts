import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { stringify } from 'yaml'
import { makeChild } from '../dev/child-process.ts'
import { freePort } from '../dev/free-port.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { type BenchLoad, makeBenchCaptures } from './bench-capture.ts'
import { openCountingSink } from './counting-sink.ts'
import { cpuByName, residentMebibytes, type ThreadCpu, threadsCpu } from './process-cost.ts'

export interface SidecarBenchOptions {
  load: BenchLoad
  /** Measured, after `warm` others: until then the compiler is in the figure. */
  calls: number
  warm: number
  /** Captures a request. */
  batch: number
  /** auto: as the sidecar does it by default. */
  gzip: 'on' | 'off' | 'auto'
  /** The checkout whose sidecar is measured. */
  root: string
  /** A folder for CPU profiles. */
  profiles?: string | undefined
}

export interface SidecarBench {
  callsPerSecond: number
  cpuMicrosPerCall: number
  threads: { name: string; microsPerCall: number }[]
  /** Resident memory after each tenth of the calls. */
  residentMebibytes: number[]
  /** What all sinks got of a call, as it came. */
  sentBytesPerCall: number
}

/** How long the sidecar is left alone before its CPU is read, so that what it does afterwards is in the figure. */
const REST_MS = 300
const MAX_BODY_BYTES = 64 * 1024 * 1024

/**
 * The sidecar as a process with ledger, OTLP, Langfuse and Loki, fed over its unix socket. Only its doors are used:
 * captures go in, and what the sinks have got says how far it is.
 */
export async function benchSidecar(options: SidecarBenchOptions): Promise<SidecarBench> {
  const { load, batch, root } = options
  const directory = mkdtempSync(join(tmpdir(), 'bench-sidecar-'))
  const sinks = [
    await openCountingSink(200, 'kong.llm.call.id'),
    // With its quotes: a text that speaks of the same name has them escaped.
    await openCountingSink(200, '"key":"langfuse.observation.metadata.cost_state"'),
    await openCountingSink(204, '"call_id"'),
  ]
  const socket = join(directory, 's.sock')
  const config = join(directory, 'observer.yaml')
  const port = await freePort()
  const gzip = options.gzip === 'auto' ? {} : { gzip: options.gzip === 'on' }
  writeFileSync(
    config,
    stringify({
      listen: { port, socket, maxBodyBytes: MAX_BODY_BYTES },
      data: join(directory, 'data'),
      log: { level: 'WARN' },
      content: { maxBytes: Math.max(64 * 1024, load.bytes * 2) },
      exporters: {
        otlp: { endpoint: sinks[0]!.url, ...gzip },
        langfuse: { url: sinks[1]!.url, publicKey: 'pk', secretKey: 'sk', ...gzip },
        loki: { url: sinks[2]!.url, ...gzip },
      },
    }),
  )
  const profiling = options.profiles === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options.profiles]
  const sidecar = makeChild({
    name: 'sidecar',
    command: process.execPath,
    args: [...profiling, join(root, 'sidecar/main.ts'), '--config', config],
    logFile: join(directory, 'log'),
    ready: async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok,
  })
  await sidecar.start()
  const pool = new Pool('http://localhost', { connections: 2, socketPath: socket })
  const captureOf = makeBenchCaptures(load)
  // Each checkout is fed in its own version of the contract.
  const { CAPTURE_VERSION: v } = (await import(join(root, 'sidecar/capture.ts'))) as { CAPTURE_VERSION: number }
  const epoch = randomBytes(16).toString('hex')
  let sent = 0
  const push = async (): Promise<void> => {
    const captures = Array.from({ length: batch }, () => ({ ...captureOf(++sent), v, epoch }))
    const body = JSON.stringify({
      v,
      plugin: { version: 'bench', instance: 'bench' },
      ...(captures[0]!.v === 1 ? { dropped: [] } : {}),
      captures,
    })
    for (;;) {
      const response = await pool.request({
        method: 'POST',
        path: '/v1/captures',
        headers: { 'content-type': 'application/json' },
        body,
      })
      const text = await response.body.text()
      if (response.statusCode === 202) return
      if (response.statusCode !== 503) throw new Error(`the sidecar answered ${response.statusCode}: ${text}`)
      await sleep(100)
    }
  }
  const drained = () =>
    waitUntil(
      async () => {
        const counts = sinks.map(({ calls }) => calls())
        return { done: counts.every((count) => count >= sent), seen: `${counts.join(', ')} of ${sent} calls` }
      },
      { withinMs: 300_000, everyMs: 20 },
    )
  const pushAll = async (calls: number): Promise<void> => {
    for (let left = calls; left > 0; left -= batch) await push()
    await drained()
  }
  try {
    await pushAll(options.warm)
    await sleep(REST_MS)
    const resident: number[] = []
    const before = { sent, bytes: sum(sinks.map(({ bytes }) => bytes())), threads: threadsCpu(sidecar.pid) }
    const started = performance.now()
    for (let tenth = 0; tenth < 10; tenth++) {
      await pushAll(options.calls / 10)
      resident.push(Math.round(residentMebibytes(sidecar.pid)))
    }
    const seconds = (performance.now() - started) / 1000
    await sleep(REST_MS)
    const threads = cpuByName(before.threads, threadsCpu(sidecar.pid))
    const calls = sent - before.sent
    for (const sink of sinks) if (sink.calls() !== sent) throw new Error(`a sink got ${sink.calls()} of ${sent} calls`)
    const micros = (used: readonly ThreadCpu[]) => sum(used.map(({ nanoseconds }) => nanoseconds)) / 1000 / calls
    return {
      callsPerSecond: Math.round(calls / seconds),
      cpuMicrosPerCall: micros(threads),
      threads: threads.map((thread) => ({ name: thread.name, microsPerCall: micros([thread]) })),
      residentMebibytes: resident,
      sentBytesPerCall: Math.round((sum(sinks.map(({ bytes }) => bytes())) - before.bytes) / calls),
    }
  } finally {
    await pool.close()
    await sidecar.kill('SIGTERM')
    for (const sink of sinks) sink.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
