import { createHash } from 'node:crypto'
import type { Answer } from './answer.ts'

const TTL_SECONDS = 300
const MAX_ENTRIES = 10_000

interface Entry {
  answer: Answer
  storedAt: number
}

export interface ResponseCache {
  /** The answer to the same body on the same path, from the cache where it was given before. Only successes are kept. */
  through(path: string, body: Buffer, now: number, make: () => Answer): { answer: Answer; hit: boolean }
}

/**
 * Stands for the gateway's semantic cache, with an exact match in place of a similar one. On a hit the body comes again
 * as it was, its usage included, as Kong's cache replays it; but nothing is billed.
 */
export function responseCache(): ResponseCache {
  const entries = new Map<string, Entry>()
  return {
    through(path, body, now, make) {
      const key = createHash('sha256').update(path).update('\0').update(body).digest('hex')
      const found = entries.get(key)
      const age = found === undefined ? 0 : Math.floor((now - found.storedAt) / 1000)
      if (found !== undefined && age < TTL_SECONDS) {
        const headers = {
          'content-type': found.answer.headers['content-type'] ?? 'application/json',
          'x-cache-status': 'Hit',
          'x-cache-key': key,
          'x-cache-ttl': String(TTL_SECONDS),
          age: String(age),
        }
        return { answer: { ...found.answer, headers, billed: {} }, hit: true }
      }
      const answer = make()
      if (answer.status === 200 && answer.cut === undefined) {
        entries.delete(key)
        entries.set(key, { answer, storedAt: now })
        if (entries.size > MAX_ENTRIES) entries.delete(entries.keys().next().value!)
      }
      return {
        answer: { ...answer, headers: { ...answer.headers, 'x-cache-status': 'Miss', 'x-cache-key': key } },
        hit: false,
      }
    },
  }
}
