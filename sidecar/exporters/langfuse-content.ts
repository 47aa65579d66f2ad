import type { Content, Message, MessagePart } from '../call.ts'
import { textJson } from '../content-json.ts'
import { chatTools } from './langfuse-tools.ts'

/** JSON of a prompt or an answer, made once for all spans of a call: text, or pieces that `setEscaped` takes as they are. */
export type WrittenJson = { text: string } | { pieces: readonly string[] }
export interface WrittenContent {
  input: WrittenJson | undefined
  output: WrittenJson | undefined
}

interface ChatMessage {
  role: string
  content: string
  tool_call_id?: string
  thinking?: { type: 'thinking'; content: string }[]
  tool_calls?: { id: string | undefined; type: 'function'; function: { name: string; arguments: string } }[]
}

/**
 * Prompt and answer in the chat form that Langfuse draws: `{messages, tools}`, and one message or a list of choices.
 * `escaped`: the writer takes JSON that is escaped already. A message without anything in it is left out.
 */
export function writtenContent({ system, input, output, tools }: Content, escaped: boolean): WrittenContent {
  return {
    input: input === undefined ? undefined : writtenInput(system, input, tools, escaped),
    output: output === undefined ? undefined : writtenOutput(output, escaped),
  }
}

function writtenInput(
  system: string | undefined,
  input: readonly Message[],
  tools: string | undefined,
  escaped: boolean,
): WrittenJson {
  const definitions = tools === undefined ? undefined : chatTools(tools)
  const pieces = escaped ? inputPieces(system, input, definitions) : undefined
  if (pieces !== undefined) return { pieces }
  const all = input.flatMap(chatMessages)
  const messages = system === undefined ? all : [{ role: 'system', content: system }, ...all]
  return written(definitions === undefined ? { messages } : { messages, tools: definitions }, escaped)
}

function writtenOutput(output: readonly Message[], escaped: boolean): WrittenJson | undefined {
  const said = output.filter(saysSomething)
  if (said.length === 0) return undefined
  if (escaped && said.length === 1) {
    const pieces: string[] = []
    if (addMessage(pieces, said[0]!)) return { pieces }
  }
  const all = withThoughtsJoined(said.flatMap(chatMessages))
  return written(all.length === 1 ? all[0] : all, escaped)
}

function written(value: unknown, escaped: boolean): WrittenJson {
  const text = JSON.stringify(value)
  return escaped ? { pieces: [JSON.stringify(text).slice(1, -1)] } : { text }
}

function saysSomething({ parts }: Message): boolean {
  return parts.some((part) => (part.type === 'text' || part.type === 'reasoning' ? part.content !== '' : true))
}

/** A tool's result is a message of its own, so that it can name the call that it answers. */
function chatMessages(message: Message): ChatMessage[] {
  const { role, parts } = message
  const results = parts.flatMap((part) =>
    part.type === 'tool_call_response'
      ? [{ role: 'tool', ...(part.id !== undefined && { tool_call_id: part.id }), content: part.response }]
      : [],
  )
  const rest = results.length === 0 ? parts : parts.filter(({ type }) => type !== 'tool_call_response')
  return saysSomething({ role, parts: rest }) ? [...results, chatMessage(role, rest)] : results
}

function chatMessage(role: string, parts: readonly MessagePart[]): ChatMessage {
  const thinking = parts.flatMap((part) =>
    part.type === 'reasoning' && part.content !== '' ? [{ type: 'thinking' as const, content: part.content }] : [],
  )
  const calls = parts.flatMap((part) =>
    part.type === 'tool_call'
      ? [{ id: part.id, type: 'function' as const, function: { name: part.name, arguments: part.arguments } }]
      : [],
  )
  const texts = parts.flatMap((part) => (part.type === 'text' && part.content !== '' ? [part.content] : []))
  const others = parts.flatMap((part) => (part.type === 'other' ? [`[${part.kind}]`] : []))
  return {
    role,
    content: [...texts, ...others].join('\n'),
    ...(thinking.length > 0 && { thinking }),
    ...(calls.length > 0 && { tool_calls: calls }),
  }
}

/** An answer that came as an item of thoughts and a message is one message, not two choices. */
function withThoughtsJoined(messages: readonly ChatMessage[]): ChatMessage[] {
  const joined: ChatMessage[] = []
  for (const message of messages) {
    const before = joined.at(-1)
    const onlyThought = before?.thinking !== undefined && before.content === '' && before.tool_calls === undefined
    if (!onlyThought || before.role !== message.role) joined.push(message)
    else joined[joined.length - 1] = { ...message, thinking: [...before.thinking!, ...(message.thinking ?? [])] }
  }
  return joined
}

/** The same JSON where every message is one text, as most are: each text is escaped once for both JSONs around it. */
function inputPieces(
  system: string | undefined,
  messages: readonly Message[],
  tools: unknown,
): readonly string[] | undefined {
  const pieces = ['{\\"messages\\":[']
  if (system !== undefined) {
    pieces.push('{\\"role\\":\\"system\\",\\"content\\":')
    addJson(pieces, JSON.stringify(system))
    pieces.push('}')
  }
  for (const message of messages) {
    if (!saysSomething(message)) continue
    if (pieces.length > 1) pieces.push(',')
    if (!addMessage(pieces, message)) return undefined
  }
  if (tools === undefined) pieces.push(']}')
  else pieces.push('],\\"tools\\":', JSON.stringify(JSON.stringify(tools)).slice(1, -1), '}')
  return pieces
}

function addMessage(pieces: string[], { role, parts }: Message): boolean {
  const [only] = parts
  if (parts.length !== 1 || only?.type !== 'text') return false
  pieces.push('{\\"role\\":')
  addJson(pieces, JSON.stringify(role))
  pieces.push(',\\"content\\":')
  addJson(pieces, textJson(only))
  pieces.push('}')
  return true
}

/** A text's JSON as it stands in a JSON string. */
function addJson(pieces: string[], json: string): void {
  // Without a backslash there is nothing but the quotes around it to escape again.
  if (json.includes('\\')) pieces.push(json.replaceAll('\\', '\\\\').replaceAll('"', '\\"'))
  else pieces.push('\\', json.slice(0, -1), '\\"')
}
