import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'undici'
import { stringify } from 'yaml'
import { makeChild } from '../dev/child-process.ts'
import { freePort } from '../dev/free-port.ts'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { benchCapture } from './bench-capture.ts'
import { cpuSeconds, residentMebibytes } from './process-cost.ts'

const BATCH = 100

export interface SidecarBench {
  calls: number
  callsPerSecond: number
  cpuMicrosPerCall: number
  /** Resident memory after each tenth of the calls. */
  residentMebibytes: number[]
}

/** A sink that takes everything and looks at nothing, so that only the sidecar's work is measured. */
async function openSink(status: number): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => response.writeHead(status).end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

/** The sidecar as a process, 4 KB content, ledger, OTLP, Langfuse and Loki on, fed over its unix socket. */
export async function benchSidecar(calls: number): Promise<SidecarBench> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-sidecar-'))
  const sinks = [await openSink(200), await openSink(200), await openSink(204)]
  const socket = join(directory, 's.sock')
  const config = join(directory, 'observer.yaml')
  const port = await freePort()
  writeFileSync(
    config,
    stringify({
      listen: { port, socket },
      data: join(directory, 'data'),
      log: { level: 'WARN' },
      exporters: {
        otlp: { endpoint: urlOf(sinks[0]!) },
        langfuse: { url: urlOf(sinks[1]!), publicKey: 'pk', secretKey: 'sk' },
        loki: { url: urlOf(sinks[2]!) },
      },
    }),
  )
  const metrics = `http://127.0.0.1:${port}/metrics`
  const sidecar = makeChild({
    name: 'sidecar',
    command: process.execPath,
    args: [join(import.meta.dirname, '../sidecar/main.ts'), '--config', config],
    logFile: join(directory, 'log'),
    ready: async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok,
  })
  await sidecar.start()
  const pool = new Pool('http://localhost', { connections: 2, socketPath: socket })
  try {
    let n = 0
    const push = async (): Promise<void> => {
      const captures = Array.from({ length: BATCH }, () => benchCapture(++n))
      const body = JSON.stringify({ v: 1, plugin: { version: 'bench', instance: 'bench' }, dropped: [], captures })
      for (;;) {
        const response = await pool.request({
          method: 'POST',
          path: '/v1/captures',
          headers: { 'content-type': 'application/json' },
          body,
        })
        await response.body.dump()
        if (response.statusCode === 202) return
        if (response.statusCode !== 503) throw new Error(`the sidecar answered ${response.statusCode}`)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    const drained = () =>
      waitUntil(async () => sumOfMetric(await (await fetch(metrics)).text(), 'observer_sink_lag_calls') === 0, {
        withinMs: 300_000,
        everyMs: 100,
      })
    // Warm: the compiler and the caches have seen the work.
    for (let i = 0; i < 30; i++) await push()
    await drained()

    const resident: number[] = []
    const started = performance.now()
    const cpu = cpuSeconds(sidecar.pid)
    const tenth = Math.max(1, Math.floor(calls / BATCH / 10))
    for (let batch = 1; batch <= calls / BATCH; batch++) {
      await push()
      if (batch % tenth === 0) {
        await drained()
        resident.push(Math.round(residentMebibytes(sidecar.pid)))
      }
    }
    await drained()
    const seconds = (performance.now() - started) / 1000
    return {
      calls,
      callsPerSecond: Math.round(calls / seconds),
      cpuMicrosPerCall: Math.round(((cpuSeconds(sidecar.pid) - cpu) / calls) * 1e6),
      residentMebibytes: resident,
    }
  } finally {
    await pool.close()
    await sidecar.kill('SIGTERM')
    for (const sink of sinks) {
      sink.closeAllConnections()
      sink.close()
    }
    rmSync(directory, { recursive: true, force: true })
  }
}
