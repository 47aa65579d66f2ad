import { between, type Random, randomId } from '../seeded-random.ts'
import { type Answer, billed, jsonAnswer } from './answer.ts'
import type { AnswerContext } from './context.ts'
import { isRecord, positiveInteger, recordsOf } from './json.ts'
import { OPENAI_MODELS } from './models.ts'
import { openaiError, openaiErrorEvent, openaiStatus, unknownModel } from './openai-errors.ts'
import { piecesOf, textOfTokens, tokensOf, toolArguments } from './text.ts'

/** `POST /v1/chat/completions`. */
export function answerOpenaiChat(request: unknown, context: AnswerContext): Answer {
  const headers = openaiHeaders(context)
  if (!isRecord(request)) return openaiError(400, { message: INVALID_JSON }, headers)
  const { model: name } = request
  if (typeof name !== 'string' || name === '')
    return openaiError(400, { message: 'you must provide a model parameter' }, headers)
  const model = OPENAI_MODELS.get(name)
  if (model === undefined) return unknownModel(name, headers)
  const { status } = context.steering
  if (status !== undefined) return openaiStatus(status, context.steering.errorCode, name, headers)
  const refused = refusalOf(request, model.reasoning)
  if (refused !== undefined) return openaiError(400, refused, headers)

  const plan = planOf(request, model.served, model.reasoning, context)
  const answer =
    request.stream === true
      ? {
          ...stream(request, plan, context),
          headers: { ...headers, 'content-type': 'text/event-stream; charset=utf-8' },
        }
      : jsonAnswer(200, body(plan), headers)
  const { promptTokens, cachedTokens, outputTokens, reasoningTokens, serviceTier } = plan
  const units = {
    input: promptTokens - cachedTokens,
    cache_read: cachedTokens,
    output: outputTokens - reasoningTokens,
    output_reasoning: reasoningTokens,
  }
  return { ...answer, billed: billed(plan.model, units, serviceTier === 'default' ? undefined : serviceTier) }
}

export const INVALID_JSON =
  'We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.'

export function openaiHeaders(context: AnswerContext): Record<string, string> {
  return {
    'x-request-id': `req_${context.answerId}`,
    'openai-version': '2020-10-01',
    'openai-organization': 'org-mock',
    'openai-processing-ms': String(between(context.random, [20, 900])),
    'x-ratelimit-limit-requests': '10000',
    'x-ratelimit-limit-tokens': '30000000',
    'x-ratelimit-remaining-requests': '9999',
    'x-ratelimit-remaining-tokens': '29999000',
    'x-ratelimit-reset-requests': '6ms',
    'x-ratelimit-reset-tokens': '2ms',
  }
}

interface Plan {
  id: string
  created: number
  model: string
  serviceTier: string
  systemFingerprint: string
  promptTokens: number
  cachedTokens: number
  /** Of all choices together, reasoning included. */
  outputTokens: number
  reasoningTokens: number
  choices: Choice[]
}
interface Choice {
  text: string
  /** `refusal` where the model declined: the text stands in another field. */
  field: 'content' | 'refusal'
  tool?: { id: string; name: string; arguments: string }
  finishReason: string
}

function refusalOf(request: Record<string, unknown>, reasoning: boolean) {
  if (!Array.isArray(request.messages) || request.messages.length === 0)
    return {
      message: "Missing required parameter: 'messages'.",
      param: 'messages',
      code: 'missing_required_parameter',
    }
  if (reasoning && request.max_tokens !== undefined)
    return {
      message:
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      param: 'max_tokens',
      code: 'unsupported_parameter',
    }
  return undefined
}

function planOf(request: Record<string, unknown>, model: string, reasoning: boolean, context: AnswerContext): Plan {
  const { random, steering } = context
  const promptTokens = promptTokensOf(request)
  // Real prompt caching starts at 1,024 tokens; here at 128, so that small prompts reach that code too.
  const cachedTokens = random() < 0.35 ? Math.floor((promptTokens * random()) / 128) * 128 : 0
  const choiceCount = typeof request.n === 'number' && request.n > 1 ? Math.min(128, Math.floor(request.n)) : 1
  const limit = positiveInteger(request.max_completion_tokens) ?? positiveInteger(request.max_tokens)
  const wanted = Math.max(steering.outputTokens ?? between(random, [12, 160]) * choiceCount, choiceCount)
  const outputTokens = limit === undefined ? wanted : Math.min(wanted, limit * choiceCount)
  const reasoningTokens = reasoning ? Math.floor((outputTokens - choiceCount) * (0.3 + random() * 0.5)) : 0
  const toolName = toolNameOf(request)
  const choices: Choice[] = []
  let left = outputTokens - reasoningTokens
  for (let index = 0; index < choiceCount; index++) {
    const tokens = index === choiceCount - 1 ? left : Math.floor(left / (choiceCount - index))
    left -= tokens
    choices.push(choiceOf(request, context, tokens, toolName, outputTokens < wanted))
  }
  return {
    id: `chatcmpl-${context.answerId}`,
    created: Math.floor(context.now / 1000),
    model,
    serviceTier: steering.serviceTier ?? 'default',
    systemFingerprint: 'fp_mock0a1b2c',
    promptTokens,
    cachedTokens,
    outputTokens,
    reasoningTokens,
    choices,
  }
}

