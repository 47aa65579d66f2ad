import type { Content, Message, MessagePart } from '../call.ts'

/** What a message and a part weigh besides their text, so that many empty ones are bounded too. */
const OVERHEAD = 16

/** Beyond a cut this much is still looked at: a secret that the cut goes through is found as a whole. */
const SLACK = 4096

/** What masks the texts on the way (sidecar/redaction). */
export interface Masker {
  text(text: string, options?: { cut?: boolean; tenant?: string }): string
  label(text: string, tenant?: string): string
  content(content: Content, tenant?: string): Content
}
export interface MaskPlace {
  tenant?: string
  /** The answer ended in the middle: the end of each of its messages may be half a secret. */
  outputBrokeOff?: boolean
}

/**
 * Keeps `limit` bytes of content (UTF-8): the answer first, then the system text, then the request's messages from the
 * newest back – what a reader of a trace looks for – then the tools. Says so where something was cut. A cut never
 * splits a character. With a masker each text is masked before it is cut: neither side of a cut shows half a secret.
 */
export function boundContent(content: Content, limit: number, masker?: Masker, place: MaskPlace = {}): Content {
  const ended = masker !== undefined && place.outputBrokeOff === true ? withMaskedEnds(content, masker, place) : content
  // A UTF-16 unit is at most three bytes: most content is known to fit without counting.
  const fits = (each: Content) =>
    weigh(each, (text) => text.length * 3) <= limit || weigh(each, Buffer.byteLength) <= limit
  if (fits(ended)) {
    if (masker === undefined) return ended
    const masked = masker.content(ended, place.tenant)
    // A mask may be longer than what it hides.
    return fits(masked) ? masked : boundContent(masked, limit)
  }
  const tenant = place.tenant === undefined ? {} : { tenant: place.tenant }
  let left = limit
  const keep = (text: string): string => {
    const kept = cutToBytes(text, left)
    left -= Buffer.byteLength(kept)
    return kept
  }
  const take = (text: string): string => {
    if (masker === undefined || left <= 0) return keep(text)
    const cut = text.length > left + SLACK
    return keep(masker.text(cut ? text.slice(0, left + SLACK) : text, { cut, ...tenant }))
  }
  const takeLabel = (text: string): string => keep(masker === undefined ? text : masker.label(text, place.tenant))
  const message = (original: Message): Message => {
    left -= OVERHEAD
    const role = take(original.role)
    const finishReason = original.finishReason === undefined ? {} : { finishReason: takeLabel(original.finishReason) }
    const parts: MessagePart[] = []
    for (const part of original.parts) {
      if (left <= OVERHEAD) break
      left -= OVERHEAD
      parts.push(boundPart(part, take, takeLabel))
    }
    return { role, parts, ...finishReason }
  }
  const output: Message[] = []
  for (const original of ended.output ?? []) {
    if (left <= OVERHEAD) break
    output.push(message(original))
  }
  const system = ended.system === undefined || left <= 0 ? undefined : take(ended.system)
  const input: Message[] = []
  for (const original of (ended.input ?? []).toReversed()) {
    if (left <= OVERHEAD) break
    input.push(message(original))
  }
  const tools = ended.tools === undefined || left <= 0 ? undefined : take(ended.tools)
  return {
    truncated: true,
    ...(system !== undefined && { system }),
    ...(ended.input !== undefined && { input: input.reverse() }),
    ...(ended.output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
  }
}

/** The last part of each answer, masked as a text that was cut there. */
function withMaskedEnds(content: Content, masker: Masker, { tenant }: MaskPlace): Content {
  if (content.output === undefined) return content
  const mask = (text: string) => masker.text(text, { cut: true, ...(tenant !== undefined && { tenant }) })
  const ended = (part: MessagePart): MessagePart => {
    switch (part.type) {
      case 'text':
      case 'reasoning':
        return { ...part, content: mask(part.content) }
      case 'tool_call':
        return { ...part, arguments: mask(part.arguments) }
      case 'tool_call_response':
        return { ...part, response: mask(part.response) }
      case 'other':
        return part
    }
  }
  return {
    ...content,
    output: content.output.map((message) => ({
      ...message,
      parts: message.parts.map((part, index) => (index === message.parts.length - 1 ? ended(part) : part)),
    })),
  }
}

type Take = (text: string) => string
function boundPart(part: MessagePart, take: Take, takeLabel: Take): MessagePart {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return { ...part, content: take(part.content) }
    case 'tool_call':
      return { ...part, ...idOf(part, takeLabel), name: take(part.name), arguments: take(part.arguments) }
    case 'tool_call_response':
      return { ...part, ...idOf(part, takeLabel), response: take(part.response) }
    case 'other':
      return { ...part, kind: take(part.kind) }
  }
}

function idOf({ id }: { id?: string }, take: Take): { id?: string } {
  return id === undefined ? {} : { id: take(id) }
}

function weigh(content: Content, bytesOf: (text: string) => number): number {
  let weight = bytesOf(content.system ?? '') + bytesOf(content.tools ?? '')
  for (const messages of [content.input, content.output])
    for (const message of messages ?? []) {
      weight += OVERHEAD + bytesOf(message.role) + bytesOf(message.finishReason ?? '')
      for (const part of message.parts) {
        weight += OVERHEAD + ('id' in part ? bytesOf(part.id ?? '') : 0)
        if (part.type === 'text' || part.type === 'reasoning') weight += bytesOf(part.content)
        else if (part.type === 'tool_call') weight += bytesOf(part.name) + bytesOf(part.arguments)
        else if (part.type === 'tool_call_response') weight += bytesOf(part.response)
        else weight += bytesOf(part.kind)
      }
    }
  return weight
}

function cutToBytes(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text
  if (bytes <= 0) return ''
  // No more than `bytes` units can fit; what a split pair leaves is dropped.
  const { read } = new TextEncoder().encodeInto(text, scratch(Math.min(bytes, text.length * 3)))
  return text.slice(0, read)
}

let buffer = new Uint8Array(64 * 1024)
function scratch(bytes: number): Uint8Array {
  if (buffer.length < bytes) buffer = new Uint8Array(bytes)
  return buffer.subarray(0, bytes)
}
