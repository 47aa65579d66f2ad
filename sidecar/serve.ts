import type { Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { watchPriceBook } from '../pricing/open-price-book.ts'
import { openAdministration } from './administration/server.ts'
import { allowedHost } from './allowed-host.ts'
import { makeReplaceableBudgets } from './budgets/budgets.ts'
import type { Config, Environment } from './config.ts'
import { deliver, newDeliverStats } from './deliver.ts'
import { plainTwin, tlsOptions } from './door-tls.ts'
import { makeDoorTokens } from './door-tokens.ts'
import { makeEstimator } from './estimate/estimate.ts'
import { openTokenCounter } from './estimate/token-counter.ts'
import type { Exporter } from './exporters/exporter.ts'
import { makeLangfuseExporter } from './exporters/langfuse.ts'
import { makeLokiExporter } from './exporters/loki.ts'
import { makeOtlpExporter } from './exporters/otlp.ts'
import { makeReplaceable } from './exporters/replaceable.ts'
import { type Intake, makeIntake } from './intake.ts'
import { makeLogLimit } from './log-limit.ts'
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
import { scheduleBackups } from './store/backup.ts'
import { openDataFolder } from './store/open-data-folder.ts'
import type { Store, StoreOptions } from './store/store.ts'
import { listenOnSocket, prepareSocketFolder } from './unix-socket.ts'

export interface Sidecar {
  /** Where it listens. */
  url: string
  /** Puts what config-reload.ts names as reloadable in force. Throws, and changes nothing, where a part cannot be made. */
  reload(config: Config): void
  close(): Promise<void>
}

export interface ServeOptions {
  logger: Logger
  environment: Environment
  /** What cannot be mended while the process runs (law 14): the caller ends it, so that its supervisor starts it again. */
  onFatal: (error: Error) => void
}

/** A thread that says nothing for so long is dead. */
const SILENT_MS = 30_000

/** For results of redaction: system prompts and earlier turns come with every call. Some 16,000 texts, none of them in clear. */
const REMEMBERED_BYTES = 4 * 1024 * 1024

/**
 * Wires the picture of docs/architecture.md: receive → observe → store → exporters.
 * The doors are open before the store is: opening it may mean a migration, and `/readyz` says so.
 */
export async function serve(config: Config, { logger, environment, onFatal }: ServeOptions): Promise<Sidecar> {
  let ownKey: Buffer | undefined
  const redactorOf = ({ redaction }: Pick<Config, 'redaction'>) => {
    if (redaction.key === undefined) ownKey ??= openPseudonymKey(config.data)
    return makeRedactor(redaction, {
      key: redaction.key === undefined ? ownKey! : resolveSecret(redaction.key, environment),
      remember: REMEMBERED_BYTES,
    })
  }
  const makeSinks = (next: Config) =>
    makeExporters(next, environment).map((exporter) => withPolicy(exporter, next.redaction.policy, redactorOf(next)))
  const exporters = makeSinks(config).map(makeReplaceable)
  const budgets = makeReplaceableBudgets(config.budgets)
  const doors = makeDoorTokens(config.listen, environment)
  let hostFault = allowedHost(config.listen)
  if (config.listen.socket !== undefined) prepareSocketFolder(config.listen.socket)
  const log = makeLogLimit(logger)
  if (config.attribution.hashUsers !== undefined)
    logger.warn({}, 'attribution.hashUsers is old: write `attribution.users: all` (or pseudonym, plain)')
  const book = watchPriceBook(config.prices.file, {
    now: Date.now,
    onReload: (version) => logger.info({ file: config.prices.file, version }, 'new prices are in force'),
    onInvalid: (problems) =>
      logger.error({ file: config.prices.file, problems }, 'the prices are not valid; those before stay in force'),
  })
  const { estimate } = config
  const tokens = estimate.enabled ? openTokenCounter(estimate) : undefined
  const observerOf = ({ attribution, semanticCache, redaction, providers, content, estimate }: Config) => {
    const observing = {
      book,
      attribution,
      semanticCache,
      redactor: redactorOf({ redaction }),
      policy: redaction.policy,
      sinks: exporters.map(({ id }) => id),
      providers,
      maxContentBytes: content.maxBytes,
      content: content.enabled,
      estimateWhenContentOff: estimate.whenContentOff,
    }
    return tokens === undefined
      ? makeObserver(observing)
      : makeEstimatingObserver(observing, makeEstimator(tokens.count, estimate.maxTextBytes))
  }
  let observe = observerOf(config)
  const counters = newReceiveCounters()
  const stop = new AbortController()
  let store: Store | undefined
  let intake: Intake | undefined
  let exposition: ReturnType<typeof makeExposition> | undefined

  const { tls } = config.listen
  const server = makeServer({
    tls: tls === undefined ? undefined : tlsOptions(tls, environment),
    admits: doors.admits,
    hostFault: (request) => hostFault(request),
    maxBodyBytes: config.listen.maxBodyBytes,
    logger,
    log,
    intake: () => intake,
    counters,
    metrics: async (accept) => exposition?.render(accept),
    notReady() {
      if (stop.signal.aborted) return ['shutting down']
      if (store === undefined) return ['the store is being opened']
      const missing = store.trouble === undefined ? [] : [`the store cannot write: ${store.trouble.cause}`]
      if (store.rolledBack > 0)
        missing.push(
          `the store went back: ${store.rolledBack} acknowledged captures are not in it; look why, then run kong-llm-observer confirm-rollback`,
        )
      return [...missing, ...silentThreads()]
    },
    notAlive: silentThreads,
  })
  function silentThreads(): string[] {
    return store === undefined || store.silentFor() < SILENT_MS ? [] : ["the store's thread does not answer"]
  }
  // The first estimates must not wait for a thread to start.
  await tokens?.warm()
  await server.listen({ host: config.listen.host, port: config.listen.port, listenTextResolver: () => '' })
  const { port } = server.server.address() as AddressInfo
  const closing: (() => Promise<unknown>)[] = []
  try {
    if (config.listen.socket !== undefined)
      // Who connects is asked for a token, as at the port; without one the folder and the umask are all there is.
      closing.push(
        await listenOnSocket(tls === undefined ? server.server : plainTwin(server.server), config.listen.socket, {
          forEveryone: config.listen.tokens.intake !== undefined,
        }),
      )
    const exemplars = makeExemplars(tracedBy(exporters), (call) => store!.labelsOf(call))
    const writeFailures = new Map<string, number>()
    let damagedRows = 0
    const opened = await openDataFolder(config.data, storeOptions(), (level, fields, message) =>
      logger[level](fields, message),
    )
    store = opened
    function storeOptions(): Omit<StoreOptions, 'file'> {
      return {
        sinks: exporters.map(({ id }) => id),
        logLimitBytes: config.store.logLimit,
        labelLimits: {
          tenants: config.ledger.maxTenants,
          models: config.ledger.maxModels,
          series: config.ledger.maxSeries,
        },
        gapGraceMs: config.ledger.gapGraceSeconds * 1000,
        callRetentionMs: config.ledger.callRetentionDays * 86_400_000,
        budgets,
        policy: config.redaction.policy,
        onCounted: (calls) => exemplars.note(calls),
        onTrouble(trouble) {
          if (trouble === undefined) {
            logger.info('the store writes again')
            return
          }
          writeFailures.set(trouble.cause, (writeFailures.get(trouble.cause) ?? 0) + 1)
          log.error(`store ${trouble.cause}`, trouble, 'the store cannot write and tries again; nothing is lost')
        },
        onReadTrouble(trouble) {
          if (trouble !== undefined)
            log.error(
              `store read ${trouble.cause}`,
              trouble,
              'the store cannot be read for the sinks; it is tried again',
            )
        },
        onDamaged(rows) {
          damagedRows += rows
          logger.error({ rows }, 'rows of the log are damaged: set aside and counted as dropped (reason damaged)')
        },
        onDeath: onFatal,
      }
    }
    const deliverStats = newDeliverStats()
    exposition = makeExposition({
      store: opened,
      limits: { logBytes: config.store.logLimit, series: config.ledger.maxSeries },
      idleMs: config.ledger.idleSeriesDays * 86_400_000,
      writeFailures,
      damagedRows: () => damagedRows,
      receive: counters,
      deliver: deliverStats,
      book,
      exemplars,
      estimates: tokens?.stats,
      scores: exporters.find(({ scores }) => scores !== undefined)?.scores,
    })
    const readers = exporters.map((exporter) =>
      deliver(opened, exporter, { logger, signal: stop.signal, stats: deliverStats }).then(
        () => {
          if (!stop.signal.aborted) onFatal(new Error(`the delivery to ${exporter.id} ended`))
        },
        (error: Error) => {
          if (!stop.signal.aborted) onFatal(new Error(`the delivery to ${exporter.id} failed: ${error.message}`))
        },
      ),
    )
    intake = makeIntake({
      store: opened,
      observe(capture) {
        const call = observe(capture)
        // What is estimated has a format, and so is one.
        return call instanceof Promise || isLlmCall(capture, call) ? call : undefined
      },
      log,
      counters: counters.captures,
    })
    const administration = await openAdministration(config.data, opened)
    const backups = scheduleBackups(config.data, config.backup, { logger, now: Date.now })
    closing.push(
      () => administration.close(),
      () => backups.close(),
      async () => {
        stop.abort()
        await Promise.all(readers)
        await Promise.all(exporters.map((exporter) => exporter.close()))
      },
      () => opened.close(),
    )
  } catch (error) {
    await server.close()
    throw error
  }

  return {
    url: `${tls === undefined ? 'http' : 'https'}://${config.listen.host.includes(':') ? `[${config.listen.host}]` : config.listen.host}:${port}`,
    reload(next) {
      const observer = observerOf(next)
      const fresh = makeSinks(next)
      // The parts that read files: they throw before anything has changed.
      const nextTls =
        tls === undefined || next.listen.tls === undefined ? undefined : tlsOptions(next.listen.tls, environment)
      doors.use(next.listen)
      if (nextTls !== undefined) (server.server as unknown as HttpsServer).setSecureContext(nextTls)
      hostFault = allowedHost(next.listen)
      logger.level = next.log.level.toLowerCase()
      observe = observer
      budgets.use(next.budgets)
      // Before the store is open there is nothing to keep yet.
      void store?.usePolicy(next.redaction.policy).catch(() => {})
      for (const exporter of exporters) {
        const replacement = fresh.find(({ id }) => id === exporter.id)
        if (replacement !== undefined) exporter.replaceBy(replacement)
      }
    },
    async close() {
      // First no more calls, then no more sends; what is unsent stays in the store and goes out after the next start.
      await server.close()
      // What is being read is stored as it is; a token counter that is closed would leave it without an estimate.
      await intake?.idle()
      await tokens?.close()
      for (const close of closing) await close()
      exposition?.close()
      book.close()
    },
  }
}

/** Whether some sink keeps the call's span. */
function tracedBy(exporters: readonly Exporter[]) {
  const tracing = exporters.filter(({ id }) => id === 'otlp' || id === 'langfuse')
  return (call: Parameters<NonNullable<Exporter['wants']>>[0]) => tracing.some(({ wants }) => wants?.(call) ?? true)
}

function makeExporters(config: Config, environment: Environment): Exporter[] {
  const { otlp, langfuse, loki } = config.exporters
  const exporters: Exporter[] = []
  if (otlp !== undefined) exporters.push(makeOtlpExporter(otlp, { environment }))
  if (langfuse !== undefined) exporters.push(makeLangfuseExporter(langfuse, { environment }))
  if (loki !== undefined) exporters.push(makeLokiExporter(loki, { environment }))
  return exporters
}
