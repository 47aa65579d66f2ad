import { isUtf8 } from 'node:buffer'
import { Readable } from 'node:stream'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import type { HostFault, RequestOrigin } from './allowed-host.ts'
import { totalsSchema } from './capture.ts'
import { type Batch, readBatch } from './capture-batch.ts'
import { FRAMES_CONTENT_TYPE, readFrames } from './frames.ts'
import { CAPTURE_RESULTS, type CaptureResult, type Intake } from './intake.ts'
import { nestsDeeperThan } from './json-depth.ts'
import type { LogLimit } from './log-limit.ts'
import type { Logger } from './logger.ts'
import { StoreUnavailable } from './store/errors.ts'

/** Why a whole request was refused. A closed list: it is a metric label. */
export const REFUSALS = [
  'unauthorized',
  'wrong_host',
  'too_large',
  'content_type',
  'content_encoding',
  'invalid_utf8',
  'invalid_json',
  'too_deep',
  'wrong_version',
  'invalid_batch',
  'not_ready',
  'store_unavailable',
  'internal',
] as const
export type Refusal = (typeof REFUSALS)[number]

export interface ReceiveCounters {
  captures: Record<CaptureResult, number>
  refusals: Record<Refusal, number>
  bytes: number
}

export function newReceiveCounters(): ReceiveCounters {
  const zero = <K extends string>(keys: readonly K[]) =>
    Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>
  return { captures: zero(CAPTURE_RESULTS), refusals: zero(REFUSALS), bytes: 0 }
}

export interface ReceiveOptions {
  /** Whether a request with this Authorization header may pass this door. */
  admits: (door: 'intake' | 'metrics', authorization: string | undefined) => boolean
  /** Which header names no host of ours; undefined: none. */
  hostFault: (request: RequestOrigin) => HostFault
  maxBodyBytes: number
  logger: Logger
  log: LogLimit
  /** Undefined while the store is opened (a migration may take its time). */
  intake: () => Intake | undefined
  counters: ReceiveCounters
  /** In the format that the Accept header asks for; undefined while the store is opened. */
  metrics: (accept: string | undefined) => Promise<{ contentType: string; body: readonly string[] } | undefined>
  /** Empty when ready, else what is missing. */
  notReady: () => string[]
  /** Empty when every thread runs, else what does not. */
  notAlive: () => string[]
}

const MAX_DEPTH = 64
const MAX_TOTALS_BYTES = 4096

interface Problem {
  status: number
  refusal: Refusal
  message: string
}

/**
 * The HTTP door: `POST /v1/captures`, `POST /v1/totals`, `/metrics`, `/healthz`, `/readyz`.
 * Contract: 202 = everything is accounted for, durably: stored, known before, or (not valid) counted as lost;
 * 503 + Retry-After = nothing of it is, come again; 4xx = it will never be taken like this.
 */
