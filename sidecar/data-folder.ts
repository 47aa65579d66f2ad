import { chmodSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
const OTHERS = 0o077
/** Ours; anything else in the folder is somebody's, and stays as it is. */
const STORE_FILE = /\.(db|db-wal|db-shm|db-journal|lock|key)(\.|$)/

/**
 * Makes the folder of the store, for its owner alone: prompts rest in it. A folder and files that others could read are
 * closed to them. Returns what was wider before, to be logged. Throws an Error that names the folder and what to do.
 * Files that SQLite makes later take the rights of the database (WAL, shm) or need a umask of 077: set it at the start.
 */
export function prepareDataFolder(folder: string): string[] {
  try {
    mkdirSync(folder, { recursive: true, mode: FOLDER_MODE })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' || code === 'ENOTDIR')
      throw new Error(`data: ${folder} is, or lies under, a file: write the path of a folder`)
    throw new Error(
      `data: the folder ${folder} cannot be made (${code}): make it, owned by the user that runs the sidecar`,
    )
  }
  const warnings: string[] = []
  narrow(folder, FOLDER_MODE, warnings)
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (STORE_FILE.test(name) && lstatSync(file).isFile()) narrow(file, FILE_MODE, warnings)
  }
  return warnings
}

function narrow(path: string, mode: number, warnings: string[]): void {
  const before = statSync(path).mode & 0o777
  if ((before & OTHERS) === 0) return
  try {
    chmodSync(path, before & mode)
    warnings.push(`${path} was open to other users (${before.toString(8)}) and is not any more`)
  } catch (error) {
    // A volume that has no rights of its own, or another owner's: not ours to end the start for.
    const { code } = error as NodeJS.ErrnoException
    warnings.push(`${path} is open to other users (${before.toString(8)}), and that cannot be changed (${code})`)
  }
}

/** Makes the folder of a unix socket. Throws an Error that names it and what to do. */
export function prepareSocketFolder(socket: string): void {
  const folder = dirname(socket)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(
      `listen.socket: the folder ${folder} cannot be made (${code}): make it, owned by the user that runs the sidecar and open to Kong's`,
    )
  }
}
