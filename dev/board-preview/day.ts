import type { Capture } from '../../sidecar/capture.ts'
import { makeCapture } from '../../sidecar/testing/make-capture.ts'
import { between, pick, type Random, seededRandom } from '../seeded-random.ts'

/** What a client was told, as far as Kong's own metrics count it. */
export interface GatewayRequest {
  service: string
  status: number
  source: 'service' | 'kong' | 'error'
  kongMs: number
  upstreamMs: number
  bytesIn: number
  bytesOut: number
}
export interface Made {
  capture: Capture
  request: GatewayRequest
}

interface Model {
  name: string
  service: 'openai' | 'anthropic' | 'gemini'
  /** Seconds to the first byte, and for each token of the answer. */
  first: number
  perToken: number
  tokens: { input: number; output: number; cached: number }
}
const MODELS = {
  'gpt-4o': {
    service: 'openai',
    first: 0.55,
    perToken: 0.007,
    tokens: { input: 1800, output: 320, cached: 0.35 },
  },
  'gpt-4o-mini': {
    service: 'openai',
    first: 0.35,
    perToken: 0.008,
    tokens: { input: 1200, output: 210, cached: 0.25 },
  },
  'text-embedding-3-small': {
    service: 'openai',
    first: 0.09,
    perToken: 0,
    tokens: { input: 600, output: 0, cached: 0 },
  },
  'gpt-6-preview': { service: 'openai', first: 0.9, perToken: 0.02, tokens: { input: 900, output: 400, cached: 0 } },
  'claude-sonnet-4-5': {
    service: 'anthropic',
    first: 0.8,
    perToken: 0.009,
    tokens: { input: 3200, output: 520, cached: 0.6 },
  },
  'claude-haiku-4-5': {
    service: 'anthropic',
    first: 0.4,
    perToken: 0.007,
    tokens: { input: 900, output: 180, cached: 0.2 },
  },
  'gemini-2.5-flash': {
    service: 'gemini',
    first: 0.45,
    perToken: 0.005,
    tokens: { input: 2400, output: 260, cached: 0 },
  },
} as const satisfies Record<string, Omit<Model, 'name'>>
type ModelName = keyof typeof MODELS

/** Calls a minute at the busiest time, and of which models. */
const TENANTS: Readonly<
  Record<string, { perMinute: number; night: number; models: Partial<Record<ModelName, number>> }>
> = {
  support: { perMinute: 33, night: 0.3, models: { 'gpt-4o-mini': 5, 'gpt-4o': 2, 'claude-haiku-4-5': 3 } },
  search: {
    perMinute: 25,
    night: 0.2,
    models: { 'text-embedding-3-small': 6, 'gpt-4o-mini': 3, 'gemini-2.5-flash': 1 },
  },
  assistant: { perMinute: 15, night: 0.1, models: { 'claude-sonnet-4-5': 5, 'gpt-4o': 3, 'gpt-6-preview': 0.1 } },
  research: { perMinute: 6, night: 0.8, models: { 'claude-sonnet-4-5': 3, 'gemini-2.5-flash': 4 } },
}
const SERVICES = {
  openai: { host: 'api.openai.com', uri: '/openai/v1/chat/completions', upstream: '/v1/chat/completions' },
  anthropic: { host: 'api.anthropic.com', uri: '/anthropic/v1/messages', upstream: '/v1/messages' },
  gemini: {
    host: 'generativelanguage.googleapis.com',
    uri: '/gemini/v1beta/models/gemini-2.5-flash:generateContent',
    upstream: '/v1beta/models/gemini-2.5-flash:generateContent',
  },
} as const
const HOUR = 3_600_000
const NODE = 'kong-7f9c'

/** Office hours of one time zone, seen from UTC: 1 at two in the afternoon, `night` at two in the morning. */
function rhythm(at: number, night: number): number {
  const hour = (at / HOUR) % 24
  const day = new Date(at).getUTCDay()
  const wave = 0.5 + 0.5 * Math.cos(((hour - 14) / 12) * Math.PI)
  return (night + (1 - night) * wave ** 1.6) * (day === 0 || day === 6 ? 0.45 : 1)
}

