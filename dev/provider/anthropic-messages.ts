import { between, type Random, randomId } from '../seeded-random.ts'
import { type Answer, billed, jsonAnswer } from './answer.ts'
import { anthropicError, anthropicErrorEvent } from './anthropic-errors.ts'
import { type PromptUsage, promptUsageOf } from './anthropic-prompt.ts'
import type { AnswerContext } from './context.ts'
import { isRecord, positiveInteger, recordsOf } from './json.ts'
import { ANTHROPIC_MODELS } from './models.ts'
import { piecesOf, textOfTokens, tokensOf, toolArguments } from './text.ts'

/** `POST /v1/messages`. */
export function answerAnthropicMessages(request: unknown, version: string | undefined, context: AnswerContext): Answer {
  const headers = anthropicHeaders(context)
  if (!version) return anthropicError(400, headers, 'anthropic-version: header is required')
  if (!isRecord(request)) return anthropicError(400, headers, 'The request body is not valid JSON')
  for (const field of ['model', 'max_tokens', 'messages'])
    if (request[field] === undefined) return anthropicError(400, headers, `${field}: Field required`)
  const model = typeof request.model === 'string' ? ANTHROPIC_MODELS.get(request.model) : undefined
  if (model === undefined) return anthropicError(404, headers, `model: ${String(request.model)}`)
  if (context.steering.status !== undefined) return anthropicError(context.steering.status, headers)
  if (recordsOf(request.messages).length === 0)
    return anthropicError(400, headers, 'messages: at least one message is required')
  const limit = positiveInteger(request.max_tokens)
  if (limit === undefined) return anthropicError(400, headers, 'max_tokens: Input should be greater than 0')

  const plan = planOf(request, model.served, limit, context)
  const answer =
    request.stream === true
      ? { ...stream(plan, context), headers: { ...headers, 'content-type': 'text/event-stream; charset=utf-8' } }
      : jsonAnswer(200, message(plan, plan.blocks, plan.stopReason, plan.stopSequence, plan.outputTokens), headers)
  const units = {
    input: plan.prompt.input,
    cache_read: plan.prompt.cacheRead,
    cache_write_5m: plan.prompt.cacheWrite5m,
    cache_write_1h: plan.prompt.cacheWrite1h,
    output: plan.outputTokens - (plan.thinkingTokens ?? 0),
    output_reasoning: plan.thinkingTokens ?? 0,
  }
  return {
    ...answer,
    billed: billed(plan.model, units, plan.serviceTier === 'standard' ? undefined : plan.serviceTier),
  }
}

export function anthropicHeaders(context: AnswerContext): Record<string, string> {
  const reset = new Date(Math.ceil(context.now / 1000) * 1000).toISOString().replace('.000', '')
  const headers: Record<string, string> = { 'request-id': `req_${context.answerId}` }
  for (const [what, limit] of [
    ['input-tokens', 10_000_000],
    ['output-tokens', 2_000_000],
    ['requests', 10_000],
    ['tokens', 12_000_000],
  ] as const) {
    headers[`anthropic-ratelimit-${what}-limit`] = String(limit)
    headers[`anthropic-ratelimit-${what}-remaining`] = String(limit - (what === 'requests' ? 1 : 1000))
    headers[`anthropic-ratelimit-${what}-reset`] = reset
  }
  return headers
}

type Block =
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'text'; text: string }
  | { type: 'tool_use'; id: string; name: string; input: unknown; inputText: string }

interface Plan {
  id: string
  model: string
  serviceTier: string
  prompt: PromptUsage
  /** Thinking included. */
  outputTokens: number
  /** Undefined where the request did not turn thinking on. */
  thinkingTokens: number | undefined
  blocks: Block[]
  stopReason: string
  stopSequence: string | null
}

function planOf(request: Record<string, unknown>, model: string, limit: number, context: AnswerContext): Plan {
  const { random, steering } = context
  const prompt = promptUsageOf(request, random)
  const wanted = steering.outputTokens ?? between(random, [12, 160])
  const outputTokens = Math.min(wanted, limit)
  const thinking = isRecord(request.thinking) && request.thinking.type !== 'disabled'
  const thinkingTokens = thinking ? Math.floor((outputTokens - 1) * (0.2 + random() * 0.5)) : undefined
  const { stopReason, stopSequence } = stopOf(request, steering.finish, outputTokens < wanted)

  const blocks: Block[] = []
  if (thinkingTokens)
    blocks.push({
      type: 'thinking',
      thinking: textOfTokens(random, thinkingTokens),
      signature: `${randomId(random, 86)}==`,
    })
  const tool = stopReason === 'tool_use' ? toolOf(request) : undefined
  const visible = outputTokens - (thinkingTokens ?? 0)
  if (tool === undefined || random() < 0.5)
    blocks.push({ type: 'text', text: textOfTokens(random, tool ? Math.ceil(visible / 2) : visible) })
  if (tool) {
    const inputText = toolArguments(random, tool.input_schema)
    const id = `toolu_${randomId(random, 24)}`
    blocks.push({ type: 'tool_use', id, name: String(tool.name), input: JSON.parse(inputText), inputText })
  }
  return {
    id: `msg_${context.answerId}`,
    model,
    serviceTier: steering.serviceTier ?? 'standard',
    prompt,
    outputTokens,
    thinkingTokens,
    blocks,
    stopReason,
    stopSequence,
  }
}

