import { isUtf8 } from 'node:buffer'
import { createHash, timingSafeEqual } from 'node:crypto'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { z } from 'zod'
import type { LlmCall } from './call.ts'
import { type Capture, captureSchema, type Totals, totalsSchema } from './capture.ts'
import { readBatch } from './capture-batch.ts'
import { nestsDeeperThan } from './json-depth.ts'
import type { Logger } from './logger.ts'
import type { Spool } from './spool/spool.ts'

/** Why a whole request was refused. A closed list: it is a metric label. */
export const REFUSALS = [
  'unauthorized',
  'too_large',
  'content_type',
  'content_encoding',
  'invalid_utf8',
  'invalid_json',
  'too_deep',
  'wrong_version',
  'invalid_batch',
  'no_valid_capture',
  'spool_full',
  'internal',
] as const
export type Refusal = (typeof REFUSALS)[number]

/** What became of captures. `refused` ones come again: the plugin keeps them. `not_llm`: other requests, see is-llm-call.ts. */
export const CAPTURE_RESULTS = ['stored', 'duplicate', 'invalid', 'refused', 'not_llm'] as const
export type CaptureResult = (typeof CAPTURE_RESULTS)[number]

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

export interface Drops {
  instance: string
  totals: { reason: string; total: number }[]
  sequences: [epoch: string, sequence: number][]
}

export interface TapErrors {
  node: string
  epoch: string
  /** Running total of the epoch. */
  total: number
}

export interface ReceiveOptions {
  token: string | undefined
  maxBodyBytes: number
  logger: Logger
  /** Takes time only where tokens must be estimated. Undefined: the request was no LLM call. */
  observe: (capture: Capture) => LlmCall | Promise<LlmCall> | undefined
  spool: Pick<Spool, 'append'>
  counters: ReceiveCounters
  /** The plugin's own losses, told with each batch. */
  onDrops: (drops: Drops) => Promise<void>
  /** Captures were not taken for now: they come again. */
  onRefused: () => void
  /** How many captures an epoch of the tap has had, told by its timer. */
  onTapTotal: (total: Totals) => Promise<void>
  /** What the tap could not gather, told with a capture. */
  onTapErrors: (errors: readonly TapErrors[]) => Promise<void>
  /** In the format that the Accept header asks for. */
  metrics: (accept: string | undefined) => Promise<{ contentType: string; body: string }>
  /** Empty when ready, else what is missing. */
  notReady: () => string[]
}

/** What even a capture that is none may say: which one it would have been. */
const numberedSchema = z.object({ epoch: z.string().min(1).max(64), sequence: z.number().int().positive() })

const MAX_DEPTH = 64
const MAX_TOTALS_BYTES = 4096
/** Numbers of one tombstone that are named to the ledger, which takes them one by one. */
const MAX_NAMED = 100_000
/** How many faulty captures of a batch are described in the answer. */
const MAX_DESCRIBED = 20

interface Problem {
  status: number
  refusal: Refusal
  message: string
}

/**
 * The HTTP door: `POST /v1/captures`, `POST /v1/totals`, `/metrics`, `/healthz`, `/readyz`.
 * Contract: 202 = every valid capture is stored, durably; 503 + Retry-After = nothing of it is, come again;
 * 4xx = it will never be taken like this.
 */
export function makeServer(options: ReceiveOptions): FastifyInstance {
  const { counters, logger } = options
  const server = fastify({
    bodyLimit: options.maxBodyBytes,
    logger: false,
    // A request that dawdles must not hold a socket for ever.
    requestTimeout: 60_000,
    keepAliveTimeout: 75_000,
    forceCloseConnections: true,
  })
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  const expected = options.token === undefined ? undefined : digest(`Bearer ${options.token}`)
  const refuse = (reply: FastifyReply, problem: Problem) => {
    counters.refusals[problem.refusal]++
    return reply.code(problem.status).send({ error: problem.refusal, message: problem.message })
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

  // Before the body is read: nobody without the token makes us hold 50 MB.
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    if (expected !== undefined && !timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
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
      await options.onTapTotal(parsed.data)
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
      const batch = parseBatch(request.body)
      if ('refusal' in batch) return refuse(reply, batch)

      const { calls, invalid, tapErrors, ignored, arrived } = await observeAll(batch.captures, options, request.id)
      if (calls.length === 0 && ignored === 0 && invalid.length > 0) {
        counters.captures.invalid += invalid.length
        counters.refusals.no_valid_capture++
        return reply.code(400).send({
          error: 'no_valid_capture',
          message: 'no capture of the batch is valid',
          rejected: invalid.slice(0, MAX_DESCRIBED),
        })
      }
      const appended = calls.length === 0 ? { stored: 0, duplicate: 0 } : await options.spool.append(calls)
      if (appended === 'full') {
        counters.captures.refused += batch.captures.length
        options.onRefused()
        reply.header('retry-after', '1')
        return refuse(reply, {
          status: 503,
          refusal: 'spool_full',
          message: 'the store is at its limit; the batch was not taken, send it again',
        })
      }
      counters.captures.stored += appended.stored
      counters.captures.duplicate += appended.duplicate
      counters.captures.invalid += invalid.length
      counters.captures.not_llm += ignored
      // Told once and acknowledged: they must be stored before the 202 as well.
      const sequences = [...batch.drops.sequences, ...arrived]
      if (batch.drops.totals.length > 0 || sequences.length > 0) await options.onDrops({ ...batch.drops, sequences })
      if (tapErrors.length > 0) await options.onTapErrors(tapErrors)
      return reply
        .code(202)
        .send({ stored: appended.stored, duplicate: appended.duplicate, rejected: invalid.slice(0, MAX_DESCRIBED) })
    },
  })

  server.get('/metrics', async (request, reply) => {
    const { contentType, body } = await options.metrics(request.headers.accept)
    return reply.header('content-type', contentType).send(body)
  })
  server.get('/healthz', async () => ({ status: 'ok' }))
  server.get('/readyz', async (_request, reply) => {
    const missing = options.notReady()
    return missing.length === 0 ? { status: 'ready' } : reply.code(503).send({ status: 'not ready', missing })
  })
  return server
}

