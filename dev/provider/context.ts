import type { Random } from '../seeded-random.ts'
import type { Steering } from './steering.ts'

/** What a wire format needs to make an answer. It does no input or output of its own. */
export interface AnswerContext {
  /** Seeded by the request's body: the same body has the same numbers. */
  random: Random
  /** Unlike the numbers, ids are never given twice: one answer is billed once, by its id. */
  answerId: string
  /** Epoch milliseconds. */
  now: number
  steering: Steering
}
