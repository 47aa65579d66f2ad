import { get_encoding, type Tiktoken } from 'tiktoken'
import type { Encoding } from './encoding-of-model.ts'
import { splitRuns } from './split-runs.ts'

/** Loaded once: 0.2 s and 60 MB for the largest. */
const loaded = new Map<Encoding, Tiktoken>()

/** Tokens of a text. What looks like a special token (`<|endoftext|>`) is text, as a provider treats it. */
export function countTokens(text: string, encoding: Encoding): number {
  if (text === '') return 0
  let tokenizer = loaded.get(encoding)
  if (tokenizer === undefined) {
    tokenizer = get_encoding(encoding)
    loaded.set(encoding, tokenizer)
  }
  let tokens = 0
  for (const piece of splitRuns(text)) tokens += tokenizer.encode_ordinary(piece).length
  return tokens
}
