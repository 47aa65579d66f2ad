import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { between, pick, type Random, randomId, seededRandom } from '../seeded-random.ts'
import { type Answer, BILLED_UNITS, type BilledUnit, breakOff, jsonAnswer } from './answer.ts'
import { anthropicError } from './anthropic-errors.ts'
import { answerAnthropicMessages, anthropicHeaders } from './anthropic-messages.ts'
import type { AnswerContext } from './context.ts'
import { answerOpenaiChat, INVALID_JSON, openaiHeaders } from './openai-chat.ts'
import { incorrectKey, openaiError } from './openai-errors.ts'
import { loadRecordings, type Recording, replay } from './recordings.ts'
import { responseCache } from './response-cache.ts'
import { send } from './send.ts'
import { readSteering, type Steering } from './steering.ts'

export interface ProviderOptions {
  port?: number
  seed?: number
  /** The loopback address; another one where it runs in a container. */
  host?: string
  latencyMs?: readonly [number, number]
  chunkDelayMs?: readonly [number, number]
  /** The share of good requests that are answered with 429, 500, 503 or 529 all the same. */
  errorRate?: number
  /** Path of exchanges.jsonl, for `x-mock-replay`. */
  recordings?: string
}

export interface ProviderStats {
  requests: number
  byStatus: Record<number, number>
  cacheHits: number
  /** Requests whose client was gone before the answer's end. */
  aborted: number
  /** Tokens billed, by model. */
  billed: Record<string, Partial<Record<BilledUnit, number>>>
}

export interface Provider {
  url: string
  port: number
  stats(): ProviderStats
  close(): Promise<void>
}

const MAX_BODY_BYTES = 64 * 1024 * 1024
const LISTEN_BACKLOG = 4096

/**
 * A mock of two LLM providers on the loopback address, in their real wire formats. Requests steer it (steering.ts), and
 * every answer says in the header `x-mock-usage` what the provider itself billed for it.
 */
export async function startProvider(options: ProviderOptions = {}): Promise<Provider> {
  const seed = options.seed ?? 1
  const random = seededRandom(seed)
  const idRandom = seededRandom(randomBytes(4).readInt32LE())
  const recordings: ReadonlyMap<string, Recording> = options.recordings
    ? loadRecordings(options.recordings)
    : new Map<string, Recording>()
  const cache = responseCache()
  const stats: ProviderStats = { requests: 0, byStatus: {}, cacheHits: 0, aborted: 0, billed: {} }

  function decide(request: IncomingMessage, body: Buffer | undefined, steering: Steering): Answer {
    const path = (request.url ?? '/').split('?')[0]!
    const context: AnswerContext = { random: requestRandom(seed, body), answerId: nextId(), now: Date.now(), steering }
    if (body === undefined) return tooLarge(path, context)
    if (steering.replay !== undefined) return replayed(recordings, steering.replay)
    const answer = () => {
      const made = answerPath(request, path, body, context)
      const fails = made.status === 200 && options.errorRate !== undefined && random() < options.errorRate
      const status = fails ? pick(random, isAnthropic(path) ? [429, 500, 529] : [429, 500, 503]) : undefined
      const final =
        status === undefined ? made : answerPath(request, path, body, { ...context, steering: { ...steering, status } })
      return steering.fail === undefined ? final : breakOff(final, steering.fail)
    }
    if (!steering.cache && !path.startsWith('/cached/')) return answer()
    // A failure that was asked for is never kept; everything else is.
    if (steering.fail !== undefined) return answer()
    const { answer: cached, hit } = cache.through(path, body, context.now, answer)
    if (hit) stats.cacheHits++
    return cached
  }

  // Random over processes, counted within one: no id comes twice, whatever the seed.
  let answers = 0
  const nextId = () => `${randomId(idRandom, 16)}${(answers++).toString(36).padStart(6, '0')}`

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    stats.requests++
    const body = await readBody(request)
    const steering = readSteering(request.headers)
    const answer =
      'refused' in steering
        ? jsonAnswer(400, { error: { type: 'mock_steering', message: steering.refused } }, {})
        : decide(request, body, steering)
    const steered = 'refused' in steering ? undefined : steering
    count(stats, answer)
    const sent = await send(response, answer, {
      latencyMs: steered?.latencyMs ?? between(random, options.latencyMs ?? [0, 0]),
      chunkDelayMs: () => steered?.chunkDelayMs ?? between(random, options.chunkDelayMs ?? [0, 0]),
      encoding: steered?.encoding,
    })
    if (!sent) stats.aborted++
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      // The client hung up while it still sent; or a defect of the mock, which must show.
      if (request.destroyed && !request.complete) stats.aborted++
      else if (response.headersSent) response.destroy()
      else response.writeHead(500, { 'x-mock-usage': '{}' }).end(`mock provider: ${String(error)}`)
    })
  })
  server.keepAliveTimeout = 60_000
  server.listen({ port: options.port ?? 0, host: options.host ?? '127.0.0.1', backlog: LISTEN_BACKLOG })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    stats: () => structuredClone(stats),
    async close() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** The same body gives the same numbers. */
