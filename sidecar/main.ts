import { once } from 'node:events'
import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { tapAsPlugins } from '../plugin/tap-text.ts'
import { openPriceBook, PriceFileError } from '../pricing/open-price-book.ts'
import { administer } from './administration/client.ts'
import { type Command, parseCommandLine, type ReconcileCommand, USAGE, UsageError } from './command-line.ts'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { type CheckedConfig, checkConfig } from './config-check.ts'
import { snapshotOf } from './config-reload.ts'
import { type ConfigWatch, watchConfig } from './config-watch.ts'
import { makeEstimator } from './estimate/estimate.ts'
import type { Adjustment } from './ledger/adjustments.ts'
import { readSources } from './ledger/read-sources.ts'
import { readUsage } from './ledger/read-usage.ts'
import { repriceText, unpricedJson, unpricedText } from './ledger/reports.ts'
import { reprice } from './ledger/reprice.ts'
import { listUnpriced } from './ledger/unpriced.ts'
import { makeLogger } from './logger.ts'
import { linesOf, readExchanges } from './read-command/run.ts'
import { ExportError } from './reconcile/export-line.ts'
import { parseNames } from './reconcile/names.ts'
import { distance, reportJson, reportText } from './reconcile/report.ts'
import { reconcile } from './reconcile/run.ts'
import { type Sidecar, serve } from './serve.ts'
import { backupName, backupStore } from './store/backup.ts'
import { checkStore, checkText } from './store/check.ts'
import { storeFile } from './store/data-folder.ts'
import { openForReading, readStore } from './store/open-for-reading.ts'
import type { LetterPlace } from './store/reader-thread.ts'
import { readText } from './yaml-document.ts'

// The only file that touches process.env, signals and exit. Exit codes: 0 well, 1 failed while running, 2 bad usage, configuration or input, 3 a reconciliation that differs.
const SHUTDOWN_LIMIT_MS = 20_000
const LETTERS_A_TIME = 500

async function main(): Promise<void> {
  // What is stored is for its owner alone, whatever makes the file.
  process.umask(0o077)
  const command = parseCommandLine(process.argv.slice(2))
  switch (command.name) {
    case 'help':
      process.stdout.write(USAGE)
      return
    case 'version':
      process.stdout.write(`${version()}\n`)
      return
    case 'plugin-server':
      process.stdout.write(pluginServerSettings())
      return
    case 'check-config': {
      const file = configFile(command)
      const { warnings } = checkConfig(file, process.env)
      for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
      process.stdout.write(`${file ?? 'no observer.yaml, the defaults'}: valid\n`)
      return
    }
    case 'tap': {
      const { ship, postFunction, sidecarUrl: url, intakeToken: token, content, global } = command
      const tap = tapAsPlugins(ship, { url, token, content, global })[postFunction ? 1 : 0]
      process.stdout.write(`${JSON.stringify(tap)}\n`)
      return
    }
    case 'dead-letters':
      await deadLetters(loadConfig(configFile(command), process.env), command.action, command.sink)
      return
    case 'check': {
      const findings = checkStore(storeFile(loadConfig(configFile(command), process.env).data))
      process.stdout.write(checkText(findings))
      if (findings.some(({ wrong }) => wrong.length > 0)) process.exitCode = 1
      return
    }
    case 'backup': {
      const { data, backup } = loadConfig(configFile(command), process.env)
      const to = command.file ?? join(backup.folder ?? join(data, 'backups'), backupName(Date.now()))
      if (existsSync(to)) throw new Error(`${to} is there already: name another file`)
      const { bytes } = await backupStore(data, to)
      process.stdout.write(`${to}: ${bytes} bytes\n`)
      return
    }
    case 'confirm-rollback': {
      const administration = await administer(loadConfig(configFile(command), process.env).data)
      try {
        const captures = await administration.confirmRollback()
        process.stdout.write(
          captures === 0
            ? 'nothing to confirm\n'
            : `confirmed: ${captures} acknowledged captures are not in this store\n`,
        )
      } finally {
        await administration.close()
      }
      return
    }
    case 'read':
      await readCommand(command)
      return
    case 'reprice':
      await repriceCommand(command)
      return
    case 'unpriced': {
      const { data } = loadConfig(configFile(command), process.env)
      const list = readStore(storeFile(data), (database) => listUnpriced(database, command.period))
      process.stdout.write(command.json ? unpricedJson(list) : unpricedText(list))
      return
    }
    case 'reconcile':
      reconcileCommand(command)
      return
    case 'serve':
      await run(checkConfig(configFile(command), process.env), configFile(command))
  }
}

