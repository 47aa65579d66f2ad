import type { DatabaseSync } from 'node:sqlite'
import type { LlmCall } from '../call.ts'
import { type ContentPolicyConfig, policyFor } from '../redaction/policy.ts'
import type { Log, SettleRequest } from './log.ts'
import { hasPerson, isOf, type Person, withoutPerson } from './person.ts'
import { type BodyPlace, bodyOf, callOf, makeBodyWalk } from './rewrite-bodies.ts'

/*
 * Erasure (docs/erasure.md), in this order:
 *
 *   mark     rows up to the last position are to be erased; from now on a dead letter of one is written without its person
 *   rewrite  slice by slice: log, then dead letters. Sinks that have not got a call still get it, without its person
 *   empty    the write-ahead log, which holds the pages as they were (store.ts, `checkpoint`)
 */
export interface EraseRequest {
  person: Person
  dryRun: boolean
  /** Absent: the first slice, which marks. */
  from?: ErasePlace | undefined
}
export interface ErasePlace extends BodyPlace {
  /** Rows behind it came later. */
  upTo: number
}
export interface ErasedSlice {
  /** Rows that wait for a sink, and dead letters, of which something was taken away. */
  rows: number
  letters: number
  /** Under legal hold: left as they are. */
  held: number
  /** Of the tenant, and not readable: given up, and counted as that. */
  damaged: number
  next?: ErasePlace
}

/** Marks are for pushes that are under way: older ones have ended. */
const MAX_MARKS = 1000

export function makeErasure(database: DatabaseSync, log: Log, policy: () => ContentPolicyConfig | undefined) {
  const walk = makeBodyWalk(database)
  let marks: { person: Person; upTo: number }[] = []
  const isHeld = (call: LlmCall) => {
    const now = policy()
    return now !== undefined && policyFor(call, undefined, now).legalHold
  }

  return {
    /** One slice, inside the caller's transaction. */
    erase({ person, dryRun, from }: EraseRequest): ErasedSlice {
      const { upTo, ...place } = from ?? { table: 'log' as const, after: 0, upTo: log.lastPosition }
      if (from === undefined && !dryRun) marks = [...marks, { person, upTo }].slice(-MAX_MARKS)
      const slice: ErasedSlice = { rows: 0, letters: 0, held: 0, damaged: 0 }
      const next = walk(place, upTo, (table, found) => {
        if (found.tenant !== person.tenant) return
        const call = found.call()
        if (call === undefined) {
          slice.damaged++
          if (dryRun) return
          if (table === 'log') log.setAside([found.id])
          else log.discard(found.id)
          return
        }
        if (!isOf(person, call) || !hasPerson(call)) return
        if (isHeld(call)) {
          slice.held++
          return
        }
        if (table === 'log') slice.rows++
        else slice.letters++
        if (!dryRun) log.rewrite(table, found.id, bodyOf(withoutPerson(call)))
      })
      if (next !== undefined) slice.next = { ...next, upTo }
      return slice
    },
    /** What a sink that read a call before it was erased says of it. */
    clean(request: SettleRequest): SettleRequest {
      if (marks.length === 0 || request.deadLetters.length === 0) return request
      return {
        ...request,
        deadLetters: request.deadLetters.map((letter) => {
          const of = marks.filter(({ person, upTo }) => person.tenant === letter.tenant && letter.position <= upTo)
          if (of.length === 0) return letter
          const call = callOf(letter.body)
          if (isHeld(call) || !of.some(({ person }) => isOf(person, call))) return letter
          return { ...letter, body: bodyOf(withoutPerson(call)) }
        }),
      }
    },
  }
}
