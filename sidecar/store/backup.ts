import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { HOUR_MS } from '../ledger/period.ts'
import type { Logger } from '../logger.ts'
import { storeFile } from './data-folder.ts'

export interface BackupSettings {
  enabled: boolean
  everyHours: number
  /** How many are kept: the newest. */
  keep: number
  /** Its own folder; by default `backups` in the data folder. */
  folder?: string | undefined
}

const run = promisify(execFile)
const NAME = /^observer-\d{8}T\d{6}Z\.db$/
const UNFINISHED = '.unfinished'
const LOOK_MS = 60_000

/** A whole copy of the store at one moment, beside a running sidecar. Written under another name until it is whole. */
export function writeBackup(file: string, to: string): { bytes: number } {
  const unfinished = `${to}${UNFINISHED}`
  rmSync(unfinished, { force: true })
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
  try {
    database.prepare('VACUUM INTO ?').run(unfinished)
  } catch (error) {
    rmSync(unfinished, { force: true })
    throw error
  } finally {
    database.close()
  }
  chmodSync(unfinished, 0o600)
  renameSync(unfinished, to)
  return { bytes: statSync(to).size }
}

/**
 * In a process of its own: a statement of minutes cannot be broken off in a thread, and the whole process would wait for it
 * before it ends. The signal kills it.
 */
export async function backupStore(folder: string, to: string, signal?: AbortSignal): Promise<{ bytes: number }> {
  const program = fileURLToPath(new URL(`./backup-process${extname(import.meta.url)}`, import.meta.url))
  try {
    const { stdout } = await run(process.execPath, [program, storeFile(folder), to], { signal, killSignal: 'SIGKILL' })
    return { bytes: Number(stdout) }
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    // Node writes the line of code, then the error's own words.
    throw new Error(/^\w*Error: (.*)$/m.exec(stderr ?? '')?.[1] ?? message)
  }
}

/** `observer-20261128T231500Z.db` */
export function backupName(now: number): string {
  return `observer-${new Date(now).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z.db`
}

function timeOf(name: string): number {
  const [, y, mo, d, h, mi, s] = /^observer-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(name)!.map(Number) as number[]
  return Date.UTC(y!, mo! - 1, d!, h!, mi!, s!)
}

/** Names of backups, the oldest first. */
export function backupsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => NAME.test(name))
      .sort()
  } catch {
    return []
  }
}

/** What a process that was killed has left. */
function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder)) {
    const whole = name.slice(0, -UNFINISHED.length)
    if (name.endsWith(UNFINISHED) && NAME.test(whole)) rmSync(join(folder, name), { force: true })
  }
}

/** Writes a backup as soon as the last is older than `everyHours`, and keeps the newest. Failures are logged and tried again; `close` breaks one off. */
export function scheduleBackups(
  data: string,
  settings: BackupSettings,
  { logger, now, lookMs = LOOK_MS }: { logger: Logger; now: () => number; lookMs?: number },
): { close(): Promise<void> } {
  if (!settings.enabled) return { close: async () => {} }
  const folder = settings.folder ?? join(data, 'backups')
  const stop = new AbortController()
  let running: Promise<void> | undefined
  let failures = 0
  let notBefore = now() + lookMs

  async function look(): Promise<void> {
    if (now() < notBefore) return
    try {
      const last = backupsIn(folder).at(-1)
      const lastAt = last === undefined ? 0 : timeOf(last)
      if (now() - lastAt < settings.everyHours * HOUR_MS) return
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      removeUnfinished(folder)
      const size = statSync(storeFile(data)).size
      const { bavail, bsize } = statfsSync(folder)
      // Where the store is on the same disk it needs room to go on.
      const needed = statSync(folder).dev === statSync(data).dev ? 2 * size : size
      if (bavail * bsize < needed) throw new Error(`${folder}: a backup needs ${needed} bytes of free disk`)
      const { bytes } = await backupStore(data, join(folder, backupName(now())), stop.signal)
      for (const name of backupsIn(folder).slice(0, -settings.keep)) rmSync(join(folder, name), { force: true })
      failures = 0
      logger.info({ folder, bytes }, 'backup of the store written')
    } catch (error) {
      if (stop.signal.aborted) return
      failures++
      notBefore = now() + Math.min(HOUR_MS, lookMs * 2 ** failures)
      logger.error({ folder, failures, error: (error as Error).message }, 'no backup of the store; it is tried again')
    }
  }
  const timer = setInterval(() => {
    running ??= look().finally(() => {
      running = undefined
    })
  }, lookMs)
  timer.unref()
  return {
    async close() {
      clearInterval(timer)
      stop.abort()
      await running
    },
  }
}