async function run({ config, warnings }: CheckedConfig, file: string | undefined): Promise<void> {
  const logger = makeLogger(config.log.level)
  for (const warning of warnings) logger.warn({ config: file, setting: warning }, 'a setting may not be what is meant')
  // From here on: a reload that is asked for during the start must not end it.
  let watching: ConfigWatch | undefined
  process.on('SIGHUP', () => watching?.reload('SIGHUP'))
  let sidecar: Sidecar | undefined
  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return
    stopping = true
    logger.info({ signal }, 'shutting down')
    watching?.close()
    // While the store is opened: a migration begins again at the next start.
    if (sidecar === undefined) process.exit(0)
    setTimeout(() => {
      logger.error('shutting down took too long; what was acknowledged is stored')
      process.exit(1)
    }, SHUTDOWN_LIMIT_MS).unref()
    sidecar.close().then(
      () => {
        logger.info('stopped')
        process.exit(0)
      },
      (error: Error) => {
        logger.error({ error: error.message }, 'could not stop cleanly; what was acknowledged is stored')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)

  const serving = await serve(config, {
    logger,
    environment: process.env,
    onFatal(error) {
      logger.fatal(
        { error: error.message },
        'this cannot be mended while the process runs: it ends, so that its supervisor starts it again; what was acknowledged is stored',
      )
      process.exit(1)
    },
  })
  sidecar = serving
  watching = watchConfig({
    file,
    environment: process.env,
    snapshot: snapshotOf(config, process.env),
    logger,
    apply: (plan) => serving.reload(plan.snapshot.config),
  })
  logger.info(
    {
      url: serving.url,
      socket: config.listen.socket,
      data: config.data,
      config: file,
      version: version(),
      pid: process.pid,
    },
    'ready',
  )
}

async function deadLetters(config: Config, action: 'list' | 'replay', sink: string | undefined): Promise<void> {
  const administration = await administer(config.data)
  const sinks = new Map<string, number>()
  try {
    for (let after: LetterPlace | undefined; ; ) {
      const letters = await administration.deadLetters(sink, after, LETTERS_A_TIME)
      if (letters.length === 0) break
      for (const { call: _call, ...letter } of letters) {
        sinks.set(letter.sink, (sinks.get(letter.sink) ?? 0) + 1)
        if (action === 'list')
          process.stdout.write(`${JSON.stringify({ ...letter, at: new Date(letter.at).toISOString() })}\n`)
        after = { sink: letter.sink, position: letter.position }
      }
    }
    if (action === 'list') return
    if (sinks.size === 0) process.stdout.write('no dead letters\n')
    for (const [name, letters] of sinks) {
      let replayed = 0
      // Slices: the sidecar stores captures in between.
      for (let more = 1; more > 0 && replayed < letters; replayed += more) more = await administration.replay(name)
      process.stdout.write(
        replayed > 0
          ? `${name}: ${replayed} sent again\n`
          : `${name}: is no sink of this store any more; its ${letters} dead letters stay\n`,
      )
    }
  } finally {
    await administration.close()
  }
}

async function readCommand(command: Command & { name: 'read' }): Promise<void> {
  const { file, explain } = command
  const config = loadConfig(configFile(command), process.env)
  // A reader that goes away (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const invalid = await readExchanges(linesOf(file === '-' ? process.stdin : createReadStream(file)), {
    book: openPriceBook(config.prices.file),
    estimate: async (reading) => (config.estimate.enabled ? estimateHere(reading) : reading),
    explain,
    now: Date.now,
    write: async (text) => {
      if (!process.stdout.write(text)) await once(process.stdout, 'drain')
    },
    complain: (text) => process.stderr.write(`kong-llm-observer: ${text}`),
  })
  if (invalid > 0) process.exitCode = 1
}

