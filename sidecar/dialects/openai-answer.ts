import type { Message } from '../call.ts'
import { addGuardrail, categorised, type GuardrailEvents } from './guardrail-events.ts'
import { asCount, asList, asObject, asText, type JsonObject } from './json-value.ts'
import { partsOfContent } from './openai-content.ts'

interface Choice {
  role: string
  text: string
  reasoning: string
  refusal: string
  toolCalls: Map<number, { id: string | undefined; name: string; arguments: string }>
  others: string[]
  finishReason: string | undefined
}

/** An answer as it grows: by one whole body, or by the chunks of a stream. */
export interface OpenAiAnswer {
  model?: string
  id?: string
  serviceTier?: string
  systemFingerprint?: string
  usage?: JsonObject
  /** Groq's compound systems: beside the usage, or in it. */
  breakdown?: JsonObject
  /** The last piece with metadata of a gateway. */
  last?: JsonObject
  /** The usage came with or after the last word, so it is the whole. */
  usageIsFinal: boolean
  choices: Map<number, Choice>
  guardrails: GuardrailEvents
  /** Uses of tools that the provider itself ran. */
  toolCalls: number
  webSearches: number
}

/** More than any provider gives (`n` is at most 128): each chunk may look at all of them. */
const MAX_CHOICES = 256
const MAX_TOOL_CALLS = 512

export function emptyOpenAiAnswer(): OpenAiAnswer {
  return { usageIsFinal: false, choices: new Map(), guardrails: new Map(), toolCalls: 0, webSearches: 0 }
}

/** Adds a whole body (`choices[].message`) or one chunk (`choices[].delta`). */
export function addToOpenAiAnswer(answer: OpenAiAnswer, chunk: JsonObject, provider: string): void {
  const model = asText(chunk.model) // Azure's first chunk has an empty one
  if (model !== undefined) answer.model = model
  const id = asText(chunk.id)
  if (id !== undefined) answer.id ??= id
  const fingerprint = asText(chunk.system_fingerprint)
  if (fingerprint !== undefined) answer.systemFingerprint = fingerprint
  const choices = asList(chunk.choices)
  for (let position = 0; position < choices.length; position++) {
    const choice = asObject(choices[position])
    if (choice !== undefined) addChoice(answer, choice, position, provider)
  }
  for (const item of asList(chunk.prompt_filter_results ?? chunk.prompt_annotations))
    addFilterResults(answer, asObject(asObject(item)?.content_filter_results), 'input', provider)
  if (hasMetadata(chunk, choices)) answer.last = chunk
  const breakdown = asObject(chunk.usage_breakdown)
  if (breakdown !== undefined) answer.breakdown = breakdown
  // Z.ai lists what its own search found.
  if (asList(chunk.web_search).length > 0) answer.webSearches = 1
  // The last one wins: some send a running count in every chunk.
  const usage = usageOfChunk(chunk, choices)
  if (usage !== undefined) {
    answer.usage = usage
    answer.usageIsFinal = choices.length === 0 || everyChoiceFinished(answer)
  }
  const tier = asText(chunk.service_tier) ?? asText(usage?.service_tier)
  if (tier !== undefined) answer.serviceTier = tier
}

function hasMetadata(chunk: JsonObject, choices: readonly unknown[]): boolean {
  if (chunk.provider_metadata !== undefined || chunk.providerMetadata !== undefined) return true
  const choice = asObject(choices[0])
  const message = asObject(choice?.delta) ?? asObject(choice?.message)
  return message?.provider_metadata !== undefined || message?.providerMetadata !== undefined
}

/** Beside the choices; Groq has an object of its own for it, Kimi's streams put it into the last choice. */
function usageOfChunk(chunk: JsonObject, choices: readonly unknown[]): JsonObject | undefined {
  const beside = asObject(chunk.usage) ?? asObject(asObject(chunk.x_groq)?.usage)
  if (beside !== undefined) return beside
  for (const item of choices) {
    const choice = asObject(item)
    const message = asObject(choice?.delta) ?? asObject(choice?.message)
    const inside = asObject(choice?.usage) ?? asObject(message?.usage)
    if (inside !== undefined) return inside
  }
  return undefined
}

export function everyChoiceFinished(answer: OpenAiAnswer): boolean {
  for (const choice of answer.choices.values()) if (choice.finishReason === undefined) return false
  return answer.choices.size > 0
}

/** Marks the place where the middle of a stream was cut out, so that its two ends are not read as one text. */
export function markGap(answer: OpenAiAnswer): void {
  for (const choice of answer.choices.values()) if (choice.text !== '') choice.text += '[…]'
}

