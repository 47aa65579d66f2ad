import { between, pick, type Random } from '../seeded-random.ts'
import { promptText } from './prompts.ts'

/** The kinds of call. The last three have no exact usage that a reader could know, so they are off unless asked for. */
export const KINDS = [
  'openai-chat',
  'openai-stream',
  'anthropic',
  'anthropic-stream',
  'trusted',
  'cached',
  'error-429',
  'error-500',
  'unauthorized',
  'plain',
  'openai-stream-no-usage',
  'client-abort',
] as const
export type Kind = (typeof KINDS)[number]

export const DEFAULT_MIX: Readonly<Record<Kind, number>> = {
  'openai-chat': 22,
  'openai-stream': 24,
  anthropic: 16,
  'anthropic-stream': 18,
  trusted: 5,
  cached: 8,
  'error-429': 3,
  'error-500': 2,
  unauthorized: 2,
  plain: 0,
  'openai-stream-no-usage': 0,
  'client-abort': 0,
}

export interface PlannedCall {
  kind: Kind
  path: string
  headers: Record<string, string>
  body: string
  expectedStatus: number
  /** How a stream must end; a body must be JSON. */
  stream: 'openai' | 'anthropic' | undefined
  /** Whether the call carries the tenant's key. */
  authenticated: boolean
  /** Hang up after the first bytes. */
  abort: boolean
}

const CACHED_PROMPTS = 12
const LEFT_OUT = { abort: false, authenticated: true, stream: undefined } as const

export function planCall(kind: Kind, random: Random, cachedPrompts: readonly string[]): PlannedCall {
  switch (kind) {
    case 'openai-chat':
      return { ...LEFT_OUT, kind, ...openai('/openai', random), expectedStatus: 200 }
    case 'openai-stream':
      return { ...LEFT_OUT, kind, ...openai('/openai', random, USAGE), expectedStatus: 200, stream: 'openai' }
    case 'openai-stream-no-usage':
      return { ...LEFT_OUT, kind, ...openai('/openai', random, {}), expectedStatus: 200, stream: 'openai' }
    case 'anthropic':
      return { ...LEFT_OUT, kind, ...anthropic(random, false), expectedStatus: 200 }
    case 'anthropic-stream':
      return { ...LEFT_OUT, kind, ...anthropic(random, true), expectedStatus: 200, stream: 'anthropic' }
    case 'trusted': {
      const call = openai('/trusted', random)
      const traceparent = `00-${hex(random, 32)}-${hex(random, 16)}-01`
      return { ...LEFT_OUT, kind, ...call, headers: { ...call.headers, traceparent }, expectedStatus: 200 }
    }
    case 'plain':
      return { ...LEFT_OUT, kind, ...openai('/plain', random), expectedStatus: 200 }
    case 'cached': {
      const call = openai('/cached', random)
      const messages = [{ role: 'user', content: pick(random, cachedPrompts) }]
      const body = JSON.stringify({ model: 'gpt-4o-mini', messages })
      return {
        ...LEFT_OUT,
        kind,
        ...call,
        body,
        headers: { ...call.headers, 'x-mock-cache': '1' },
        expectedStatus: 200,
      }
    }
    case 'error-429':
      return failing(kind, 429, random)
    case 'error-500':
      return failing(kind, pick(random, [500, 500, 503]), random)
    case 'unauthorized':
      return { ...LEFT_OUT, kind, ...openai('/openai', random), expectedStatus: 401, authenticated: false }
    case 'client-abort': {
      const call = openai('/openai', random, USAGE)
      const headers = { ...call.headers, 'x-mock-chunks': '50', 'x-mock-chunk-delay-ms': '20' }
      return { ...LEFT_OUT, kind, ...call, headers, expectedStatus: 200, stream: 'openai', abort: true }
    }
  }
}

/** The few prompts that `cached` calls ask again and again. */
export function cachedPromptsOf(random: Random): string[] {
  return Array.from({ length: CACHED_PROMPTS }, () => promptText(random))
}

const USAGE = { stream_options: { include_usage: true } }
const JSON_TYPE = { 'content-type': 'application/json' }

/** `stream`: what a stream's request has besides `stream: true`; undefined for a body. */
function openai(prefix: string, random: Random, stream?: object) {
  const model = pick(random, ['gpt-4o', 'gpt-4o-mini', 'gpt-4o-mini', 'o4-mini'])
  const body = {
    model,
    messages: [
      { role: model === 'o4-mini' ? 'developer' : 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: promptText(random) },
    ],
    ...(model !== 'o4-mini' && { temperature: 0.2 }),
    ...(random() < 0.1 && { tools: [OPENAI_TOOL] }),
    ...(stream !== undefined && { stream: true, ...stream }),
  }
  return { path: `${prefix}/v1/chat/completions`, headers: { ...JSON_TYPE }, body: JSON.stringify(body) }
}

function anthropic(random: Random, stream: boolean) {
  const draw = random()
  const ttl = draw < 0.15 ? { ttl: '1h' } : {}
  const cached = draw < 0.5
  const body = {
    model: pick(random, ['claude-sonnet-4-5', 'claude-haiku-4-5', 'claude-haiku-4-5', 'claude-opus-4-5']),
    max_tokens: 1024,
    system: cached
      ? [{ type: 'text', text: promptText(random), cache_control: { type: 'ephemeral', ...ttl } }]
      : 'You are a helpful assistant.',
    messages: [{ role: 'user', content: [{ type: 'text', text: promptText(random).slice(0, 2200) }] }],
    ...(random() < 0.2 && { thinking: { type: 'enabled', budget_tokens: 1024 }, max_tokens: 4096 }),
    ...(random() < 0.1 && { tools: [ANTHROPIC_TOOL] }),
    ...(stream && { stream: true }),
  }
  const headers = { ...JSON_TYPE, 'anthropic-version': '2023-06-01' }
  return { path: '/anthropic/v1/messages', headers, body: JSON.stringify(body) }
}

function failing(kind: Kind, status: number, random: Random): PlannedCall {
  const call = random() < 0.6 ? openai('/openai', random, random() < 0.5 ? USAGE : undefined) : anthropic(random, false)
  const headers = { ...call.headers, 'x-mock-status': String(status) }
  return { ...LEFT_OUT, kind, ...call, headers, expectedStatus: status }
}

const SCHEMA = { type: 'object', properties: { ticket: { type: 'integer' }, team: { type: 'string' } } }
const DESCRIPTION = 'Looks up who is on call for a ticket.'
const OPENAI_TOOL = { type: 'function', function: { name: 'on_call', description: DESCRIPTION, parameters: SCHEMA } }
const ANTHROPIC_TOOL = { name: 'on_call', description: DESCRIPTION, input_schema: SCHEMA }

function hex(random: Random, digits: number): string {
  let text = ''
  while (text.length < digits) text += between(random, [1, 15]).toString(16)
  return text
}
