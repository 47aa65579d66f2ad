import { describe, expect, it } from 'vitest'
import { openPriceBook } from '../../pricing/open-price-book.ts'
import { parseExchangeLine } from './exchange-line.ts'
import { readLine } from './result-line.ts'

/** Cases made from the providers' documentation, not from recordings: amounts by hand, from the list prices named beside them. */
const book = openPriceBook()
interface Sent {
  host: string
  path: string
  method?: string
  status?: number
  request?: unknown
  answer: unknown
}
async function readCase({ host, path, method = 'POST', status = 200, request, answer }: Sent) {
  const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
  const line = JSON.stringify({
    id: 'c',
    method,
    host,
    url_path: path,
    request_headers: { 'content-type': 'application/json' },
    request_body: request,
    response_status: status,
    response_headers: { 'content-type': typeof answer === 'string' ? 'text/event-stream' : 'application/json' },
    response_body_b64: Buffer.from(text).toString('base64'),
    at: '2026-11-25T12:00:00Z',
  })
  return (
    await readLine(
      parseExchangeLine(line, () => 0),
      book,
      async (reading) => reading,
    )
  ).line
}
const chat = (model: string, usage: object, more: object = {}) => ({
  id: 'c1',
  object: 'chat.completion',
  model,
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage,
  ...more,
})
const tokens = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 }

describe('what was free or priced in silence', () => {
  const azure = { host: 'acme.openai.azure.com', path: '/openai/deployments/x/chat/completions' }
  const filtered = {
    error: {
      code: 'content_filter',
      status: 400,
      message: 'The response was filtered',
      innererror: {
        code: 'ResponsibleAIPolicyViolation',
        content_filter_result: { violence: { filtered: true, severity: 'high' } },
      },
    },
  }
  it('Azure bills what its filter refused, and what ran out of time', async () => {
    const request = { messages: [{ role: 'user', content: 'x' }] }
    expect(await readCase({ ...azure, status: 400, request, answer: filtered })).toMatchObject({
      total_usd: '0',
      reasons: ['refusal_may_be_billed'],
    })
    const late = { error: { code: 'Timeout', message: 'The operation was timeout.' } }
    expect((await readCase({ ...azure, status: 408, request, answer: late })).reasons).toEqual([
      'refusal_may_be_billed',
    ])
    // A wrong parameter is refused before anything is read, and OpenAI itself bills no refusal.
    const wrong = { error: { code: 'unsupported_parameter', message: 'x' } }
    expect((await readCase({ ...azure, status: 400, request, answer: wrong })).reasons ?? []).toEqual([])
    const openAi = { host: 'api.openai.com', path: '/v1/chat/completions' }
    expect((await readCase({ ...openAi, status: 400, request, answer: filtered })).reasons ?? []).toEqual([])
  })

  it('a live search of xAI whose answer brings no bill has no price of ours', async () => {
    const answer = chat('grok-4', { ...tokens, num_sources_used: 10 })
    const sent = { host: 'api.x.ai', path: '/v1/chat/completions', request: { model: 'grok-4' }, answer }
    expect(await readCase(sent)).toMatchObject({ total_usd: '0.0045', reasons: ['tool_fee_unknown'] })
  })

  it('a search of xAI’s collections costs what its file search does', async () => {
    const usage = {
      ...{ input_tokens: 1000, output_tokens: 100, total_tokens: 1100 },
      server_side_tool_usage_details: { collections_search_calls: 2 },
    }
    const answer = { id: 'r', object: 'response', status: 'completed', model: 'grok-4', output: [], usage }
    const line = await readCase({ host: 'api.x.ai', path: '/v1/responses', request: { model: 'grok-4' }, answer })
    expect(line).toMatchObject({ total_usd: '0.0095', fees_usd: '0.005' })
    expect(line.reasons ?? []).toEqual([])
  })

  it('a managed agent’s session that is only polled', async () => {
    const answer = { id: 's', type: 'session', usage: { input_tokens: 5000, output_tokens: 3200 } }
    const sent = { host: 'api.anthropic.com', path: '/v1/sessions/s', method: 'GET', answer }
    expect(await readCase(sent)).toMatchObject({ billable: false, reasons: ['session_sum_not_billed'] })
  })
})