function requestRandom(seed: number, body: Buffer | undefined): Random {
  const hash = createHash('sha256')
    .update(body ?? '')
    .digest()
  return seededRandom(hash.readInt32LE(0) ^ Math.imul(seed, 0x9e3779b1))
}

function isAnthropic(path: string): boolean {
  return path.endsWith('/v1/messages')
}

/** Any prefix before `/v1/…` is accepted, since a gateway's route may keep its own. */
function answerPath(request: IncomingMessage, path: string, body: Buffer, context: AnswerContext): Answer {
  const anthropic = isAnthropic(path)
  if (!anthropic && !path.endsWith('/v1/chat/completions'))
    return openaiError(404, { message: `Invalid URL (${request.method} ${path})` })
  const headers = anthropic ? anthropicHeaders(context) : openaiHeaders(context)
  if (request.method !== 'POST')
    return anthropic
      ? anthropicError(405, headers, 'Method Not Allowed')
      : openaiError(
          405,
          { message: `Not allowed to ${request.method} on ${path}.`, code: 'method_not_supported' },
          headers,
        )
  if (keyOf(request) === 'invalid') return anthropic ? anthropicError(401, headers) : incorrectKey(headers)
  const contentType = request.headers['content-type'] ?? ''
  if (!/^application\/json\b/i.test(contentType)) {
    const message = `Unsupported content type: '${contentType}'. This API method only accepts 'application/json' requests.`
    return anthropic
      ? anthropicError(400, headers, message)
      : openaiError(400, { message, code: 'unsupported_content_type' }, headers)
  }
  let document: unknown
  try {
    document = JSON.parse(body.toString('utf8'))
  } catch {
    return anthropic
      ? anthropicError(400, headers, 'The request body is not valid JSON')
      : openaiError(400, { message: INVALID_JSON }, headers)
  }
  if (!anthropic) return answerOpenaiChat(document, context)
  const version = request.headers['anthropic-version']
  return answerAnthropicMessages(document, typeof version === 'string' ? version : undefined, context)
}

function keyOf(request: IncomingMessage): string | undefined {
  const key = request.headers['x-api-key'] ?? /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
  return typeof key === 'string' ? key : undefined
}

function replayed(recordings: ReadonlyMap<string, Recording>, id: string): Answer {
  const recording = recordings.get(id)
  if (recording !== undefined) return replay(recording)
  const message = `x-mock-replay: no recorded exchange "${id}" among ${recordings.size}`
  return jsonAnswer(404, { error: { type: 'mock_steering', message } }, {})
}

function tooLarge(path: string, context: AnswerContext): Answer {
  if (isAnthropic(path)) return anthropicError(413, anthropicHeaders(context))
  return openaiError(413, { message: 'Request body too large.' }, openaiHeaders(context))
}

/** Undefined where it is larger than the limit; it is read to its end all the same, so that the client gets the answer. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= MAX_BODY_BYTES) chunks.push(chunk)
    else chunks.length = 0
  }
  return size <= MAX_BODY_BYTES ? Buffer.concat(chunks) : undefined
}

function count(stats: ProviderStats, answer: Answer): void {
  stats.byStatus[answer.status] = (stats.byStatus[answer.status] ?? 0) + 1
  const { model } = answer.billed
  if (model === undefined) return
  stats.billed[model] ??= {}
  const units = stats.billed[model]
  for (const unit of BILLED_UNITS)
    if (answer.billed[unit] !== undefined) units[unit] = (units[unit] ?? 0) + answer.billed[unit]
}
