import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { reconcile, renderTable } from './demo-table.ts'
import { sumOfMetric } from './metrics-text.ts'
import { findKong } from './real-kong.ts'
import { type Stack, startStack } from './stack.ts'
import { caughtUp, readColumns } from './stack-columns.ts'
import { runTraffic } from './traffic/traffic.ts'
import { waitUntil } from './wait-until.ts'

const CALLS = 600
const RATE_PER_SECOND = 40
/** Where nothing else listens, the addresses are those of the documentation. */
const SERVE_PORTS = { gateway: 8000, sidecar: 8086, provider: 9500, otlp: 4318, langfuse: 3000, loki: 3100 }
const SETTLE_LIMIT_MS = 30_000

const USAGE = `usage: npm run demo [-- options]
  --serve       keep everything running on the documented ports, until Ctrl-C
  --kong        use the kong binary on PATH in place of the stand-in gateway
  --calls N     how many calls to send (default ${CALLS})
`

const say = (text = '') => process.stdout.write(`${text}\n`)

async function demo(): Promise<number> {
  const { values } = parseArgs({
    options: {
      serve: { type: 'boolean' },
      kong: { type: 'boolean' },
      calls: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    say(USAGE)
    return 0
  }
  const calls = values.calls === undefined ? CALLS : Number(values.calls)
  if (!Number.isInteger(calls) || calls < 1 || calls > 100_000)
    throw new Error(`--calls: give a whole number from 1 to 100000, not ${values.calls}`)

  if (values.kong && findKong() === undefined)
    throw new Error('--kong needs a kong binary on PATH; without the flag the demo uses its stand-in gateway')
  say('kong-llm-observer demo: the real plugin in the real kong-js-pluginserver, the sidecar with its embedded store,')
  say(
    `${values.kong ? 'your own Kong' : 'a stand-in gateway in Kong’s place'}, a mock LLM provider behind it, and traffic of four tenants.\n`,
  )

  const directory = mkdtempSync(join(tmpdir(), 'kong-llm-observer-demo-'))
  let stack: Stack | undefined
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  process.once('SIGTERM', () => interrupted.abort())
  try {
    stack = await startStack({
      directory,
      provider: { latencyMs: [20, 120], chunkDelayMs: [1, 8] },
      onStep: (text) => say(`  starting ${text}`),
      ...(values.serve ? { ports: SERVE_PORTS } : {}),
      ...(values.kong ? { realKong: true } : {}),
    })
    say(
      `\n  sending ${calls} calls: OpenAI chat and Anthropic messages, streamed and not, errors, cached answers, a missing key`,
    )
    const summary = await runTraffic({
      gatewayUrl: stack.gateway.url,
      calls,
      concurrency: 16,
      ratePerSecond: RATE_PER_SECOND,
      signal: interrupted.signal,
      onProgress: progressLine(calls),
    })
    say('')
    for (const problem of summary.unexpected) say(`  unexpected: ${problem}`)
    if (interrupted.signal.aborted) return 130

    await stack.gateway.idle()
    const running = stack
    await waitUntil(() => caughtUp(running, summary.sent), { withinMs: SETTLE_LIMIT_MS }).catch((error: Error) =>
      say(`  some readers have not caught up (${error.message}); the difference below shows by how much`),
    )
    const reconciliation = reconcile(await readColumns(stack))
    say(`\n${renderTable(reconciliation)}`)
    const scraped = await (await fetch(`${stack.sidecarUrl}/metrics`)).text()
    const hits = sumOfMetric(scraped, 'kong_semantic_cache_hits_total')
    say(
      `The cache answered ${hits} of ${sumOfMetric(scraped, 'kong_semantic_cache_requests_total')} cacheable calls and saved $${sumOfMetric(scraped, 'llm_savings_usd_total').toFixed(6)}; captures lost on the way: ${sumOfMetric(scraped, 'observer_captures_lost_total')}.`,
    )
    say(
      'Each column is read from its own source: the gateway’s access log priced by a list of its own, the ledger’s SQLite',
    )
    say('file, a scrape of /metrics, and the bytes that arrived at each sink.')

    if (values.serve) await keepServing(stack, interrupted.signal)
    return reconciliation.different || summary.unexpected.length > 0 ? 1 : 0
  } finally {
    await stack?.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A line that rewrites itself on a terminal, and a line every so often in a log. */
function progressLine(calls: number) {
  const terminal = process.stdout.isTTY === true
  let last = 0
  return ({ sent }: { sent: number }) => {
    if (terminal) process.stdout.write(`\r  ${bar(sent / calls)} ${sent}/${calls} calls `)
    else if (sent === calls || sent - last >= calls / 6) {
      last = sent
      say(`  ${sent}/${calls} calls`)
    }
  }
}

function bar(share: number): string {
  const filled = Math.round(share * 30)
  return `[${'█'.repeat(filled)}${'·'.repeat(30 - filled)}]`
}

async function keepServing(stack: Stack, signal: AbortSignal): Promise<void> {
  say(`
still running, until Ctrl-C:
  gateway        ${stack.gateway.url}/openai/v1/chat/completions   (header apikey: alice-demo-key)
  sidecar        ${stack.sidecarUrl}/metrics   /healthz   /readyz
  ledger         ${stack.ledgerFile}
  OTLP sink      ${stack.otlp.url}
  Langfuse sink  ${stack.langfuse.url}
  Loki sink      ${stack.loki.url}
  logs           ${stack.directory}

  curl -s ${stack.gateway.url}/openai/v1/chat/completions -H 'apikey: alice-demo-key' -H 'content-type: application/json' \\
    -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say hello"}]}'
`)
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

demo().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`\ndemo failed: ${error.message}\n`)
    process.exit(1)
  },
)