/** Seeded calls of four tenants. Five hours before `end` OpenAI fails for 25 minutes, nine hours before it slows down. */
export function makeDay(seed: number, end: number) {
  const random = seededRandom(seed)
  let n = 0
  let sequence = 0
  const outage = (at: number) => at > end - 5 * HOUR && at < end - 5 * HOUR + 25 * 60_000
  const slow = (at: number) => at > end - 9 * HOUR && at < end - 8 * HOUR

  function call(tenant: string, at: number): Made {
    const name = weighted(random, TENANTS[tenant]!.models)
    const model: Model = { name, ...MODELS[name] }
    const fate = fateOf(random, model, outage(at), tenant)
    const good = fate.status === 200
    const drawn = (mean: number) => Math.max(1, Math.round(mean * (0.35 + 1.3 * random() ** 1.5)))
    const input = drawn(model.tokens.input)
    const cached = random() < 0.7 ? Math.round(input * model.tokens.cached) : 0
    const output = fate.cutOff ? 1024 : model.tokens.output === 0 ? 0 : drawn(model.tokens.output)
    const pace = (0.7 + 0.6 * random()) * (random() < 0.03 ? 3 : 1) * (slow(at) && model.service === 'openai' ? 2.6 : 1)
    const firstMs = fate.cache === 'Hit' ? 25 + 40 * random() : Math.round(model.first * pace * 1000)
    const restMs = fate.cache === 'Hit' || !good ? 2 : Math.round(output * model.perToken * pace * 1000)
    const stream =
      good && fate.cache === undefined && model.tokens.output > 0 && model.service !== 'gemini' && random() < 0.6
    const kongMs = Math.round((1 + 3 * random() ** 3) * 10) / 10
    const service = SERVICES[model.service]
    const estimated = stream && model.service === 'openai' && random() < 0.04
    const parts = { model, input, cached, output, stream, cutOff: fate.cutOff, estimated, n: ++n }
    const body = good ? answer(parts) : JSON.stringify(fate.body ?? { error: { message: 'failed', type: 'error' } })
    // Every few thousand calls one is lost on its way: the tap counted it, the sidecar never saw it.
    if (random() < 1 / 25_000) sequence++
    const capture = makeCapture({
      n,
      requestBody: requestBody(parts),
      responseBody: body,
      log: {
        started_at: at,
        source: fate.source === 'kong' ? 'kong' : 'upstream',
        upstream_uri: model.tokens.output === 0 ? '/v1/embeddings' : service.upstream,
        upstream_status: fate.retried ? `503, ${fate.status}` : String(fate.status),
        request: {
          id: `preview-${n}`,
          method: 'POST',
          uri: model.tokens.output === 0 ? '/openai/v1/embeddings' : service.uri,
          size: input * 4,
          headers: { 'content-type': 'application/json', ...(fate.forged ? { 'x-tenant-id': 'platform' } : {}) },
        },
        response: {
          status: fate.status,
          size: body.length,
          headers: {
            'content-type': stream ? 'text/event-stream' : 'application/json',
            ...(fate.cache === undefined ? {} : { 'x-cache-status': fate.cache, 'x-cache-key': 'k' }),
          },
        },
        latencies: { request: firstMs + restMs + kongMs, kong: kongMs, proxy: firstMs, receive: restMs },
        tries: [
          ...(fate.retried ? [{ ip: '10.1.0.1', port: 443, code: 503, balancer_start: at }] : []),
          { ip: '10.1.0.2', port: 443, balancer_start: at + 5 },
        ],
        route: { id: model.service, name: model.service, tags: [] },
        service: { id: model.service, name: model.service, host: service.host, port: 443, protocol: 'https', tags: [] },
        consumer:
          random() < 0.002
            ? null
            : { id: tenant, username: `${tenant}-app`, custom_id: tenant, tags: [`tenant:${tenant}`] },
        ...(fate.ai === undefined ? {} : { ai: fate.ai }),
      },
      capture: {
        node: NODE,
        epoch: 'preview',
        sequence: ++sequence,
        response_complete: fate.complete ?? true,
        first_byte_at: (at + firstMs) / 1000,
        last_byte_at: (at + firstMs + restMs) / 1000,
      },
    })
    const source = fate.source === 'kong' ? 'kong' : 'service'
    return {
      capture,
      request: {
        service: model.service,
        status: fate.status,
        source,
        kongMs,
        upstreamMs: source === 'kong' ? 0 : firstMs,
        bytesIn: input * 4,
        bytesOut: body.length,
      },
    }
  }

  return {
    /** The calls that started within [from, to), in order. */
    calls(from: number, to: number): Made[] {
      const starts = Object.entries(TENANTS).flatMap(([tenant, { perMinute, night }]) => {
        const mean = (perMinute * rhythm(from, night) * (to - from)) / 60_000
        return Array.from({ length: poisson(random, mean) }, () => [tenant, between(random, [from, to - 1])] as const)
      })
      return starts.sort((a, b) => a[1] - b[1]).map(([tenant, at]) => call(tenant, at))
    },
  }
}

