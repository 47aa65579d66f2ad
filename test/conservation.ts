import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fromAccessLog } from '../dev/columns.ts'
import { type Column, reconcile, renderTable } from '../dev/demo-table.ts'
import { LIST_PRICES } from '../dev/list-prices.ts'
import type { Fault, HttpSink } from '../dev/sinks/http-sink.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { caughtUp, readColumns } from '../dev/stack-columns.ts'
import { runTraffic } from '../dev/traffic/traffic.ts'
import { waitUntil } from '../dev/wait-until.ts'
import type { Ship } from '../plugin/tap-text.ts'

/** By the share of calls that are sent. A fault lasts until its sink has met it at least once. */
const faultsOf = ({ otlp, langfuse, loki }: Stack): { sink: HttpSink; fault: Fault; from: number; until: number }[] => [
  { sink: otlp, fault: { kind: 'status', status: 500 }, from: 0.1, until: 0.3 },
  { sink: langfuse, fault: { kind: 'status', status: 429, retryAfter: 1 }, from: 0.3, until: 0.45 },
  { sink: langfuse, fault: { kind: 'status', status: 500 }, from: 0.45, until: 0.6 },
  { sink: loki, fault: { kind: 'hang' }, from: 0.55, until: 0.75 },
]

/**
 * gateway = ledger = /metrics = distinct spans at each sink, per tenant, in calls, tokens and pico-USD, while everything
 * that may break breaks: the sidecar is killed three times, the sinks answer 500 and 429 and hang.
 * Each column is read from its own source.
 */
export function describeConservation(calls: number, ship: Ship = 'plugin'): void {
  describe(`conservation, shipped by the ${ship}`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'conservation-'))
    let stack: Stack
    let columns: Column[]

    beforeAll(async () => {
      stack = await startStack({
        directory,
        ship,
        provider: { latencyMs: [0, 5], chunkDelayMs: [0, 1] },
        // Longer than anything is late on a busy machine: none of it may count as lost.
        sidecar: { ledger: { gapGraceSeconds: 120 } },
      })
    })
    afterAll(async () => {
      await stack?.close()
      rmSync(directory, { recursive: true, force: true })
    })

    it(`${calls} calls through kill -9, 500, 429 and a hang`, async () => {
      let killed = 0
      let restarted = Promise.resolve()
      const killAt = [0.2, 0.5, 0.8].map((share) => share * calls)
      const faults = faultsOf(stack)
      const running: { sink: HttpSink; until: number; met: () => boolean }[] = []
      const isFree = (sink: HttpSink) => !running.some((one) => one.sink === sink)
      const beginDue = (sent: number) => {
        for (const one of [...faults]) {
          if (sent < one.from * calls || !isFree(one.sink)) continue
          faults.splice(faults.indexOf(one), 1)
          const before = one.sink.faulted()
          one.sink.setFault(one.fault)
          running.push({ sink: one.sink, until: one.until, met: () => one.sink.faulted() > before })
        }
      }
      const end = (one: (typeof running)[number]) => {
        running.splice(running.indexOf(one), 1)
        one.sink.setFault(undefined)
      }
      const summary = await runTraffic({
        gatewayUrl: stack.gateway.url,
        calls,
        concurrency: 24,
        seed: 7,
        onProgress: ({ sent }) => {
          const next = killAt[killed]
          if (next !== undefined && sent >= next) {
            killed++
            restarted = restarted.then(() => stack.sidecar.kill('SIGKILL')).then(() => stack.sidecar.start())
          }
          for (const one of running.filter(({ until, met }) => sent >= until * calls && met())) end(one)
          beginDue(sent)
        },
      })
      expect(summary.unexpected).toEqual([])
      await restarted
      expect(killed).toBe(3)
      for (let one = running[0]; one !== undefined; one = running[0]) {
        await waitUntil(async () => one!.met())
        end(one)
        beginDue(calls)
      }
      expect(faults).toEqual([])

      await stack.gateway.idle()
      await waitUntil(() => caughtUp(stack, calls))
      columns = await readColumns(stack)
      const reconciliation = reconcile(columns)
      expect(reconciliation.different, renderTable(reconciliation)).toBe(false)
      expect(reconciliation.totals.calls).toBe(calls)
      expect(reconciliation.totals.tokens).toBeGreaterThan(calls)
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
}
