import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { CAPTURE_VERSION, type Tombstone } from '../../sidecar/capture.ts'
import { type Batch, type BatchAnswer, readBatch } from '../../sidecar/capture-batch.ts'
import { FRAMES_CONTENT_TYPE, readFrames } from '../../sidecar/frames.ts'

/** `hang` never answers, `reset` breaks the connection; a function decides by the batch. */
export type Behaviour =
  | { status: number; retryAfter?: string; error?: string; rejected?: BatchAnswer['rejected'] }
  | 'hang'
  | 'reset'
  | ((batch: ReadBatch) => Behaviour)

/** A batch as a sidecar reads it, and its captures without the places where tombstones stood. */
export type ReadBatch = Batch & { captures: unknown[] }

export interface FakeSidecar {
  url: string
  /** What it does next; the last one stays. */
  behave(...behaviours: Behaviour[]): void
  /** Every batch that came whole, in order, and what was answered. */
  batches: { batch: ReadBatch; status: number; authorization: string | undefined; at: number }[]
  /** Captures of batches that were answered 202, in order. */
  stored(): unknown[]
  /** Tombstones of batches that were answered 202, in order. */
  lost(): Tombstone[]
  requests: number
  connections(): number
  close(): Promise<void>
}

function readBody(body: Buffer, contentType: string | undefined): ReturnType<typeof readBatch> {
  if (contentType === FRAMES_CONTENT_TYPE) return readFrames(body)
  const json: unknown = JSON.parse(body.toString('utf8'))
  if ((json as { v: unknown }).v !== CAPTURE_VERSION) throw new Error('the plugin speaks an old version')
  return readBatch(json)
}

/** Speaks the sidecar's side of `POST /v1/captures`; every batch is checked against the wire contract. */
export async function startFakeSidecar(listen: { path?: string; port?: number } = {}): Promise<FakeSidecar> {
  let behaviours: Behaviour[] = [{ status: 202 }]
  let open = 0
  const fake: FakeSidecar = {
    url: '',
    batches: [],
    requests: 0,
    behave: (...next) => {
      behaviours = next
    },
    stored: () => fake.batches.filter(({ status }) => status === 202).flatMap(({ batch }) => batch.captures),
    lost: () => fake.batches.filter(({ status }) => status === 202).flatMap(({ batch }) => batch.tombstones),
    connections: () => open,
    async close() {
      server.closeAllConnections()
      server.close()
      if (server.listening) await once(server, 'close')
    },
  }
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()))
  server.keepAliveTimeout = 75_000
  server.on('connection', (socket) => {
    open++
    socket.on('close', () => open--)
  })

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    fake.requests++
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const known = request.method === 'POST' && request.url === '/v1/captures'
    const read = readBody(Buffer.concat(chunks), request.headers['content-type'])
    if ('problem' in read) throw new Error(read.problem.message)
    const batch = { ...read, captures: read.entries.filter((entry) => entry !== undefined) }
    let behaviour: Behaviour = behaviours[0]!
    if (behaviours.length > 1) behaviours.shift()
    while (typeof behaviour === 'function') behaviour = behaviour(batch)
    if (behaviour === 'reset') return void request.socket.resetAndDestroy()
    const status = behaviour === 'hang' ? 0 : known ? behaviour.status : 404
    const { authorization } = request.headers
    fake.batches.push({ batch, status, authorization, at: performance.now() })
    if (behaviour === 'hang') return
    const headers = behaviour.retryAfter === undefined ? {} : { 'retry-after': behaviour.retryAfter }
    const rejected = behaviour.rejected ?? []
    const accepted = {
      stored: batch.captures.length - rejected.length,
      duplicate: 0,
      lost: batch.tombstones.reduce((sum, { count }) => sum + count, 0),
      rejected,
      store: 'fake',
    } satisfies BatchAnswer
    const answer = status === 202 ? accepted : behaviour.error === undefined ? {} : { error: behaviour.error }
    const text = JSON.stringify(answer)
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length, ...headers })
    response.end(text)
  }

  server.listen(listen.path ?? { port: listen.port ?? 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const address = server.address()
  fake.url = typeof address === 'string' ? `unix:${address}` : `http://127.0.0.1:${address?.port}`
  return fake
}
