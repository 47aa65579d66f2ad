import { parentPort } from 'node:worker_threads'
import type { CountJob } from '../estimate.ts'
import type { WorkerMessage } from '../tokens-worker.ts'

/** A worker for tests: HANG never ends, CRASH ends it, FAIL is answered so; of any other text it counts the characters. */
const port = parentPort!
port.postMessage({ ready: true } satisfies WorkerMessage)
port.on('message', ({ texts }: CountJob) => {
  for (;;) {
    if (texts[0] === 'HANG') continue
    if (texts[0] === 'CRASH') throw new Error('crashed')
    break
  }
  port.postMessage(
    (texts[0] === 'FAIL' ? { failed: true } : { counts: texts.map((text) => text.length) }) satisfies WorkerMessage,
  )
})
