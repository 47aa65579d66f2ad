import { openPriceBook } from '../pricing/open-price-book.ts'
import { linesOf, readExchanges } from '../sidecar/read-command/run.ts'
import { makeStream } from '../sidecar/testing/make-exchange.ts'

const WORDS = 'The quick brown fox jumps over the lazy dog and does not look back. '
const BODY_BYTES = 4096

export interface ReadBench {
  /** What is read. */
  name: string
  /** Of the whole command: JSON line, base64, dialect, units, price, JSON out; on one core. */
  exchangesPerSecond: number
}

/** `kong-llm-observer read` in this process, on bodies of 4 KB. */
export async function benchRead(exchanges: number): Promise<ReadBench[]> {
  const book = openPriceBook()
  const results: ReadBench[] = []
  for (const [name, line] of Object.entries(lines())) {
    const text = Buffer.from(`${JSON.stringify(line)}\n`)
    const run = async (count: number) => {
      async function* input() {
        for (let n = 0; n < count; n++) yield text
      }
      let bytes = 0
      await readExchanges(linesOf(input()), {
        book,
        estimate: async (reading) => reading,
        explain: false,
        now: () => 0,
        write: async (out) => {
          bytes += out.length
        },
        complain: (problem) => {
          throw new Error(problem)
        },
      })
      return bytes
    }
    await run(Math.ceil(exchanges / 10))
    const before = process.cpuUsage()
    await run(exchanges)
    const { user, system } = process.cpuUsage(before)
    results.push({ name, exchangesPerSecond: Math.round((exchanges / (user + system)) * 1e6) })
  }
  return results
}

function lines(): Record<string, object> {
  const text = WORDS.repeat(Math.ceil(BODY_BYTES / WORDS.length))
  const usage = { prompt_tokens: 900, completion_tokens: 60, total_tokens: 960 }
  const chat = {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    model: 'gpt-4o-2024-08-06',
    choices: [
      { index: 0, message: { role: 'assistant', content: text.slice(0, BODY_BYTES - 250) }, finish_reason: 'stop' },
    ],
    usage,
  }
  const chunk = (delta: object, finish_reason: string | null = null) => ({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    model: 'gpt-4o-2024-08-06',
    choices: [{ index: 0, delta, finish_reason }],
  })
  const words = text.split(' ')
  const chatStream = makeStream([
    ...words.slice(0, 22).map((word) => chunk({ content: `${word} ` })),
    chunk({}, 'stop'),
    { ...chunk({}), choices: [], usage },
    '[DONE]',
  ])
  const message = { type: 'message', role: 'assistant', model: 'claude-sonnet-4-5-20250929', content: [] }
  const anthropicStream = makeStream(
    [
      { type: 'message_start', message: { ...message, usage: { input_tokens: 900, output_tokens: 1 } } },
      ...words
        .slice(0, 26)
        .map((word) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: `${word} ` } })),
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 60 } },
      { type: 'message_stop' },
    ],
    true,
  )
  const line = (host: string, url_path: string, model: string, body: string, stream: boolean) => ({
    id: 'x',
    method: 'POST',
    host,
    url_path,
    request_body: { model, stream, messages: [{ role: 'user', content: WORDS }] },
    response_status: 200,
    response_headers: { 'content-type': stream ? 'text/event-stream' : 'application/json' },
    response_body_b64: Buffer.from(body).toString('base64'),
    at: '2026-11-23T00:00:00Z',
  })
  const chatPath = ['api.openai.com', '/v1/chat/completions', 'gpt-4o'] as const
  return {
    'chat, whole': line(...chatPath, JSON.stringify(chat), false),
    'chat, 24 chunks': line(...chatPath, chatStream, true),
    'Anthropic, 29 events': line('api.anthropic.com', '/v1/messages', 'claude-sonnet-4-5', anthropicStream, true),
  }
}
