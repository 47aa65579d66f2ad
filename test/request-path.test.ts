import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { type Stack, startStack } from '../dev/stack.ts'
import { runTraffic } from '../dev/traffic/traffic.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { SHIPS } from '../plugin/tap-text.ts'

const CALLS = 60

/** Law 1: the client sees no error and no wait, whatever of ours is down; and what was lost is known exactly. */
describe.each(SHIPS)('the request path, captures shipped by the %s', (ship) => {
  const directory = mkdtempSync(join(tmpdir(), 'request-path-'))
  let stack: Stack
  let sent = 0

  beforeAll(async () => {
    stack = await startStack({
      directory,
      ship,
      provider: { latencyMs: [0, 2], chunkDelayMs: [0, 1] },
      // Longer than a busy machine needs for what is late but not lost.
      sidecar: { ledger: { gapGraceSeconds: 20 } },
      // A stopped plugin server must not hold back what comes later for longer than a test may take.
      plugin: { linger_ms: 20 },
    })
  })
  afterAll(async () => {
    stack?.pluginServer.signal('SIGCONT')
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  /** Only tapped routes: they are numbered. The traffic itself checks each status and that each stream ends whole. */
  async function traffic(seed: number) {
    const mix = { 'openai-chat': 1, 'openai-stream': 1, anthropic: 1, 'anthropic-stream': 1 }
    const summary = await runTraffic({ gatewayUrl: stack.gateway.url, calls: CALLS, concurrency: 8, seed, mix })
    expect(summary.unexpected).toEqual([])
    expect(summary.sent).toBe(CALLS)
    sent += CALLS
  }
  const metrics = async () => (await fetch(`${stack.sidecarUrl}/metrics`)).text()
  const stored = async () => sumOfMetric(await metrics(), 'llm_calls_total')
  const gaps = async () => sumOfMetric(await metrics(), 'observer_captures_lost_total')

  it('all well: every call is stored', async () => {
    await traffic(1)
    await waitUntil(async () => (await stored()) === sent)
  })

  it('sidecar gone: nothing is felt, and nothing is lost once it is back', async () => {
    await stack.sidecar.kill('SIGKILL')
    await traffic(2)
    await stack.gateway.idle()
    await stack.sidecar.start()
    await waitUntil(async () => (await stored()) === sent)
  })

  it('plugin server stopped: nothing is felt, and all arrives when it goes on', async () => {
    stack.pluginServer.signal('SIGSTOP')
    await traffic(3)
    stack.pluginServer.signal('SIGCONT')
    await waitUntil(async () => (await stored()) === sent)
  })

  it('plugin server killed: nothing is felt, and the loss is reported exactly', async () => {
    await stack.pluginServer.kill('SIGKILL')
    const before = sent
    await traffic(4)
    // A tap that ships by itself does not need it.
    const lost = ship === 'plugin' ? sent - before : 0
    await stack.gateway.idle()
    // A lost tail: no later request tells of it, only the tap's timer.
    await waitUntil(async () => (await gaps()) >= lost)
    await stack.pluginServer.start()
    await traffic(5)
    await waitUntil(async () => (await stored()) === sent - lost)
    expect(await gaps()).toBe(lost)
    expect(stack.gateway.stats().eventsLost).toBe(sent - before - CALLS)
  })
})
