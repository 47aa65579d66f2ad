import { mkdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { watchPriceBook } from '../pricing/open-price-book.ts'
import { makeBudgets } from './budgets/budgets.ts'
import type { Config, Environment } from './config.ts'
import { deliver, newDeliverStats } from './deliver.ts'
import { makeEstimator } from './estimate/estimate.ts'
import { openTokenCounter } from './estimate/token-counter.ts'
import type { Exporter } from './exporters/exporter.ts'
import { makeLangfuseExporter } from './exporters/langfuse.ts'
import { makeLokiExporter } from './exporters/loki.ts'
import { makeOtlpExporter } from './exporters/otlp.ts'
import { openLedger } from './ledger/ledger.ts'
import type { Logger } from './logger.ts'
import { makeExemplars } from './metrics/exemplars.ts'
import { makeExposition } from './metrics/exposition.ts'
import { isLlmCall } from './pipeline/is-llm-call.ts'
import { makeEstimatingObserver, makeObserver } from './pipeline/observe.ts'
import { makeServer, newReceiveCounters } from './receive.ts'
import { withPolicy } from './redaction/policy.ts'
import { openPseudonymKey } from './redaction/pseudonyms.ts'
import { makeRedactor } from './redaction/redact.ts'
import { resolveSecret } from './secret.ts'
import { LEDGER_READER } from './spool/spool.ts'
import { openSqliteSpool } from './spool/sqlite.ts'
import { listenOnSocket } from './unix-socket.ts'

export interface Sidecar {
  /** Where it listens. */
  url: string
  close(): Promise<void>
}

/** Wires the picture of docs/architecture.md: receive → observe → spool → {ledger, exporters}. */
export async function serve(
  config: Config,
  { logger, environment }: { logger: Logger; environment: Environment },
): Promise<Sidecar> {
  mkdirSync(config.data, { recursive: true })
  const redactor = makeRedactor(config.redaction, {
    key:
      config.redaction.key === undefined
        ? openPseudonymKey(config.data)
        : resolveSecret(config.redaction.key, environment),
  })
  const { policy } = config.redaction
  const exporters = makeExporters(config, environment).map((exporter) => withPolicy(exporter, policy, redactor))
  if (config.attribution.hashUsers !== undefined)
    logger.warn({}, 'attribution.hashUsers is old: write `attribution.users: all` (or pseudonym, plain)')
  const token = config.listen.token === undefined ? undefined : resolveSecret(config.listen.token, environment)
  const book = watchPriceBook(config.prices.file, {
    now: Date.now,
    onReload: (version) => logger.info({ file: config.prices.file, version }, 'new prices are in force'),
    onInvalid: (problems) =>
      logger.error({ file: config.prices.file, problems }, 'the prices are not valid; those before stay in force'),
  })

  const spool = await openSqliteSpool({
    file: join(config.data, 'spool.db'),
    limitBytes: config.spool.limit,
    readers: [LEDGER_READER, ...exporters.map(({ id }) => id)],
  })
  const tracing = exporters.filter(({ id }) => id === 'otlp' || id === 'langfuse')
  const exemplars = makeExemplars((call) => tracing.some(({ wants }) => wants?.(call) ?? true))
  const ledger = await openLedger({
    file: join(config.data, 'ledger.db'),
    labelLimits: { tenants: config.ledger.maxTenants, models: config.ledger.maxModels },
    gapGraceMs: config.ledger.gapGraceSeconds * 1000,
    callRetentionMs: config.ledger.callRetentionDays * 86_400_000,
    budgets: makeBudgets(config.budgets),
    onStall: (error) =>
      logger.error({ error: error.message }, 'the ledger cannot write and tries again; calls wait in the spool'),
    onCounted: (calls) => exemplars.note(calls, ledger.labelOf),
  })

  const stop = new AbortController()
  const failures: string[] = []
  /** A reader that ends by itself is a defect: readiness shows it, the log says why. */
  const watch = (name: string, running: Promise<void>) =>
    running.then(
      () => {
        if (!stop.signal.aborted) failures.push(`${name} ended`)
      },
      (error: Error) => {
        failures.push(`${name} failed`)
        logger.error({ reader: name, error: error.message }, 'a reader failed; restart the sidecar')
      },
    )
  const deliverStats = newDeliverStats()
  const readers = [
    watch(LEDGER_READER, ledger.follow(spool, stop.signal)),
    ...exporters.map((exporter) =>
      watch(exporter.id, deliver(spool, exporter, { logger, signal: stop.signal, stats: deliverStats })),
    ),
  ]

  const { estimate } = config
  const tokens = estimate.enabled ? openTokenCounter(estimate) : undefined
  const observing = {
    book,
    attribution: config.attribution,
    semanticCache: config.semanticCache,
    redactor,
    policy,
    sinks: exporters.map(({ id }) => id),
    providers: config.providers,
    maxContentBytes: config.content.maxBytes,
    content: config.content.enabled,
    estimateWhenContentOff: estimate.whenContentOff,
  }
  const counters = newReceiveCounters()
  const exposition = makeExposition({
    ledger,
    spool,
    receive: counters,
    deliver: deliverStats,
    book,
    exemplars,
    estimates: tokens?.stats,
    scores: exporters.find(({ scores }) => scores !== undefined)?.scores,
  })
  const observe =
    tokens === undefined
      ? makeObserver(observing)
      : makeEstimatingObserver(observing, makeEstimator(tokens.count, estimate.maxTextBytes))
  const server = makeServer({
    token,
    maxBodyBytes: config.listen.maxBodyBytes,
    logger,
    observe(capture) {
      const call = observe(capture)
      // What is estimated has a format, and so is one.
      return call instanceof Promise || isLlmCall(capture, call) ? call : undefined
    },
    spool,
    counters,
    onDrops: (drops) => ledger.recordPluginDrops(drops),
    onRefused: () => ledger.capturesRefused(),
    onTapTotal: async (told) => {
      if (told.tap_errors !== undefined && told.tap_errors > 0)
        await ledger.recordTapErrors([{ node: told.node, epoch: told.epoch, total: told.tap_errors }])
      await ledger.recordTapTotal(told)
    },
    onTapErrors: (errors) => ledger.recordTapErrors(errors),
    metrics: exposition.render,
    notReady: () => (stop.signal.aborted ? ['shutting down'] : failures),
  })
  await server.listen({ host: config.listen.host, port: config.listen.port, listenTextResolver: () => '' })
  const { port } = server.server.address() as AddressInfo
  const closeSocket =
    config.listen.socket === undefined ? async () => {} : await listenOnSocket(server.server, config.listen.socket)

  return {
    url: `http://${config.listen.host}:${port}`,
    async close() {
      // First no more calls, then no more sends; what is unsent stays in the spool and goes out after the next start.
      const socketClosed = closeSocket()
      await server.close()
      await socketClosed
      await tokens?.close()
      stop.abort()
      await Promise.all(readers)
      await Promise.all(exporters.map((exporter) => exporter.close()))
      await ledger.close()
      await spool.close()
      exposition.close()
      book.close()
    },
  }
}

function makeExporters(config: Config, environment: Environment): Exporter[] {
  const { otlp, langfuse, loki } = config.exporters
  const exporters: Exporter[] = []
  if (otlp !== undefined) exporters.push(makeOtlpExporter(otlp, { environment }))
  if (langfuse !== undefined) exporters.push(makeLangfuseExporter(langfuse, { environment }))
  if (loki !== undefined) exporters.push(makeLokiExporter(loki, { environment }))
  return exporters
}