async function repriceCommand(command: Command & { name: 'reprice' }): Promise<void> {
  const { name: _name, config: _config, ...wanted } = command
  const { data, prices } = loadConfig(configFile(command), process.env)
  const book = openPriceBook(prices.file)
  // A dry run only reads.
  const administration = wanted.dryRun ? undefined : await administer(data)
  try {
    const write = async (adjustments: readonly Adjustment[]) => (await administration?.adjust(adjustments)) ?? true
    const database = openForReading(storeFile(data))
    try {
      const summary = await reprice(database, { ...wanted, book, write })
      process.stdout.write(repriceText(summary, { ...wanted, bookVersion: book.version }))
    } finally {
      database.close()
    }
  } finally {
    await administration?.close()
  }
}

/** Ends with 3 where the totals are further apart than they may be. */
function reconcileCommand(command: ReconcileCommand): void {
  const { data } = loadConfig(configFile(command), process.env)
  const text = (file: string) => {
    const content = readText(file)
    if (typeof content !== 'string') throw new ExportError([content.problem])
    return content
  }
  const result = reconcile({
    ...command,
    files: command.files.map((name) => ({ name, text: text(name) })),
    ...readStore(storeFile(data), (database) => ({
      ledger: readUsage(database, command),
      sources: readSources(database, command),
    })),
    names: command.names === undefined ? { tenants: {}, models: {} } : parseNames(text(command.names), command.names),
  })
  process.stdout.write(command.json ? reportJson(result) : reportText(result))
  if (distance(result) > command.tolerance) process.exitCode = 3
}

/** A tool may take its time: it counts in its own thread, and loads the encodings only if something needs them. */
const estimateHere = makeEstimator(async ({ encoding, texts }) => {
  const { countTokens } = await import('./estimate/encode.ts')
  return texts.map((text) => countTokens(text, encoding))
})

function configFile(command: Command & { config?: string }): string | undefined {
  return command.config ?? process.env.OBSERVER_CONFIG ?? (existsSync('observer.yaml') ? 'observer.yaml' : undefined)
}

/** Kong strips the environment of plugin servers and may have no PATH: absolute paths everywhere. */
function pluginServerSettings(): string {
  const plugin = join(dirname(import.meta.dirname), 'plugin')
  const server = join(
    dirname(createRequire(import.meta.url).resolve('kong-pdk/package.json')),
    'bin',
    'kong-js-pluginserver',
  )
  const command = `${process.execPath} --require ${join(plugin, 'without-ts-node.cjs')} ${server} --plugins-directory ${join(plugin, 'load')}`
  const folder = '/var/run/llm-observer'
  // Its output goes into a file: Kong writes what it reads from a plugin server at level info, which nobody sees, and waits for it
  // at each stop: kong quit takes up to 10 s longer.
  const start = `mkdir -p ${folder} && exec ${command} -p ${folder} --sock-name js.sock >>${folder}/plugin-server.log 2>&1`
  return `# ${folder} holds the socket and the log; where Kong's user cannot make it: install -d -o kong ${folder}
export KONG_PLUGINS=bundled,llm-observer
export KONG_PLUGINSERVER_NAMES=js
export KONG_PLUGINSERVER_JS_SOCKET=${folder}/js.sock
export KONG_PLUGINSERVER_JS_START_CMD="/bin/sh -c '${start}'"
export KONG_PLUGINSERVER_JS_QUERY_CMD="${command} --dump-all-plugins"
`
}

function version(): string {
  // In the checkout package.json is one folder up, in the packed build two.
  for (const folder of ['..', '../..']) {
    const file = join(import.meta.dirname, folder, 'package.json')
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
  }
  return 'unknown'
}

main().catch((error: Error) => {
  if (error instanceof UsageError) process.stderr.write(`kong-llm-observer: ${error.message}\n\n${USAGE}`)
  else process.stderr.write(`kong-llm-observer: ${error.message}\n`)
  process.exit(
    error instanceof UsageError ||
      error instanceof ConfigError ||
      error instanceof PriceFileError ||
      error instanceof ExportError
      ? 2
      : 1,
  )
})