export function makeServer(options: ReceiveOptions): FastifyInstance {
  const { counters, logger, log } = options
  const server = fastify({
    bodyLimit: options.maxBodyBytes,
    logger: false,
    // A request that dawdles must not hold a socket for ever.
    requestTimeout: 60_000,
    keepAliveTimeout: 75_000,
    forceCloseConnections: true,
  })
  server.removeAllContentTypeParsers()
  for (const type of ['application/json', FRAMES_CONTENT_TYPE])
    server.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  const refuse = (reply: FastifyReply, problem: Problem) => {
    counters.refusals[problem.refusal]++
    const from = reply.request.ip
    if (problem.status < 500)
      log.warn(`refused ${problem.refusal}`, { ...problem, from, path: pathOf(reply.request) }, 'a request was refused')
    return reply.code(problem.status).send({ error: problem.refusal, message: problem.message })
  }

  const refuseForNow = (reply: FastifyReply) => {
    reply.header('retry-after', '1')
    return refuse(reply, { status: 503, refusal: 'not_ready', message: 'the store is being opened; send it again' })
  }

  server.setErrorHandler((error, request, reply) => {
    const code = (error as { code?: string }).code
    if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
      return refuse(reply, {
        status: 413,
        refusal: 'too_large',
        message: `the body is larger than ${request.routeOptions.bodyLimit ?? options.maxBodyBytes} bytes`,
      })
    if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
      return refuse(reply, { status: 415, refusal: 'content_type', message: 'send application/json' })
    if (error instanceof StoreUnavailable) {
      log.error(
        `unavailable ${error.reason}`,
        { reason: error.reason, error: error.message },
        'the store cannot write now; the captures were not taken and come again',
      )
      reply.header('retry-after', '1')
      return refuse(reply, {
        status: 503,
        refusal: 'store_unavailable',
        message: `the store cannot write now (${error.reason}); nothing was taken, send it again`,
      })
    }
    const status = (error as { statusCode?: number }).statusCode ?? 500
    if (status < 500) return refuse(reply, { status, refusal: 'invalid_batch', message: (error as Error).message })
    logger.error({ request_id: request.id, error: (error as Error).message }, 'request failed')
    return refuse(reply, { status: 500, refusal: 'internal', message: 'internal error' })
  })
  server.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      error: 'not_found',
      message: `no ${request.method} ${request.url.split('?')[0]} here; captures go to POST /v1/captures`,
    }),
  )

  // Every door. A unix socket tells no address: no web page reaches it, and its clients send any Host.
  server.addHook('onRequest', async (request, reply) => {
    if (request.socket.remoteAddress === undefined) return
    const fault = options.hostFault({ host: request.headers.host, origin: request.headers.origin })
    if (fault !== undefined)
      return refuse(reply, {
        status: 403,
        refusal: 'wrong_host',
        message: `the ${fault === 'host' ? 'Host' : 'Origin'} header names no host of this sidecar: write it into listen.hosts of observer.yaml`,
      })
  })
  // Before the body is read: nobody without the token makes us hold 50 MB.
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    if (!options.admits('intake', request.headers.authorization)) {
      return refuse(reply, {
        status: 401,
        refusal: 'unauthorized',
        message: 'send the token as Authorization: Bearer …',
      })
    }
    const encoding = request.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity')
      return refuse(reply, {
        status: 415,
        refusal: 'content_encoding',
        message: 'send the body without content-encoding',
      })
  }

  server.route({
    method: 'POST',
    url: '/v1/totals',
    bodyLimit: MAX_TOTALS_BYTES,
    onRequest,
    handler: async (request, reply) => {
      const json = Buffer.isBuffer(request.body) ? parseJson(request.body) : undefined
      const parsed = totalsSchema.safeParse(json)
      if (!parsed.success)
        return refuse(reply, { status: 400, refusal: 'invalid_batch', message: describe(parsed.error) })
      const intake = options.intake()
      if (intake === undefined) return refuseForNow(reply)
      await intake.takeTotal(parsed.data)
      return reply.code(202).send({ stored: true })
    },
  })

  server.route({
    method: 'POST',
    url: '/v1/captures',
    onRequest,
    handler: async (request, reply) => {
      if (!Buffer.isBuffer(request.body))
        return refuse(reply, { status: 415, refusal: 'content_type', message: 'send application/json' })
      counters.bytes += request.body.length
      const frames = request.headers['content-type'] === FRAMES_CONTENT_TYPE
      const batch = frames ? parseFrames(request.body) : parseBatch(request.body)
      if ('refusal' in batch) return refuse(reply, batch)

      const intake = options.intake()
      if (intake === undefined) return refuseForNow(reply)
      return reply.code(202).send(await intake.take(batch))
    },
  })

  server.get('/metrics', async (request, reply) => {
    if (!options.admits('metrics', request.headers.authorization))
      return refuse(reply, {
        status: 401,
        refusal: 'unauthorized',
        message: 'send the token of /metrics as Authorization: Bearer …',
      })
    const metrics = await options.metrics(request.headers.accept)
    if (metrics === undefined) return refuseForNow(reply)
    return reply.header('content-type', metrics.contentType).send(Readable.from(metrics.body))
  })
  server.get('/healthz', async (_request, reply) => {
    const missing = options.notAlive()
    return missing.length === 0 ? { status: 'ok' } : reply.code(503).send({ status: 'not alive', missing })
  })
  server.get('/readyz', async (_request, reply) => {
    const missing = options.notReady()
    return missing.length === 0 ? { status: 'ready' } : reply.code(503).send({ status: 'not ready', missing })
  })
  return server
}

function parseFrames(body: Buffer): Batch | Problem {
  const batch = readFrames(body)
  if (!('problem' in batch)) return batch
  return { status: 400, refusal: batch.problem.kind, message: batch.problem.message }
}

function parseBatch(body: Buffer): Batch | Problem {
  if (!isUtf8(body)) return { status: 400, refusal: 'invalid_utf8', message: 'the body is not UTF-8' }
  const text = body.toString('utf8')
  if (nestsDeeperThan(text, MAX_DEPTH))
    return { status: 400, refusal: 'too_deep', message: `the JSON nests deeper than ${MAX_DEPTH} levels` }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    // The parser quotes what it read: that may be content.
    const place = /position \d+/.exec((error as Error).message)?.[0]
    return {
      status: 400,
      refusal: 'invalid_json',
      message: `the body is not JSON${place === undefined ? '' : ` at ${place}`}`,
    }
  }
  const batch = readBatch(json)
  return 'problem' in batch ? { status: 400, refusal: batch.problem.kind, message: batch.problem.message } : batch
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? ''
}

function describe(error: { issues: { path: PropertyKey[]; message: string }[] }): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`)
    .join('; ')
}
