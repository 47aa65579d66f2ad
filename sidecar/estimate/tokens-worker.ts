import { parentPort } from 'node:worker_threads'
import { countTokens } from './encode.ts'
import type { CountJob } from './estimate.ts'

/** A job in, its counts out: one answer for each ticket. */
export type CountRequest = CountJob & { ticket: number }
export type CountAnswer = { ticket: number; counts: number[] } | { ticket: number; error: true }

parentPort!.on('message', ({ ticket, encoding, texts }: CountRequest) => {
  try {
    const counts = texts.map((text) => countTokens(text, encoding))
    parentPort!.postMessage({ ticket, counts } satisfies CountAnswer)
  } catch {
    parentPort!.postMessage({ ticket, error: true } satisfies CountAnswer) // what the tokenizer says may quote the text
  }
})
