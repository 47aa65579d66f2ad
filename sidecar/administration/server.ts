import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fastify } from 'fastify'
import { z } from 'zod'
import type { Adjustment } from '../ledger/adjustments.ts'
import type { Store } from '../store/store.ts'
import { somebodyServes } from '../unix-socket.ts'

/** What tools may change. The running sidecar does it, or this process where none runs; see client.ts. */
export type Administration = Pick<Store, 'adjust' | 'replay' | 'deadLetters' | 'confirmRollback' | 'rolledBack'>

/** A path of a unix socket has at most 107 characters. */
const MAX_PATH = 100

/** The door of the sidecar that works on this data folder. Who may read the folder may use it; nobody else. */
export function administrationSocket(folder: string): string {
  const path = join(resolve(folder), 'admin.sock')
  if (path.length <= MAX_PATH) return path
  const name = createHash('sha256').update(resolve(folder)).digest('hex').slice(0, 16)
  return join(tmpdir(), `llm-observer-${name}`, 'admin.sock')
}

const price = z.object({
  priceId: z.string().nullable(),
  reason: z.string().nullable(),
  cost: z.number().int().nonnegative(),
})
const adjustments = z
  .array(
    z.object({
      startedAt: z.number().int(),
      id: z.string().min(1).max(64),
      labels: z.object({ tenant: z.string(), provider: z.string(), model: z.string() }),
      before: price.extend({ number: z.number().int().nonnegative() }),
      after: price,
      book: z.string(),
    }),
  )
  .max(2000)
const replay = z.object({ sink: z.string(), positions: z.array(z.number().int()).optional() })
const letters = z.object({
  sink: z.string().optional(),
  after: z.object({ sink: z.string(), position: z.number().int() }).optional(),
  limit: z.number().int().positive().max(1000),
})

/** A folder in the common temporary one may have been made by somebody else, who could put a door of theirs in it. */
function ownFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = statSync(folder)
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0)
    throw new Error(`${folder} is open to other users, or belongs to one: remove it, or give \`data\` a shorter path`)
}

export async function openAdministration(folder: string, store: Administration): Promise<{ close(): Promise<void> }> {
  const path = administrationSocket(folder)
  if (await somebodyServes(path)) throw new Error(`${path} is already served by another process`)
  if (dirname(path) !== resolve(folder)) ownFolder(dirname(path))
  rmSync(path, { force: true })
  const server = fastify({ logger: false, bodyLimit: 4 * 1024 * 1024, forceCloseConnections: true })
  server.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof z.ZodError ? 400 : 500).send({ message: (error as Error).message }),
  )
  server.post('/adjust', async ({ body }) => ({
    written: await store.adjust(adjustments.parse(body) satisfies Adjustment[]),
  }))
  server.post('/replay', async ({ body }) => {
    const { sink, positions } = replay.parse(body)
    return { replayed: await store.replay(sink, positions) }
  })
  server.post('/dead-letters', async ({ body }) => {
    const { sink, after, limit } = letters.parse(body)
    return { letters: await store.deadLetters(sink, after, limit) }
  })
  server.post('/confirm-rollback', async () => {
    const captures = store.rolledBack
    await store.confirmRollback()
    return { captures }
  })
  const before = process.umask(0o077)
  try {
    await server.listen({ path })
  } finally {
    process.umask(before)
  }
  return { close: () => server.close() }
}
