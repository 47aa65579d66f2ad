import type { Content, Message, MessagePart } from '../call.ts'
import type { DialectReading } from './dialect.ts'
import { asCount, asList, asNumber, asObject, asText, type JsonObject, toJson, withoutUndefined } from './json-value.ts'

/** `input`: a text, parts, turns with a role, or the steps of what went before. */
export function interactionRequestContent(body: JsonObject): Content {
  const items = Array.isArray(body.input) ? body.input : [body.input]
  const input: Message[] = []
  for (const item of items) {
    const step = asObject(item)
    const model = step?.role === 'model' || step?.type === 'model_output' || step?.type === 'thought'
    const role = model ? 'assistant' : (asText(step?.role) ?? 'user')
    const parts = partsOfStep(item)
    const last = input.at(-1)
    if (parts.length === 0) continue
    if (last?.role === role && step?.role === undefined) last.parts.push(...parts)
    else input.push({ role, parts })
  }
  return withoutUndefined({
    system: asText(body.system_instruction),
    input: input.length > 0 ? input : undefined,
    tools: Array.isArray(body.tools) && body.tools.length > 0 ? toJson(body.tools) : undefined,
  })
}

/** `steps`, earlier `outputs`: what was thought, called and said. */
export function interactionOutput(interaction: JsonObject): MessagePart[] {
  const steps = asList(interaction.steps)
  return (steps.length > 0 ? steps : asList(interaction.outputs)).flatMap(partsOfStep)
}

function partsOfStep(item: unknown): MessagePart[] {
  if (typeof item === 'string') return item === '' ? [] : [{ type: 'text', content: item }]
  const step = asObject(item)
  if (step === undefined) return []
  switch (step.type) {
    case 'text':
      return partsOfStep(step.text)
    case 'thought': {
      const content = asList(step.summary).flatMap(partsOfStep).map(textOf).join('')
      return content === '' ? [] : [{ type: 'reasoning', content }]
    }
    case 'function_call':
      return [{ type: 'tool_call', ...idOf(step.id), name: asText(step.name) ?? '', arguments: argumentsOf(step) }]
    case 'function_result': {
      const response = typeof step.result === 'string' ? step.result : (toJson(step.result) ?? '')
      return [{ type: 'tool_call_response', ...idOf(step.call_id), response }]
    }
    case undefined:
    case 'user_input':
    case 'model_output':
      return Array.isArray(step.content) ? step.content.flatMap(partsOfStep) : partsOfStep(step.content)
    default:
      return [{ type: 'other', kind: asText(step.type)?.slice(0, 64) ?? 'unknown' }]
  }
}

/** The parts of a stream, by the index of their step (`step.*`, earlier `content.*`). */
export type InteractionAssembly = Map<number, MessagePart>

export function addStepEvent(assembly: InteractionAssembly, event: JsonObject): void {
  const index = asCount(event.index) ?? 0
  const start = asObject(event.step) ?? asObject(event.content)
  if (start !== undefined) {
    const part = partsOfStep(start)[0]
    if (part !== undefined) assembly.set(index, start.arguments === undefined ? withoutArguments(part) : part)
  }
  const delta = asObject(event.delta)
  if (delta === undefined) return
  const last = assembly.get(index)
  if (delta.type === 'text') append(assembly, index, 'text', asText(delta.text))
  else if (delta.type === 'thought_summary')
    append(assembly, index, 'reasoning', asText(asObject(delta.content)?.text) ?? asText(delta.text))
  else if (delta.type === 'arguments_delta' && last?.type === 'tool_call')
    last.arguments += asText(delta.arguments) ?? asText(delta.partial_arguments) ?? ''
  else if (last === undefined && delta.type !== 'thought_signature') {
    const part = partsOfStep(delta)[0]
    if (part !== undefined) assembly.set(index, part)
  }
}

function append(assembly: InteractionAssembly, index: number, type: 'text' | 'reasoning', text = ''): void {
  const last = assembly.get(index)
  if (last?.type === type) last.content += text
  else assembly.set(index, { type, content: text })
}

/** The arguments of a call come after its name. */
function withoutArguments(part: MessagePart): MessagePart {
  return part.type === 'tool_call' ? { ...part, arguments: '' } : part
}

function argumentsOf(step: JsonObject): string {
  return typeof step.arguments === 'string' ? step.arguments : (toJson(step.arguments ?? {}) ?? '')
}

function idOf(value: unknown): { id?: string } {
  const id = asText(value)
  return id === undefined ? {} : { id }
}

function textOf(part: MessagePart): string {
  return part.type === 'text' ? part.content : ''
}

export function interactionParameters(body: JsonObject): DialectReading['parameters'] {
  const config = asObject(body.generation_config) ?? {}
  const stop = asList(config.stop_sequences).filter((text) => typeof text === 'string')
  return withoutUndefined({
    maxTokens: asCount(config.max_output_tokens),
    temperature: asNumber(config.temperature),
    topP: asNumber(config.top_p),
    seed: asNumber(config.seed),
    stopSequences: stop.length > 0 ? stop : undefined,
  })
}
