import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fromAccessLog } from '../dev/columns.ts'
import { type Column, reconcile, renderTable } from '../dev/demo-table.ts'
import { LIST_PRICES } from '../dev/list-prices.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { caughtUp, readColumns } from '../dev/stack-columns.ts'
import { runTraffic } from '../dev/traffic/traffic.ts'
import { waitUntil } from '../dev/wait-until.ts'

const CALLS = 5000

/**
 * gateway = ledger = /metrics = distinct spans at each sink, per tenant, in calls, tokens and pico-USD, while everything
 * that may break breaks: the sidecar is killed three times, the sinks answer 500 and 429 and hang.
 * Each column is read from its own source.
 */
describe('conservation', () => {
  const directory = mkdtempSync(join(tmpdir(), 'conservation-'))
  let stack: Stack
  let columns: Column[]

  beforeAll(async () => {
    stack = await startStack({
      directory,
      provider: { latencyMs: [0, 5], chunkDelayMs: [0, 1] },
      sidecar: { ledger: { gapGraceSeconds: 5 } },
    })
  })
  afterAll(async () => {
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('5,000 calls through kill -9, 500, 429 and a hang', async () => {
    let killed = 0
    const killings: Promise<void>[] = []
    const killAt = [0.2, 0.5, 0.8].map((share) => share * CALLS)
    const summary = await runTraffic({
      gatewayUrl: stack.gateway.url,
      calls: CALLS,
      concurrency: 24,
      seed: 7,
      onProgress: ({ sent }) => {
        const next = killAt[killed]
        if (next !== undefined && sent >= next) {
          killed++
          killings.push(stack.sidecar.kill('SIGKILL').then(() => stack.sidecar.start()))
        }
        if (sent >= 0.1 * CALLS && sent < 0.3 * CALLS) stack.otlp.setFault({ kind: 'status', status: 500 })
        else stack.otlp.setFault(undefined)
        if (sent >= 0.3 * CALLS && sent < 0.45 * CALLS)
          stack.langfuse.setFault({ kind: 'status', status: 429, retryAfter: 1 })
        else if (sent >= 0.45 * CALLS && sent < 0.6 * CALLS) stack.langfuse.setFault({ kind: 'status', status: 500 })
        else stack.langfuse.setFault(undefined)
        stack.loki.setFault(sent >= 0.55 * CALLS && sent < 0.75 * CALLS ? { kind: 'hang' } : undefined)
      },
    })
    for (const sink of [stack.otlp, stack.langfuse, stack.loki]) sink.setFault(undefined)
    await Promise.all(killings)
    expect(summary.unexpected).toEqual([])
    expect(killed).toBe(3)

    await stack.gateway.idle()
    await waitUntil(() => caughtUp(stack, CALLS))
    columns = await readColumns(stack)
    const reconciliation = reconcile(columns)
    expect(reconciliation.different, renderTable(reconciliation)).toBe(false)
    expect(reconciliation.totals.calls).toBe(CALLS)
    expect(reconciliation.totals.tokens).toBeGreaterThan(CALLS)
    expect(reconciliation.totals.picoUsd).toBeGreaterThan(0n)
    expect(stack.gateway.stats().eventsLost).toBe(0)
    // Every tenant took part, the unauthenticated too.
    expect([...columns[0]!.perTenant.keys()].sort()).toEqual(['blue', 'gold', 'green', 'red', 'unattributed'])
  })

  it('the faults were real, and no capture was lost', async () => {
    const metrics = await (await fetch(`${stack.sidecarUrl}/metrics`)).text()
    for (const sink of [stack.otlp, stack.langfuse, stack.loki]) expect(sink.faulted()).toBeGreaterThan(0)
    expect(metrics).toMatch(/^observer_captures_lost_total\{.*\} 0$/m)
  })

  describe('a broken source shows', () => {
    it.each([0, 1, 2, 3, 4, 5])('column %i', (index) => {
      const broken = columns.map((column, at) => {
        if (at !== index) return column
        const perTenant = new Map(column.perTenant)
        const blue = perTenant.get('blue')!
        perTenant.set('blue', { ...blue, picoUsd: blue.picoUsd + 1n })
        return { ...column, perTenant }
      })
      expect(reconcile(broken).different).toBe(true)
    })

    it('a line missing from the gateway’s own log', async () => {
      const lines = readFileSync(stack.accessLog, 'utf8').trimEnd().split('\n')
      const shorter = join(directory, 'shorter.log')
      writeFileSync(
        shorter,
        `${lines.filter((line) => !line.includes('"status":200') || line !== lines.find((l) => l.includes('"status":200'))).join('\n')}\n`,
      )
      const [, ...others] = columns
      expect(reconcile([fromAccessLog(shorter, LIST_PRICES), ...others]).different).toBe(true)
    })
  })
})
