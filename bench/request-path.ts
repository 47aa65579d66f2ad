import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startStack } from '../dev/stack.ts'
import { runTraffic } from '../dev/traffic/traffic.ts'

const CALLS = 1500
const RATE_PER_SECOND = 100

export interface RequestPathBench {
  name: string
  p50Ms: number
  p95Ms: number
  errors: number
}

/** What a client of the gateway waits, at a fixed rate, with all well and with each of our parts down, in one run. */
export async function benchRequestPath(): Promise<RequestPathBench[]> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-request-path-'))
  const stack = await startStack({ directory, provider: { latencyMs: [10, 10], chunkDelayMs: [0, 0] } })
  const results: RequestPathBench[] = []
  let seed = 1
  const measure = async (name: string) => {
    const { latencyMs, unexpectedCount } = await runTraffic({
      gatewayUrl: stack.gateway.url,
      calls: CALLS,
      concurrency: 16,
      ratePerSecond: RATE_PER_SECOND,
      seed: seed++,
      mix: { 'openai-chat': 1 },
    })
    results.push({ name, p50Ms: latencyMs.p50, p95Ms: latencyMs.p95, errors: unexpectedCount })
  }
  try {
    await measure('warm-up')
    await measure('all well')
    await stack.sidecar.kill('SIGKILL')
    await measure('sidecar gone')
    await stack.sidecar.start()
    stack.pluginServer.signal('SIGSTOP')
    await measure('plugin server stopped')
    stack.pluginServer.signal('SIGCONT')
    await stack.gateway.idle()
    await stack.pluginServer.kill('SIGKILL')
    await measure('plugin server killed')
    await stack.pluginServer.start()
    await measure('all well again')
    return results.slice(1)
  } finally {
    stack.pluginServer.signal('SIGCONT')
    await stack.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