function stopOf(request: Record<string, unknown>, finish: AnswerContext['steering']['finish'], limited: boolean) {
  const plain = (stopReason: string) => ({ stopReason, stopSequence: null })
  if (finish === 'stop_sequence') {
    const sequences = Array.isArray(request.stop_sequences) ? request.stop_sequences : []
    return { stopReason: 'stop_sequence', stopSequence: typeof sequences[0] === 'string' ? sequences[0] : 'END' }
  }
  if (finish === 'refusal' || finish === 'pause_turn') return plain(finish)
  if (finish === 'length' || limited) return plain('max_tokens')
  return plain(finish === undefined && toolOf(request) !== undefined ? 'tool_use' : 'end_turn')
}

/** The tool that the model calls: the one asked for, else the first; none after a tool's result. */
function toolOf(request: Record<string, unknown>): Record<string, unknown> | undefined {
  const tools = recordsOf(request.tools)
  const choice = isRecord(request.tool_choice) ? request.tool_choice : {}
  const last = recordsOf(request.messages).at(-1)
  if (choice.type === 'none' || recordsOf(last?.content).some((part) => part.type === 'tool_result')) return undefined
  return choice.type === 'tool' ? tools.find((tool) => tool.name === choice.name) : tools[0]
}

/** The whole usage object, as the body and `message_start` carry it. */
function usageOf(plan: Plan, outputTokens: number, last: boolean) {
  const { prompt } = plan
  return {
    input_tokens: prompt.input,
    cache_creation_input_tokens: prompt.cacheWrite5m + prompt.cacheWrite1h,
    cache_read_input_tokens: prompt.cacheRead,
    cache_creation: { ephemeral_5m_input_tokens: prompt.cacheWrite5m, ephemeral_1h_input_tokens: prompt.cacheWrite1h },
    output_tokens: outputTokens,
    ...(last &&
      plan.thinkingTokens !== undefined && { output_tokens_details: { thinking_tokens: plan.thinkingTokens } }),
    service_tier: plan.serviceTier,
    inference_geo: 'not_available',
  }
}

function message(
  plan: Plan,
  blocks: readonly Block[],
  stopReason: string | null,
  stopSequence: string | null,
  outputTokens: number,
) {
  return {
    model: plan.model,
    id: plan.id,
    type: 'message',
    role: 'assistant',
    content: blocks.map((block) =>
      block.type === 'tool_use' ? { type: block.type, id: block.id, name: block.name, input: block.input } : block,
    ),
    stop_reason: stopReason,
    stop_sequence: stopSequence,
    usage: usageOf(plan, outputTokens, stopReason !== null),
  }
}

function stream(plan: Plan, { random, steering }: AnswerContext): Answer {
  const events: Buffer[] = []
  // The real ones pad their data lines too.
  const push = (type: string, data: object) =>
    events.push(
      Buffer.from(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}${' '.repeat(random() * 12)}\n\n`),
    )
  push('message_start', {
    message: message(plan, [], null, null, Math.min(plan.outputTokens, between(random, [1, 8]))),
  })
  plan.blocks.forEach((block, index) => {
    push('content_block_start', { index, content_block: emptyBlock(block) })
    if (index === 0) push('ping', {})
    for (const delta of deltasOf(block, random, steering.chunks)) push('content_block_delta', { index, delta })
    push('content_block_stop', { index })
  })
  const {
    cache_creation: _,
    service_tier: __,
    inference_geo: ___,
    ...cumulative
  } = usageOf(plan, plan.outputTokens, true)
  push('message_delta', {
    delta: { stop_reason: plan.stopReason, stop_sequence: plan.stopSequence },
    usage: cumulative,
  })
  push('message_stop', {})
  return { status: 200, headers: {}, body: events, billed: {}, errorEvent: anthropicErrorEvent() }
}

function emptyBlock(block: Block) {
  if (block.type === 'thinking') return { type: 'thinking', thinking: '', signature: '' }
  if (block.type === 'text') return { type: 'text', text: '' }
  return { type: 'tool_use', id: block.id, name: block.name, input: {} }
}

function deltasOf(block: Block, random: Random, chunks: number | undefined): object[] {
  const text = block.type === 'thinking' ? block.thinking : block.type === 'text' ? block.text : block.inputText
  const count = chunks ?? Math.min(24, Math.max(1, Math.round(tokensOf(text) / (4 + random() * 8))))
  const pieces = piecesOf(text, count)
  if (block.type === 'text') return pieces.map((piece) => ({ type: 'text_delta', text: piece }))
  if (block.type === 'tool_use')
    return ['', ...pieces].map((piece) => ({ type: 'input_json_delta', partial_json: piece }))
  return [
    ...pieces.map((piece) => ({ type: 'thinking_delta', thinking: piece })),
    { type: 'signature_delta', signature: block.signature },
  ]
}