function addChoice(answer: OpenAiAnswer, given: JsonObject, position: number, provider: string): void {
  const index = asCount(given.index) ?? position
  let choice = answer.choices.get(index)
  if (choice === undefined) {
    if (answer.choices.size >= MAX_CHOICES) return
    choice = {
      role: 'assistant',
      text: '',
      reasoning: '',
      refusal: '',
      toolCalls: new Map(),
      others: [],
      finishReason: undefined,
    }
    answer.choices.set(index, choice)
  }
  const message = asObject(given.message) ?? asObject(given.delta)
  if (message !== undefined) {
    addMessage(choice, message)
    // Groq's compound systems run tools of their own.
    answer.toolCalls += asList(message.executed_tools).length
  } else if (typeof given.text === 'string') choice.text += given.text
  const finishReason = asText(given.finish_reason)
  if (finishReason !== undefined) choice.finishReason = finishReason
  if (finishReason === 'content_filter')
    addGuardrail(answer.guardrails, { guardrail: `${provider}.content_filter`, stage: 'output', action: 'blocked' })
  if (choice.refusal !== '')
    addGuardrail(answer.guardrails, { guardrail: `${provider}.refusal`, stage: 'output', action: 'blocked' })
  addFilterResults(answer, asObject(given.content_filter_results), 'output', provider)
}

function addMessage(choice: Choice, message: JsonObject): void {
  choice.role = asText(message.role) ?? choice.role
  if (typeof message.content === 'string') choice.text += message.content
  else
    for (const part of partsOfContent(message.content)) {
      if (part.type === 'text') choice.text += part.content
      else if (part.type === 'reasoning') choice.reasoning += part.content
      else if (part.type === 'other') addOther(choice, part.kind)
    }
  choice.reasoning += asText(message.reasoning_content) ?? asText(message.reasoning) ?? ''
  choice.refusal += asText(message.refusal) ?? ''
  if (asObject(message.audio) !== undefined) addOther(choice, 'audio')
  const calls = asList(message.tool_calls)
  for (let position = 0; position < calls.length; position++) {
    const call = asObject(calls[position])
    if (call !== undefined)
      addToolCall(choice, asCount(call.index) ?? indexOf(choice, call, position, calls.length), call)
  }
  const functionCall = asObject(message.function_call)
  if (functionCall !== undefined) addToolCall(choice, 0, { function: functionCall })
}

/**
 * Which call a piece without an index belongs to: the one with its id; a new id is a new call; without an id the last one,
 * or of several in one chunk the one at its place.
 */
function indexOf({ toolCalls }: Choice, call: JsonObject, position: number, together: number): number {
  const id = asText(call.id)
  if (id === undefined) return together > 1 ? position : Math.max(0, ...toolCalls.keys())
  for (const [index, known] of toolCalls) if (known.id === id) return index
  return toolCalls.size === 0 ? 0 : Math.max(...toolCalls.keys()) + 1
}

function addToolCall(choice: Choice, index: number, call: JsonObject): void {
  if (choice.toolCalls.size >= MAX_TOOL_CALLS && !choice.toolCalls.has(index)) return
  const known = choice.toolCalls.get(index) ?? { id: undefined, name: '', arguments: '' }
  const invoked = asObject(call.function) ?? asObject(call.custom)
  known.id ??= asText(call.id)
  if (known.name === '') known.name = asText(invoked?.name) ?? ''
  known.arguments += asText(invoked?.arguments) ?? asText(invoked?.input) ?? ''
  choice.toolCalls.set(index, known)
}

function addOther(choice: Choice, kind: string): void {
  if (choice.others.length < 16 && !choice.others.includes(kind)) choice.others.push(kind)
}

/** Azure: `{violence: {filtered, severity}, jailbreak: {filtered, detected}, …}`. */
export function addFilterResults(
  answer: Pick<OpenAiAnswer, 'guardrails'>,
  results: JsonObject | undefined,
  stage: 'input' | 'output',
  provider: string,
): void {
  if (results === undefined) return
  const found = { blocked: {} as Record<string, string>, flagged: {} as Record<string, string> }
  for (const [category, item] of Object.entries(results)) {
    const result = asObject(item)
    const severity = asText(result?.severity)
    // What the deployment only watches for: a low severity is everyday language.
    const seen = result?.detected === true || severity === 'medium' || severity === 'high'
    const action = result?.filtered === true ? 'blocked' : seen ? 'flagged' : undefined
    if (action !== undefined)
      found[action][category] = severity ?? (result?.detected === true ? 'detected' : 'filtered')
  }
  for (const action of ['blocked', 'flagged'] as const)
    if (Object.keys(found[action]).length > 0)
      addGuardrail(
        answer.guardrails,
        categorised({ guardrail: `${provider}.content_filter`, stage, action }, found[action]),
      )
}

export function outputMessages(answer: OpenAiAnswer): Message[] {
  const messages: Message[] = []
  for (const [, choice] of [...answer.choices].sort(([left], [right]) => left - right)) {
    const parts: Message['parts'] = []
    if (choice.reasoning !== '') parts.push({ type: 'reasoning', content: choice.reasoning })
    if (choice.text !== '') parts.push({ type: 'text', content: choice.text })
    if (choice.refusal !== '') parts.push({ type: 'text', content: choice.refusal })
    for (const kind of choice.others) parts.push({ type: 'other', kind })
    for (const [, call] of choice.toolCalls) {
      const id = call.id === undefined ? {} : { id: call.id }
      parts.push({ type: 'tool_call', ...id, name: call.name, arguments: call.arguments })
    }
    const finishReason = choice.finishReason === undefined ? {} : { finishReason: choice.finishReason }
    messages.push({ role: choice.role, parts, ...finishReason })
  }
  return messages
}
