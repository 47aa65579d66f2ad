import { mkdirSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect, createServer } from 'node:net'
import { dirname } from 'node:path'

/**
 * Lets an HTTP server that listens on a port answer on a unix socket too.
 * A socket file left by a process that died is removed; one that somebody serves is refused.
 * With `forEveryone` users other than this process's may connect, as they may to a port: Kong's is another one, and connecting
 * takes the right to write. Without it the umask decides.
 */
export async function listenOnSocket(
  server: Server,
  path: string,
  { forEveryone = false }: { forEveryone?: boolean } = {},
): Promise<() => Promise<void>> {
  if (await somebodyServes(path)) throw new Error(`${path} is already served by another process`)
  rmSync(path, { force: true })
  const door = createServer((socket) => server.emit('connection', socket))
  await new Promise<void>((resolve, reject) => {
    door.once('error', reject)
    door.listen({ path, readableAll: forEveryone, writableAll: forEveryone }, resolve)
  })
  return () => new Promise((resolve) => door.close(() => resolve()))
}

/** Whether a process answers on this socket, not only whether its file is there. */
export function somebodyServes(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
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
