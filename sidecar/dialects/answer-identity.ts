import type { AnswerIdentity } from '../call.ts'
import type { DialectReading, Exchange } from './dialect.ts'
import type { JsonObject } from './json-value.ts'

/*
 * Design law 10: what made an answer is always billed; only a retrieval can be a repeat. One row for each kind of answer
 * that a provider keeps: which requests make one that can be retrieved, and which requests retrieve it, by method and path.
 * An answer of no row has no identity: its id is anything (vLLM takes it from the client, Ollama has 999).
 */
interface Kind {
  kind: string
  /** Ids of the dialects that read it. */
  dialects: readonly string[]
  /** Requests that retrieve, continue or change a kept answer; the first group is its id. */
  retrievals: readonly (readonly [method: string, path: RegExp])[]
  /** Whether an answer that another request made is kept. */
  kept?: (exchange: Exchange, body: JsonObject | undefined, reading: DialectReading) => boolean
}

const KINDS: readonly Kind[] = [
  {
    kind: 'response',
    dialects: ['openai-responses'],
    // Polls and resumed streams; cancelling answers with the response as it is.
    retrievals: [
      ['GET', /\/responses\/([^/]+)$/],
      ['POST', /\/responses\/([^/]+)\/cancel$/],
    ],
    // Kept by default; the answer says `store` itself.
    kept: (_exchange, body, { stored }) => stored ?? body?.store !== false,
  },
  {
    kind: 'chat_completion',
    dialects: ['openai-chat'],
    // Reading one again, and changing its metadata; xAI's deferred and Perplexity's asynchronous completions are polled.
    retrievals: [
      ['GET', /\/chat\/completions\/([^/]+)$/],
      ['POST', /\/chat\/completions\/([^/]+)$/],
      ['GET', /\/chat\/deferred-completion\/([^/]+)$/],
    ],
    kept: (_exchange, body) => body?.store === true,
  },
  {
    kind: 'run',
    dialects: ['openai-threads'],
    // A run tells its usage once, when it is done, whoever asks then.
    retrievals: [
      ['GET', /\/runs\/([^/]+)$/],
      ['POST', /\/runs\/([^/]+)(?:\/(?:cancel|submit_tool_outputs))?$/],
    ],
    kept: () => true,
  },
  {
    kind: 'interaction',
    dialects: ['gemini-interactions'],
    retrievals: [
      ['GET', /\/interactions\/([^/:]+)$/],
      ['POST', /\/interactions\/([^/:]+)\/cancel$/],
    ],
    kept: (_exchange, body) => body?.store !== false,
  },
  {
    kind: 'prediction',
    dialects: ['replicate'],
    retrievals: [
      ['GET', /\/predictions\/([^/]+)$/],
      ['POST', /\/predictions\/([^/]+)\/cancel$/],
    ],
    kept: () => true,
  },
  // Batches are made elsewhere: each look at their results is a retrieval.
  { kind: 'batch_file', dialects: ['openai-batch-results'], retrievals: [['GET', /\/files\/([^/]+)\/content$/]] },
  {
    kind: 'message_batch',
    dialects: ['anthropic-batch-results'],
    retrievals: [['GET', /\/batches\/([^/]+)\/results$/]],
  },
  {
    kind: 'google_batch',
    dialects: ['gemini-batch-results'],
    retrievals: [['GET', /\/((?:batches|files)\/[^/:]+)(?::download)?$/]],
  },
  { kind: 'session', dialects: ['anthropic-sessions'], retrievals: [['GET', /\/sessions\/([^/]+)/]] },
  // Long operations of Vertex are polled by POST.
  {
    kind: 'operation',
    dialects: ['vertex-predict', 'unknown'],
    retrievals: [
      ['POST', /\/models\/([^/]+):fetchPredictOperation$/],
      ['GET', /\/operations\/([^/]+)$/],
      ['GET', /\/(?:tasks|jobs|generation)\/([^/]+)$/],
    ],
  },
]

/** The answer that an exchange made or retrieves; undefined where it cannot be retrieved. */
export function answerOf(
  exchange: Exchange,
  body: JsonObject | undefined,
  dialect: string,
  reading: DialectReading,
): Pick<AnswerIdentity, 'key' | 'retrieval'> | undefined {
  const { method, path, host } = exchange
  for (const { kind, dialects, retrievals, kept } of KINDS) {
    if (!dialects.includes(dialect)) continue
    for (const [verb, pattern] of retrievals) {
      if (verb !== method) continue
      const inPath = pattern.exec(path)?.[1]
      if (inPath === undefined) continue
      return { key: `${host}/${kind}/${reading.answerId ?? inPath}`, retrieval: true }
    }
    const id = reading.answerId ?? reading.responseId
    if (method === 'POST' && id !== undefined && kept?.(exchange, body, reading) === true)
      return { key: `${host}/${kind}/${id}`, retrieval: false }
  }
  // A format that nobody reads, looked at again by GET, with usage in it: whatever was made was made before.
  if (dialect === 'unknown' && method === 'GET' && reading.billable) return { key: `${host}${path}`, retrieval: true }
  return undefined
}