interface Fate {
  status: number
  source: 'upstream' | 'kong'
  body?: unknown
  ai?: unknown
  cache?: 'Hit' | 'Miss'
  cutOff?: boolean
  retried?: boolean
  forged?: boolean
  complete?: boolean
}
function fateOf(random: Random, model: Model, outage: boolean, tenant: string): Fate {
  const draw = random()
  const broken = outage && model.service === 'openai'
  if (broken && draw < 0.34) return { status: pick(random, [500, 503, 503]), source: 'upstream' }
  if (broken && draw < 0.5) return { status: 200, source: 'upstream', retried: true }
  if (draw < 0.0012) return { status: 500, source: 'upstream' }
  if (draw < 0.0017) return { status: 504, source: 'kong' }
  if (draw < 0.0029) return { status: 429, source: 'upstream' }
  if (draw < 0.0075 && tenant === 'search') return { status: 429, source: 'kong' }
  if (draw < 0.0105) return { status: 400, source: 'upstream' }
  if (draw < 0.0125 && tenant !== 'search')
    return {
      status: 400,
      source: 'kong',
      body: { error: { message: 'bad request' } },
      ai: { proxy: { 'lakera-guard': { input_block_reason: 'prompt_attack', input_processing_latency: 40 } } },
    }
  if (draw < 0.0135) return { status: 400, source: 'kong', body: { error: { message: 'bad request' } } }
  if (draw < 0.021 && tenant === 'support')
    return { status: 200, source: 'upstream', ai: { sanitizer: { pii_identified: 2, pii_sanitized: 2, duration: 12 } } }
  if (draw < 0.024) return { status: 200, source: 'upstream', complete: false }
  if (draw < 0.039) return { status: 200, source: 'upstream', cutOff: model.tokens.output > 0 }
  if (draw < 0.041) return { status: 200, source: 'upstream', retried: true }
  if (draw < 0.0415) return { status: 200, source: 'upstream', forged: true }
  if (tenant === 'support' && model.service === 'openai' && draw > 0.6)
    return draw > 0.84
      ? { status: 200, source: 'kong', cache: 'Hit' }
      : { status: 200, source: 'upstream', cache: 'Miss' }
  return { status: 200, source: 'upstream' }
}

interface Parts {
  model: Model
  input: number
  cached: number
  output: number
  stream: boolean
  cutOff: boolean | undefined
  estimated: boolean
  n: number
}
const QUESTION = 'Where is my order, and when will it come? '
function requestBody({ model, stream, estimated }: Parts) {
  if (model.tokens.output === 0) return { model: model.name, input: QUESTION }
  if (model.service === 'gemini') return { contents: [{ role: 'user', parts: [{ text: QUESTION }] }] }
  const messages = [{ role: 'user', content: estimated ? QUESTION.repeat(40) : QUESTION }]
  return {
    model: model.name,
    messages,
    ...(model.service === 'anthropic' && { max_tokens: 1024 }),
    ...(stream && {
      stream: true,
      ...(!estimated && model.service === 'openai' && { stream_options: { include_usage: true } }),
    }),
  }
}

function answer(parts: Parts): string {
  const { model, input, cached, output, stream, cutOff, estimated, n } = parts
  const text = estimated ? QUESTION.repeat(20) : 'It comes on Friday.'
  if (model.tokens.output === 0)
    return JSON.stringify({
      object: 'list',
      model: model.name,
      data: [],
      usage: { prompt_tokens: input, total_tokens: input },
    })
  if (model.service === 'gemini')
    return JSON.stringify({
      responseId: `g-${n}`,
      modelVersion: model.name,
      candidates: [{ content: { role: 'model', parts: [{ text }] }, finishReason: cutOff ? 'MAX_TOKENS' : 'STOP' }],
      usageMetadata: { promptTokenCount: input, candidatesTokenCount: output, totalTokenCount: input + output },
    })
  if (model.service === 'anthropic') {
    const usage = {
      input_tokens: input - cached,
      cache_read_input_tokens: cached,
      cache_creation_input_tokens: n % 9 === 0 ? 400 : 0,
      output_tokens: output,
    }
    const message = { id: `msg_${n}`, type: 'message', role: 'assistant', model: model.name }
    const stop = cutOff ? 'max_tokens' : 'end_turn'
    if (!stream) return JSON.stringify({ ...message, content: [{ type: 'text', text }], stop_reason: stop, usage })
    return [
      {
        type: 'message_start',
        message: { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: output } },
      { type: 'message_stop' },
    ]
      .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      .join('')
  }
  const usage = {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
  }
  const base = { id: `chatcmpl-${n}`, created: 1, model: model.name }
  const reason = cutOff ? 'length' : 'stop'
  if (!stream)
    return JSON.stringify({
      ...base,
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: reason }],
      usage,
    })
  const chunk = { ...base, object: 'chat.completion.chunk' }
  const chunks = [
    { ...chunk, choices: [{ index: 0, delta: { role: 'assistant', content: text }, finish_reason: null }] },
    { ...chunk, choices: [{ index: 0, delta: {}, finish_reason: reason }] },
    ...(estimated ? [] : [{ ...chunk, choices: [], usage }]),
  ]
  return `${chunks.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('')}data: [DONE]\n\n`
}

function weighted<Name extends string>(random: Random, weights: Partial<Record<Name, number>>): Name {
  const entries = Object.entries(weights) as [Name, number][]
  let left = random() * entries.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [name, weight] of entries) {
    left -= weight
    if (left < 0) return name
  }
  return entries[0]![0]
}
function poisson(random: Random, mean: number): number {
  const limit = Math.exp(-mean)
  let product = random()
  let count = 0
  for (; product > limit; count++) product *= random()
  return count
}
