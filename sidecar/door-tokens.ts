import { createHash, timingSafeEqual } from 'node:crypto'
import { isLoopback } from './loopback.ts'
import type { Secret } from './secret.ts'

/** intake: captures and totals. metrics: /metrics. api: readers of tenants' numbers. admin: tools that change what is stored. */
export const DOORS = ['intake', 'metrics', 'api', 'admin'] as const
export type Door = (typeof DOORS)[number]

export interface DoorSettings {
  host: string
  tokens: { readonly [D in Door]?: readonly Secret[] | 'open' | undefined }
}

export interface DoorTokens {
  /** Whether a request with this Authorization header may pass. */
  admits(door: Door, authorization: string | undefined): boolean
  /** Whether the door asks for no token at all. */
  isOpen(door: Door): boolean
  /** Other tokens from now on. Throws, and keeps those before, where one cannot be read. */
  use(settings: DoorSettings): void
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Tokens of the doors, as hashes. A door without a token is open where only this machine reaches it; elsewhere nobody
 * passes it, unless it is /metrics and is said to be `open` (the configuration demands a token for captures there).
 */
export function makeDoorTokens(settings: DoorSettings, environment: Environment): DoorTokens {
  let expected = hashesOf(settings, environment)
  return {
    admits(door, authorization) {
      const known = expected[door]
      return known === 'open' || tokenMatches(authorization, known)
    },
    isOpen: (door) => expected[door] === 'open',
    use(next) {
      expected = hashesOf(next, environment)
    },
  }
}

/** Whether `Authorization: Bearer …` bears one of these tokens. Takes as long for a wrong one as for a right one. */
export function tokenMatches(authorization: string | undefined, hashes: readonly Buffer[]): boolean {
  const given = hashOf(/^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '')
  let matches = false
  for (const hash of hashes) matches = timingSafeEqual(given, hash) || matches
  return matches
}

/** What is kept of a token. */
export function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function hashesOf({ host, tokens }: DoorSettings, environment: Environment): Record<Door, readonly Buffer[] | 'open'> {
  return Object.fromEntries(
    DOORS.map((door) => {
      const own = tokens[door]
      if (own === undefined) return [door, isLoopback(host) ? 'open' : []]
      return [door, own === 'open' ? own : own.map((token) => hashOf(token.reveal(environment)))]
    }),
  ) as Record<Door, readonly Buffer[] | 'open'>
}
