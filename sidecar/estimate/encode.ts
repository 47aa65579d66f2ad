import { encoding_for_model, get_encoding, type Tiktoken, type TiktokenModel } from 'tiktoken'

/** Encodings of OpenAI's models. `standIn`: the model is somebody else's, and this is the nearest that is public. */
export interface EncodingChoice {
  name: 'o200k_base' | 'cl100k_base' | 'p50k_base' | 'r50k_base'
  standIn: boolean
}

/** By the model's name, without loading an encoding. */
export function encodingOf(model: string): EncodingChoice {
  const name = model.toLowerCase().replace(/^.*\//, '')
  if (/^(?:gpt-4o|chatgpt-4o|gpt-4\.[15]|gpt-5|gpt-6|gpt-oss|o\d)/.test(name))
    return { name: 'o200k_base', standIn: false }
  if (/^(?:gpt-4|gpt-3\.5|gpt-35|text-embedding-(?:3|ada-002))/.test(name))
    return { name: 'cl100k_base', standIn: false }
  if (/^(?:davinci-002|babbage-002)/.test(name)) return { name: 'cl100k_base', standIn: false }
  if (/^(?:text-davinci-00[23]|code-)/.test(name)) return { name: 'p50k_base', standIn: false }
  if (/^(?:ada|babbage|curie|davinci|text-(?:ada|babbage|curie|davinci)-001)/.test(name))
    return { name: 'r50k_base', standIn: false }
  return { name: 'o200k_base', standIn: true }
}

const loaded = new Map<string, Tiktoken>()

/**
 * Tokens of a text. tiktoken takes quadratic time on a long run without a break, so the text goes in pieces: at a space
 * where there is one. A cut may add a token at its place.
 */
export function countTokens(text: string, encoding: EncodingChoice['name']): number {
  let own = loaded.get(encoding)
  if (own === undefined) {
    own = get_encoding(encoding)
    loaded.set(encoding, own)
  }
  let tokens = 0
  for (const piece of piecesOf(text)) tokens += own.encode_ordinary(piece).length
  return tokens
}

const PIECE = 4000
/** A run without a space is cut after so many characters. */
const RUN = 400

export function* piecesOf(text: string): Generator<string> {
  let at = 0
  while (at < text.length) {
    let end = Math.min(at + PIECE, text.length)
    const run = longRun(text, at, end)
    if (run !== undefined) end = run
    else if (end < text.length) {
      const space = text.lastIndexOf(' ', end)
      if (space > at) end = space
    }
    // Never between the halves of a character.
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end++
    yield text.slice(at, end)
    at = end
  }
}

/** Where a run of one kind that is too long must be cut, between `from` and `to`. */
function longRun(text: string, from: number, to: number): number | undefined {
  let start = from
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x20 || code === 0x0a) start = at + 1
    else if (at - start >= RUN) return at
  }
  return undefined
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff
}

/** For tests: what tiktoken itself says of a model. */
export function tiktokenEncodingOf(model: string): string | undefined {
  const own = encoding_for_model(model as TiktokenModel)
  try {
    return own.name
  } finally {
    own.free()
  }
}
