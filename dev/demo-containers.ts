import { writeFileSync } from 'node:fs'
import { startProvider } from './provider/provider.ts'
import { runTraffic } from './traffic/traffic.ts'

/** The containers of the profile `demo` (docker-compose.yml): the mock provider, and who calls it through Kong at `GATEWAY_URL`. */
const PROVIDER_PORT = 9500
const GATEWAY = process.env.GATEWAY_URL ?? 'http://127.0.0.1:8000'
const RATE_PER_SECOND = 2
const CALLS_A_ROUND = 1000
/** Its age is the health of the traffic: written after a call that was answered as it should be. */
const LAST_CALL = '/tmp/last-call'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

async function provider(): Promise<void> {
  const running = await startProvider({
    host: '0.0.0.0',
    port: PROVIDER_PORT,
    latencyMs: [50, 1500],
    chunkDelayMs: [5, 40],
  })
  stop.signal.addEventListener('abort', () => void running.close())
}

async function traffic(): Promise<void> {
  for (let seed = 1; !stop.signal.aborted; seed++) {
    let good = 0
    const { sent, unexpectedCount, unexpected } = await runTraffic({
      gatewayUrl: GATEWAY,
      calls: CALLS_A_ROUND,
      concurrency: 8,
      ratePerSecond: RATE_PER_SECOND,
      seed,
      signal: stop.signal,
      onProgress: ({ sent, unexpected }) => {
        if (sent - unexpected > good) writeFileSync(LAST_CALL, String(sent))
        good = sent - unexpected
      },
    })
    console.log(JSON.stringify({ level: 'info', msg: 'round done', seed, sent, unexpected: unexpectedCount }))
    for (const msg of unexpected.slice(0, 5)) console.log(JSON.stringify({ level: 'warn', msg }))
  }
}

const parts: Record<string, () => Promise<void>> = { provider, traffic }
const part = parts[process.argv[2] ?? '']
if (part === undefined) {
  console.error('usage: node dev/demo-containers.ts provider|traffic')
  process.exit(2)
}
await part()
