import type { Content, Message } from './call.ts'

const escaped = new WeakMap<object, string>()

/** JSON.stringify of the owner's text, made once for as long as the owner lives: the log's row and a span both hold it. */
export function textJson(owner: { readonly content: string }): string {
  let json = escaped.get(owner)
  if (json === undefined) {
    json = JSON.stringify(owner.content)
    escaped.set(owner, json)
  }
  return json
}

/** What JSON.stringify makes of it, member for member. Texts of messages are escaped once, also for who comes later. */
export function contentJson(content: Content): string {
  const { input, output } = content
  if (!isPlain(input) && !isPlain(output)) return JSON.stringify(content)
  let json = '{'
  // In the order in which the members stand, as JSON.stringify does.
  for (const name in content) {
    const value = content[name as keyof Content]
    if (value === undefined) continue
    if (json.length > 1) json += ','
    json += `${JSON.stringify(name)}:${isPlain(value) ? messagesJson(value) : JSON.stringify(value)}`
  }
  return `${json}}`
}

type PlainMessage = Message & { parts: [{ type: 'text'; content: string }] }

const PART = ['type', 'content']
const MESSAGE = ['role', 'parts']
const FINISHED_MESSAGE = ['role', 'parts', 'finishReason']

/** These, in this order, and no other. */
function hasMembers(value: object, names: readonly string[]): boolean {
  let index = 0
  for (const name in value) if (name !== names[index++]) return false
  return index === names.length
}

/** Messages of one text each, as most are. */
function isPlain(messages: unknown): messages is readonly PlainMessage[] {
  if (!Array.isArray(messages)) return false
  for (const message of messages as Message[]) {
    const { parts, finishReason } = message
    if (parts.length !== 1 || parts[0]!.type !== 'text' || !hasMembers(parts[0]!, PART)) return false
    if (!hasMembers(message, finishReason === undefined ? MESSAGE : FINISHED_MESSAGE)) return false
  }
  return true
}

function messagesJson(messages: readonly PlainMessage[]): string {
  let json = ''
  for (const { role, parts, finishReason } of messages) {
    if (json !== '') json += ','
    const end = finishReason === undefined ? '' : `,"finishReason":${JSON.stringify(finishReason)}`
    json += `{"role":${JSON.stringify(role)},"parts":[{"type":"text","content":${textJson(parts[0])}}]${end}}`
  }
  return `[${json}]`
}