interface ParsedBatch {
  captures: unknown[]
  drops: Drops
}

function parseBatch(body: Buffer): ParsedBatch | Problem {
  if (!isUtf8(body)) return { status: 400, refusal: 'invalid_utf8', message: 'the body is not UTF-8' }
  const text = body.toString('utf8')
  if (nestsDeeperThan(text, MAX_DEPTH))
    return { status: 400, refusal: 'too_deep', message: `the JSON nests deeper than ${MAX_DEPTH} levels` }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return {
      status: 400,
      refusal: 'invalid_json',
      message: `the body is not JSON: ${(error as Error).message.slice(0, 120)}`,
    }
  }
  const batch = readBatch(json)
  if ('problem' in batch) return { status: 400, refusal: batch.problem.kind, message: batch.problem.message }
  const { plugin, entries, tombstones, legacyDrops } = batch
  return {
    captures: entries.filter((entry) => entry !== undefined),
    drops: {
      instance: plugin.instance,
      totals: legacyDrops.map(({ reason, total }) => ({ reason, total })),
      sequences: tombstones.flatMap(({ epoch, sequence, count }) =>
        Array.from({ length: Math.min(count, MAX_NAMED) }, (_, step): [string, number] => [epoch, sequence + step]),
      ),
    },
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

async function observeAll(captures: unknown[], options: ReceiveOptions, requestId: string) {
  const observed: (LlmCall | Promise<LlmCall | undefined> | undefined)[] = []
  const invalid: { index: number; message: string }[] = []
  const tapErrors: TapErrors[] = []
  let ignored = 0
  /** Numbers of captures that came and are no call: counted as what they are, they must not count as a gap as well. */
  const arrived: [epoch: string, sequence: number][] = []
  let waits = false
  for (let index = 0; index < captures.length; index++) {
    const parsed = captureSchema.safeParse(captures[index])
    if (!parsed.success) {
      invalid.push({ index, message: describe(parsed.error) })
      arrived.push(...numberOf(captures[index]))
      continue
    }
    const { node, epoch, tap_errors: total, log } = parsed.data
    if (total != null && total > 0) tapErrors.push({ node, epoch: epoch ?? '', total })
    // A defect of ours must not cost the other calls of the batch, nor go unseen.
    const unreadable = (error: unknown) => {
      options.logger.error(
        { request_id: requestId, call_request_id: log.request.id, error: (error as Error).message },
        'a capture could not be read',
      )
      invalid.push({ index, message: 'the capture could not be read (see the log)' })
      arrived.push(...numberOf(parsed.data))
      return undefined
    }
    try {
      const call = options.observe(parsed.data)
      if (call === undefined) {
        ignored++
        arrived.push(...numberOf(parsed.data))
        continue
      }
      waits ||= call instanceof Promise
      observed.push(call instanceof Promise ? call.catch(unreadable) : call)
    } catch (error) {
      unreadable(error)
    }
  }
  const calls = waits ? await Promise.all(observed) : (observed as LlmCall[])
  return { calls: calls.filter((call) => call !== undefined), invalid, tapErrors, ignored, arrived }
}

function numberOf(capture: unknown): [epoch: string, sequence: number][] {
  const parsed = numberedSchema.safeParse(capture)
  return parsed.success ? [[parsed.data.epoch, parsed.data.sequence]] : []
}

function describe(error: { issues: { path: PropertyKey[]; message: string }[] }): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`)
    .join('; ')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
