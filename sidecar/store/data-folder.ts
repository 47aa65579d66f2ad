import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultOf } from './errors.ts'

export const STORE_FILE = 'observer.db'
/** What a store of version 0.1 consisted of. */
export const OLD_LEDGER = 'ledger.db'
export const OLD_LOG = 'spool.db'

export const storeFile = (folder: string): string => join(folder, STORE_FILE)

/** Made for its owner alone; what stands in it is closed to others. Returns what was open to others before. */
export function prepareDataFolder(folder: string): string[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const opened: string[] = []
  const close = (path: string, mode: number) => {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined || (stat.mode & 0o077) === 0) return
    opened.push(path)
    try {
      chmodSync(path, mode)
    } catch {
      // Another owner's volume (Kubernetes fsGroup): its rights are not ours to change, and the warning names it.
    }
  }
  close(folder, 0o700)
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isFile()) close(join(folder, entry.name), 0o600)
  return opened
}

const markOf = (file: string) => `${file}.damaged`

/** The file has a damaged page: the next start reads what can be read into a new one (salvage.ts). */
export function markDamaged(file: string): void {
  try {
    writeFileSync(markOf(file), '', { mode: 0o600 })
  } catch {
    // The message that ends the process says it as well.
  }
}
/** Runs what opens the file. */
export function markingDamage<T>(file: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (faultOf(error) === 'corrupt') markDamaged(file)
    throw error
  }
}
/** The whole copy of a damaged file, before it is put in its place (salvage.ts). */
export const salvagedFile = (file: string): string => `${file}.salvaged`
export const isMarkedDamaged = (file: string): boolean => existsSync(markOf(file))
export const unmarkDamaged = (file: string): void => rmSync(markOf(file), { force: true })
