import { parentPort } from 'node:worker_threads'
import { countTokens } from './encode.ts'
import type { CountJob } from './estimate.ts'

/** `ready` once, then an answer for each job, in order. */
export type WorkerMessage = { ready: true } | { counts: number[] } | { failed: true }

const port = parentPort!
// The encodings that nearly all need, before the first job's time runs.
countTokens('ready', 'o200k_base')
countTokens('ready', 'cl100k_base')
port.postMessage({ ready: true } satisfies WorkerMessage)
port.on('message', ({ encoding, texts }: CountJob) => {
  let answer: WorkerMessage
  try {
    answer = { counts: texts.map((text) => countTokens(text, encoding)) }
  } catch {
    answer = { failed: true } // what the tokenizer says may quote the text
  }
  port.postMessage(answer)
})
