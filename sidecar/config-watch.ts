import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { ConfigError, type Environment } from './config.ts'
import { checkConfig } from './config-check.ts'
import { planReload, type ReloadPlan, type Snapshot, snapshotOf } from './config-reload.ts'
import type { Logger } from './logger.ts'
import { secretsOf } from './secret.ts'

export interface ConfigWatch {
  /** Reads the configuration again, also where no file has changed. Never throws. */
  reload(reason: string): void
  /** What is in force. */
  readonly snapshot: Snapshot
  close(): void
}

export interface ConfigWatchOptions {
  /** The configuration file; undefined: none, only `reload` reads again. */
  file: string | undefined
  environment: Environment
  snapshot: Snapshot
  logger: Logger
  /** Puts a configuration in force. Where it throws, the one before stays. */
  apply: (plan: ReloadPlan) => void
}

/** A file that is being written is read when it has come to rest. */
const SETTLE_MS = 100

/** Follows the configuration file and the files of its secrets. An invalid file keeps the configuration before it in force. */
export function watchConfig({ file, environment, logger, apply, ...options }: ConfigWatchOptions): ConfigWatch {
  let { snapshot } = options
  let refused: string | undefined
  let timer: NodeJS.Timeout | undefined
  const watchers = new Map<string, { names: Set<string>; watcher: FSWatcher }>()

  function read(reason: string, asked: boolean): void {
    try {
      const { config, warnings } = checkConfig(file, environment)
      const plan = planReload(snapshot, snapshotOf(config, environment))
      refused = undefined
      const { applied, needsRestart } = plan
      if (applied.length === 0 && needsRestart.length === 0) {
        if (asked) logger.info({ config: file, reason }, 'the configuration has not changed')
        return
      }
      for (const setting of warnings) logger.warn({ config: file, setting }, 'a setting may not be what is meant')
      if (applied.length > 0) {
        apply(plan)
        snapshot = plan.snapshot
        logger.info({ config: file, reason, settings: applied }, 'new settings are in force')
      }
      if (needsRestart.length > 0)
        logger.warn(
          { config: file, reason, settings: needsRestart },
          'changed settings need a restart and are not in force',
        )
      follow()
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : [(error as Error).message]
      // One mistake is told once, however often the folder changes.
      if (!asked && refused === problems.join('\n')) return
      refused = problems.join('\n')
      for (const problem of problems)
        logger.error({ config: file, reason, problem }, 'the configuration is not valid; the one before stays in force')
    }
  }

  /** The folders, not the files: editors and Kubernetes put another file in place of one. */
  function follow(): void {
    const wanted = new Map<string, Set<string>>()
    const files = secretsOf(snapshot.config).flatMap(({ secret }) => secret.file ?? [])
    for (const path of file === undefined ? files : [file, ...files]) {
      const names = wanted.get(dirname(path)) ?? new Set()
      wanted.set(dirname(path), names.add(basename(path)))
    }
    for (const [folder, { watcher }] of watchers)
      if (!wanted.has(folder)) {
        watcher.close()
        watchers.delete(folder)
      }
    for (const [folder, names] of wanted) {
      const known = watchers.get(folder)
      if (known !== undefined) known.names = names
      else watchFolder(folder, names)
    }
  }

  function watchFolder(folder: string, names: Set<string>): void {
    try {
      const entry = { names, watcher: watch(folder, { persistent: false }) }
      entry.watcher.on('change', (_event, name) => {
        // `..data` is the link that Kubernetes turns when a ConfigMap or Secret changes.
        if (typeof name === 'string' && !entry.names.has(name) && !name.startsWith('..')) return
        clearTimeout(timer)
        timer = setTimeout(() => read('file changed', false), SETTLE_MS).unref()
      })
      entry.watcher.on('error', (error) => unseen(folder, error))
      watchers.set(folder, entry)
    } catch (error) {
      unseen(folder, error as Error)
    }
  }

  function unseen(folder: string, error: Error): void {
    logger.warn({ folder, error: error.message }, 'changes of the configuration are not seen: send SIGHUP after one')
  }

  follow()
  return {
    reload: (reason) => read(reason, true),
    get snapshot() {
      return snapshot
    },
    close() {
      clearTimeout(timer)
      for (const { watcher } of watchers.values()) watcher.close()
      watchers.clear()
    },
  }
}
