import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Child, makeChild } from '../dev/child-process.ts'
import { freePort } from '../dev/free-port.ts'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { checkStore } from '../sidecar/store/check.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'

/** Ordinary trouble, given to a real sidecar process: no call is lost, none counted twice, and an operator is told. */
const root = join(import.meta.dirname, '..')
const EPOCH = 'ab'.repeat(16)

let folder: string
let port: number
let sidecar: Child
let sink: Server
let sinkAnswers = 200
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'faults-'))
  port = await freePort()
  sinkAnswers = 200
  sink = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(sinkAnswers, { 'content-type': 'application/json' }).end('{}'))
  })
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  await sidecar?.kill('SIGKILL')
  sink.closeAllConnections()
  await new Promise((resolve) => sink.close(resolve))
  rmSync(folder, { recursive: true, force: true })
})

async function start(config: object = {}, data = join(folder, 'data')): Promise<void> {
  const file = join(folder, 'observer.yaml')
  const endpoint = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`
  writeFileSync(
    file,
    JSON.stringify({
      listen: { port },
      data,
      backup: { enabled: false },
      exporters: { otlp: { endpoint } },
      ...config,
    }),
  )
  sidecar = makeChild({
    name: 'sidecar',
    command: process.execPath,
    args: [join(root, 'sidecar/main.ts'), '--config', file],
    logFile: join(folder, 'log'),
    ready: async () => (await fetch(`${url()}/healthz`)).ok,
  })
  await sidecar.start()
  await waitUntil(async () => (await fetch(`${url()}/readyz`)).ok)
}
const url = () => `http://127.0.0.1:${port}`
const log = () => readFileSync(join(folder, 'log'), 'utf8')
const post = (from: number, to: number, change: object = {}) =>
  fetch(`${url()}/v1/captures`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      v: 2,
      plugin: { version: 'test', instance: 'test' },
      captures: Array.from({ length: to - from + 1 }, (_, index) =>
        makeCapture({ n: from + index, capture: { epoch: EPOCH, sequence: from + index, ...change } }),
      ),
    }),
  })
const metrics = async () => (await fetch(`${url()}/metrics`)).text()
const metric = async (name: string, labels: Record<string, string> = {}) => sumOfMetric(await metrics(), name, labels)
const ready = async () => {
  const response = await fetch(`${url()}/readyz`)
  return { status: response.status, text: await response.text() }
}
/** Sends until it is taken, as the plugin does. */
async function untilTaken(from: number, to: number): Promise<number> {
  let refused = 0
  await waitUntil(async () => {
    const { status } = await post(from, to)
    if (status !== 202) refused++
    return { done: status === 202, seen: `HTTP ${status}` }
  })
  return refused
}
const settled = (calls: number) =>
  waitUntil(async () => {
    const [counted, sent, waiting] = [
      await metric('llm_calls_total'),
      await metric('observer_sink_calls_total'),
      await metric('observer_sink_lag_calls'),
    ]
    return { done: counted === calls && sent === calls && waiting === 0, seen: `${counted} counted, ${sent} settled` }
  })
const nothingWrong = (data = join(folder, 'data')) =>
  expect(checkStore(join(data, 'observer.db')).flatMap(({ wrong }) => wrong)).toEqual([])