function choiceOf(
  request: Record<string, unknown>,
  { random, steering }: AnswerContext,
  tokens: number,
  toolName: string | undefined,
  limited: boolean,
): Choice {
  const finish = steering.finish ?? (limited ? 'length' : undefined)
  if (toolName !== undefined && finish === undefined) {
    const id = `call_${randomId(random, 24)}`
    const definition = recordsOf(request.tools).find(
      (tool) => isRecord(tool.function) && tool.function.name === toolName,
    )
    const schema = isRecord(definition?.function) ? definition.function.parameters : undefined
    const tool = { id, name: toolName, arguments: toolArguments(random, schema) }
    return { text: '', field: 'content', tool, finishReason: 'tool_calls' }
  }
  if (finish === 'refusal') return { text: textOfTokens(random, tokens), field: 'refusal', finishReason: 'stop' }
  const finishReason = finish === 'length' || finish === 'content_filter' ? finish : 'stop'
  return { text: textOfTokens(random, tokens), field: 'content', finishReason }
}

function toolNameOf(request: Record<string, unknown>): string | undefined {
  const choice = request.tool_choice
  if (choice === 'none' || recordsOf(request.messages).at(-1)?.role === 'tool') return undefined
  if (isRecord(choice) && isRecord(choice.function) && typeof choice.function.name === 'string')
    return choice.function.name
  const first = recordsOf(request.tools)[0]?.function
  return isRecord(first) && typeof first.name === 'string' ? first.name : undefined
}

function promptTokensOf(request: Record<string, unknown>): number {
  let tokens = 3 // the start of the answer
  for (const message of recordsOf(request.messages)) {
    tokens += 4 // role and separators
    if (typeof message.content === 'string') tokens += tokensOf(message.content)
    for (const part of recordsOf(message.content)) tokens += typeof part.text === 'string' ? tokensOf(part.text) : 85
  }
  if (Array.isArray(request.tools)) tokens += tokensOf(JSON.stringify(request.tools))
  return tokens
}

function usageOf(plan: Plan) {
  return {
    prompt_tokens: plan.promptTokens,
    completion_tokens: plan.outputTokens,
    total_tokens: plan.promptTokens + plan.outputTokens,
    prompt_tokens_details: { cached_tokens: plan.cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: plan.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

function body(plan: Plan) {
  return {
    id: plan.id,
    object: 'chat.completion',
    created: plan.created,
    model: plan.model,
    choices: plan.choices.map((choice, index) => ({
      index,
      message: {
        role: 'assistant',
        content: choice.field === 'content' && choice.tool === undefined ? choice.text : null,
        ...(choice.tool && { tool_calls: [toolCall(choice.tool, choice.tool.arguments)] }),
        refusal: choice.field === 'refusal' ? choice.text : null,
        annotations: [],
      },
      logprobs: null,
      finish_reason: choice.finishReason,
    })),
    usage: usageOf(plan),
    service_tier: plan.serviceTier,
    system_fingerprint: plan.systemFingerprint,
  }
}

function toolCall(tool: NonNullable<Choice['tool']>, argumentsText: string) {
  return { id: tool.id, type: 'function', function: { name: tool.name, arguments: argumentsText } }
}

/** Role chunk, deltas, finish chunk, for each choice in turn; then usage where it was asked for, and `[DONE]`. */
function stream(request: Record<string, unknown>, plan: Plan, { random, steering }: AnswerContext): Answer {
  const options = isRecord(request.stream_options) ? request.stream_options : {}
  const withUsage = options.include_usage === true
  const events: Buffer[] = []
  const push = (choices: unknown[], usage: unknown = null) => {
    const chunk = {
      id: plan.id,
      object: 'chat.completion.chunk',
      created: plan.created,
      model: plan.model,
      service_tier: plan.serviceTier,
      system_fingerprint: plan.systemFingerprint,
      choices,
      ...(withUsage && { usage }),
      ...(options.include_obfuscation !== false && { obfuscation: randomId(random, between(random, [1, 16])) }),
    }
    events.push(Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`))
  }
  const delta = (index: number, fields: unknown, finishReason: string | null = null) =>
    push([{ index, delta: fields, logprobs: null, finish_reason: finishReason }])
  const rounds = plan.choices.map((choice, index) => deltasOf(choice, index, random, steering.chunks, delta))
  plan.choices.forEach((choice, index) => {
    delta(index, roleDelta(choice))
  })
  for (let step = 0; rounds.some((steps) => step < steps.length); step++) for (const steps of rounds) steps[step]?.()
  plan.choices.forEach((choice, index) => {
    delta(index, {}, choice.finishReason)
  })
  if (withUsage) push([], usageOf(plan))
  events.push(Buffer.from('data: [DONE]\n\n'))
  return { status: 200, headers: {}, body: events, billed: {}, errorEvent: openaiErrorEvent() }
}

function roleDelta(choice: Choice) {
  if (choice.tool)
    return {
      role: 'assistant',
      content: null,
      tool_calls: [{ index: 0, ...toolCall(choice.tool, '') }],
      refusal: null,
    }
  return choice.field === 'refusal'
    ? { role: 'assistant', content: null, refusal: '' }
    : { role: 'assistant', content: '', refusal: null }
}

function deltasOf(
  choice: Choice,
  index: number,
  random: Random,
  chunks: number | undefined,
  delta: (index: number, fields: unknown) => void,
): (() => void)[] {
  const text = choice.tool?.arguments ?? choice.text
  const count = chunks ?? Math.min(24, Math.max(1, Math.round(tokensOf(text) / (4 + random() * 8))))
  return piecesOf(text, count).map((piece) => () => {
    if (choice.tool) delta(index, { tool_calls: [{ index: 0, function: { arguments: piece } }] })
    else delta(index, { [choice.field]: piece })
  })
}
