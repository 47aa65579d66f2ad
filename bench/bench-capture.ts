import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Capture } from '../sidecar/capture.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'

/** sentence: one of 88 bytes again and again, ASCII, nothing to escape. prose: the project's own documentation, as it is written. */
export const BENCH_TEXTS = ['sentence', 'prose'] as const
export type BenchText = (typeof BENCH_TEXTS)[number]

export interface BenchLoad {
  text: BenchText
  /** Bytes of content of a call: half of them prompt, half answer. */
  bytes: number
  /** 0: the answer is one JSON body; else a stream of so many chunks. */
  chunks: number
  tenants: number
  models: number
}

export const DEFAULT_LOAD: BenchLoad = { text: 'sentence', bytes: 4096, chunks: 0, tenants: 1, models: 1 }

const SENTENCE = 'The quick brown fox jumps over the lazy dog while the gateway counts every token of it. '
/** Each call's text begins elsewhere in the prose: a prime, so that all beginnings come. */
const STRIDE = 1777

/** Captures of tapped OpenAI chat calls, numbered from 1 on in one epoch. */
export function makeBenchCaptures(load: BenchLoad = DEFAULT_LOAD): (n: number) => Capture {
  const textOf = load.text === 'prose' ? proseOf(load.bytes >> 1) : sentencesOf(load.bytes >> 1)
  return (n) => {
    const tenant = load.tenants === 1 ? 'blue' : `tenant-${n % load.tenants}`
    const model = load.models === 1 ? 'gpt-4o' : `house-model-${n % load.models}`
    const [question, answer] = textOf(n)
    return makeCapture({
      n,
      requestBody: {
        model,
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: question },
        ],
        temperature: 0.2,
        ...(load.chunks > 0 && { stream: true, stream_options: { include_usage: true } }),
      },
      responseBody: load.chunks > 0 ? streamOf(n, model, answer, load.chunks) : answerOf(n, model, answer),
      log: {
        consumer: { id: 'c1', username: 'alice', custom_id: 'team-blue', tags: [`tenant:${tenant}`] },
        ...(load.chunks > 0 && {
          response: { status: 200, size: 800, headers: { 'content-type': 'text/event-stream; charset=utf-8' } },
        }),
      },
    })
  }
}

const USAGE = {
  prompt_tokens: 525,
  completion_tokens: 512,
  total_tokens: 1037,
  prompt_tokens_details: { cached_tokens: 128, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
}

function answerOf(n: number, model: string, content: string) {
  return {
    id: `chatcmpl-${n}`,
    object: 'chat.completion',
    created: 1_795_419_012,
    model: servedAs(model),
    choices: [
      { index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason: 'stop' },
    ],
    usage: USAGE,
    service_tier: 'default',
    system_fingerprint: 'fp_bench',
  }
}

/** Server-sent events: the text in `chunks` pieces, the reason to finish, the usage. */
function streamOf(n: number, model: string, content: string, chunks: number): string {
  const head = { id: `chatcmpl-${n}`, object: 'chat.completion.chunk', created: 1_795_419_012, model: servedAs(model) }
  const size = Math.ceil(content.length / chunks)
  let events = ''
  const say = (event: object) => {
    events += `data: ${JSON.stringify({ ...head, ...event })}\n\n`
  }
  for (let at = 0; at < chunks; at++)
    say({ choices: [{ index: 0, delta: { content: content.slice(at * size, (at + 1) * size) }, finish_reason: null }] })
  say({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
  say({ choices: [], usage: USAGE })
  return `${events}data: [DONE]\n\n`
}

function servedAs(model: string): string {
  return model === 'gpt-4o' ? 'gpt-4o-2024-08-06' : model
}

type Texts = (n: number) => [question: string, answer: string]

function sentencesOf(length: number): Texts {
  const text = SENTENCE.repeat(Math.ceil(length / SENTENCE.length)).slice(0, length)
  return () => [text, text]
}

function proseOf(length: number): Texts {
  const docs = join(import.meta.dirname, '../docs')
  const files = readdirSync(docs).filter((name) => name.endsWith('.md') && name !== 'performance.md')
  const prose = files
    .sort()
    .map((name) => readFileSync(join(docs, name), 'utf8'))
    .join('\n\n')
  const long = prose.repeat(1 + Math.ceil((2 * length) / prose.length))
  return (n) => {
    const at = (n * STRIDE) % prose.length
    return [long.slice(at, at + length), long.slice(at + length, at + 2 * length)]
  }
}