describe('ordinary trouble of the store', () => {
  it('another program holds the file: captures are refused and come again, readiness says so, delivery goes on after', async () => {
    await start()
    expect((await post(1, 50)).status).toBe(202)
    const holder = new DatabaseSync(join(folder, 'data/observer.db'))
    holder.exec('BEGIN IMMEDIATE')
    const refused = await post(51, 60)
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await refused.json()).toMatchObject({ error: 'store_unavailable' })
    await waitUntil(async () => (await ready()).status === 503)
    expect((await ready()).text).toContain('the store cannot write: locked')
    expect((await fetch(`${url()}/healthz`)).status).toBe(200)
    // Scrapes and totals of what was counted stand.
    expect(await metric('llm_calls_total')).toBe(50)
    holder.exec('ROLLBACK')
    holder.close()
    await untilTaken(51, 60)
    await settled(60)
    await waitUntil(async () => (await ready()).status === 200)
    expect(log()).toContain('the store cannot write')
    await sidecar.kill('SIGTERM')
    nothingWrong()
  })

  it('the disk is full for a while: nothing is lost, nothing counted twice, and it goes on by itself', async (context) => {
    const data = join(folder, 'data')
    execFileSync('mkdir', [data])
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', data], { stdio: 'ignore' })
    } catch {
      if (process.env.CI) throw new Error('CI runs as root and can mount a small tmpfs')
      context.skip('needs root: mounts a small tmpfs')
    }
    try {
      sinkAnswers = 503
      await start()
      let taken = 0
      let full = false
      for (let from = 1; from <= 5000 && !full; from += 50) {
        const { status } = await post(from, from + 49)
        if (status === 202) taken = from + 49
        else full = true
      }
      expect(full).toBe(true)
      await waitUntil(async () => (await ready()).status === 503)
      expect((await ready()).text).toContain('disk_full')
      execFileSync('mount', ['-o', 'remount,size=60m', data])
      await waitUntil(async () => (await ready()).status === 200)
      sinkAnswers = 200
      await untilTaken(taken + 1, taken + 50)
      await settled(taken + 50)
      await sidecar.kill('SIGTERM')
      nothingWrong()
    } finally {
      await sidecar?.kill('SIGKILL')
      execFileSync('umount', ['-l', data])
    }
  })

  it('a sink away for longer than the log is large: every capture is taken and counted, what is dropped is told', async () => {
    sinkAnswers = 503
    await start({ store: { logLimit: '1MiB' }, listen: { port, maxBodyBytes: '512KiB' } })
    for (let from = 1; from <= 2000; from += 100) expect((await post(from, from + 99)).status).toBe(202)
    expect((await ready()).status).toBe(200)
    expect(await metric('llm_calls_total')).toBe(2000)
    const dropped = await metric('observer_sink_calls_total', { outcome: 'dropped', reason: 'log_full' })
    expect(dropped).toBeGreaterThan(500)
    expect(await metric('observer_sink_lag_calls')).toBe(2000 - dropped)
    expect(log()).toMatch(/the sink does not take calls|sink/)
    sinkAnswers = 200
    await settled(2000)
    await sidecar.kill('SIGTERM')
    nothingWrong()
  })

  it('kill -9 in the middle of batches, again and again: what was acknowledged is there once', async () => {
    await start()
    let acknowledged = 0
    for (let life = 0; life < 4; life++) {
      const sending = (async () => {
        for (let from = acknowledged + 1; ; from += 20) {
          const answer = await post(from, from + 19).catch(() => undefined)
          if (answer?.status !== 202) return
          acknowledged = from + 19
        }
      })()
      await waitUntil(async () => acknowledged >= (life + 1) * 100)
      await sidecar.kill('SIGKILL')
      await sending
      await sidecar.start()
      await waitUntil(async () => (await ready()).status === 200)
      // What had no answer comes again.
      await untilTaken(acknowledged + 1, acknowledged + 20)
      acknowledged += 20
    }
    await settled(acknowledged)
    await sidecar.kill('SIGTERM')
    nothingWrong()
  })

  it('a ledger that was deleted, and one that was put back, is told and not taken for ready', async () => {
    await start()
    expect((await post(1, 40)).status).toBe(202)
    await settled(40)
    await sidecar.kill('SIGTERM')
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(folder, `data/observer.db${suffix}`), { force: true })
    await start()
    const told = await fetch(`${url()}/v1/captures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        v: 2,
        plugin: { version: 'test', instance: 'test' },
        acknowledged: [[EPOCH, [[1, 40]]]],
        captures: [makeCapture({ n: 41, capture: { epoch: EPOCH, sequence: 41 } })],
      }),
    })
    expect(told.status).toBe(202)
    expect(await metric('llm_calls_total')).toBe(1)
    expect(await metric('observer_captures_lost_total', { reason: 'store_rolled_back' })).toBe(40)
    expect((await ready()).text).toContain('the store went back: 40 acknowledged captures')
    expect(log()).toContain('the store does not know captures that were acknowledged before')
    const cli = (...args: string[]) =>
      execFileSync(process.execPath, [join(root, 'sidecar/main.ts'), ...args, '-c', join(folder, 'observer.yaml')], {
        encoding: 'utf8',
      })
    expect(cli('confirm-rollback')).toBe('confirmed: 40 acknowledged captures are not in this store\n')
    expect((await ready()).status).toBe(200)
    expect(cli('check')).toContain('totals and their cells')
    expect(cli('backup', join(folder, 'copy.db'))).toContain('copy.db: ')
    expect(existsSync(join(folder, 'copy.db'))).toBe(true)
  })

  it('invalid captures, junk models and unknown senders leave the numbers and the labels of the others as they are', async () => {
    await start({ ledger: { maxModels: 3 } })
    // 500 requests without a key, each with a model of its own: refused by Kong.
    const junk = await fetch(`${url()}/v1/captures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        v: 2,
        plugin: { version: 'test', instance: 'test' },
        captures: Array.from({ length: 500 }, (_, index) =>
          makeCapture({
            n: 1000 + index,
            requestBody: { model: `junk-${index}`, messages: [] },
            responseBody: { message: 'No API key found in request' },
            log: {
              consumer: null,
              upstream_status: null,
              response: { status: 401, size: 10, headers: { 'content-type': 'application/json' } },
            },
            capture: { epoch: EPOCH, sequence: 1000 + index },
          }),
        ),
      }),
    })
    expect(junk.status).toBe(202)
    const bad = await fetch(`${url()}/v1/captures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        v: 2,
        plugin: { version: 'test', instance: 'test' },
        captures: [{ v: 2, epoch: EPOCH, sequence: 3 }, makeCapture({ n: 4, capture: { epoch: EPOCH, sequence: 4 } })],
      }),
    })
    expect(await bad.json()).toMatchObject({ stored: 1, rejected: [{ index: 0 }] })
    const text = await metrics()
    expect(text).toMatch(/llm_cost_usd_total\{tenant_id="blue",provider="openai",model="gpt-4o-2024-08-06"\} 0\.\d+/)
    expect(text).not.toContain('junk-')
    expect(sumOfMetric(text, 'observer_captures_lost_total', { reason: 'invalid' })).toBe(1)
    expect(log()).toContain('a capture is not valid')
    await settled(501)
  })
})
