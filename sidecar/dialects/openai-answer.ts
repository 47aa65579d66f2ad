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
  /** The usage came with or after the last word, so it is the whole. */
  usageIsFinal: boolean
  choices: Map<number, Choice>
  guardrails: GuardrailEvents
}

export function emptyOpenAiAnswer(): OpenAiAnswer {
  return { usageIsFinal: false, choices: new Map(), guardrails: new Map() }
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
  // The last one wins: some send a running count in every chunk.
  const usage = asObject(chunk.usage) ?? asObject(asObject(chunk.x_groq)?.usage)
  if (usage !== undefined) {
    answer.usage = usage
    answer.usageIsFinal = choices.length === 0 || everyChoiceFinished(answer)
  }
  const tier = asText(chunk.service_tier) ?? asText(usage?.service_tier)
  if (tier !== undefined) answer.serviceTier = tier
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
  if (message !== undefined) addMessage(choice, message)
  else if (typeof given.text === 'string') choice.text += given.text
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
    if (call !== undefined) addToolCall(choice, asCount(call.index) ?? position, call)
  }
  const functionCall = asObject(message.function_call)
  if (functionCall !== undefined) addToolCall(choice, 0, { function: functionCall })
}

function addToolCall(choice: Choice, index: number, call: JsonObject): void {
  const known = choice.toolCalls.get(index) ?? { id: undefined, name: '', arguments: '' }
  const invoked = asObject(call.function) ?? asObject(call.custom)
  known.id ??= asText(call.id)
  if (known.name === '') known.name = asText(invoked?.name) ?? ''
  known.arguments += asText(invoked?.arguments) ?? asText(invoked?.input) ?? ''
  choice.toolCalls.set(index, known)
}

function addOther(choice: Choice, kind: string): void {
  if (!choice.others.includes(kind)) choice.others.push(kind)
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
