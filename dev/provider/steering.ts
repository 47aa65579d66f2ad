import type { IncomingHttpHeaders } from 'node:http'

/**
 * What a request asks of the mock, by its headers:
 * `x-mock-status`          answer with this error (`429`, or with a code of the provider's: `429 insufficient_quota`)
 * `x-mock-latency-ms`      wait before the first byte
 * `x-mock-chunk-delay-ms`  wait before each further chunk of a stream
 * `x-mock-chunks`          how many pieces the text of a stream comes in
 * `x-mock-output-tokens`   how many tokens the answer has, reasoning included
 * `x-mock-finish`          how it ends: `length`, `content_filter`, `refusal`, `stop_sequence`, `pause_turn`
 * `x-mock-service-tier`    the tier that served it, whatever the request asked for
 * `x-mock-fail`            `reset` closes the connection half way, `error-event` sends the dialect's error event there
 * `x-mock-encoding`        `gzip`, `deflate` or `br`, unless the request's accept-encoding leaves it out
 * `x-mock-cache`           `1`: answer from the cache in front (the path prefix `/cached` does the same)
 * `x-mock-replay`          the id of a recorded exchange: answer with its status, headers and very bytes
 */
export interface Steering {
  status?: number
  errorCode?: string
  latencyMs?: number
  chunkDelayMs?: number
  chunks?: number
  outputTokens?: number
  finish?: Finish
  serviceTier?: string
  fail?: 'reset' | 'error-event'
  encoding?: Encoding
  cache: boolean
  replay?: string
}
export const FINISHES = ['stop', 'length', 'content_filter', 'refusal', 'stop_sequence', 'pause_turn'] as const
export type Finish = (typeof FINISHES)[number]
export const ENCODINGS = ['gzip', 'deflate', 'br'] as const
export type Encoding = (typeof ENCODINGS)[number]

/** A header that cannot be obeyed is an error of the test's, and said so: `{ refused }`. */
export function readSteering(headers: IncomingHttpHeaders): Steering | { refused: string } {
  const steering: Steering = { cache: false }
  let refused: string | undefined
  const text = (name: string): string | undefined => {
    const value = headers[name]
    return typeof value === 'string' ? value : undefined
  }
  const integer = (name: string, min: number, max: number): number | undefined => {
    const value = text(name)
    if (value === undefined) return undefined
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    if (number >= min && number <= max) return number
    refused ??= `${name}: "${value}" is not an integer from ${min} to ${max}`
    return undefined
  }
  const oneOf = <T extends string>(name: string, allowed: readonly T[]): T | undefined => {
    const value = text(name)
    if (value === undefined) return undefined
    const found = allowed.find((item) => item === value)
    if (found === undefined) refused ??= `${name}: "${value}" is none of ${allowed.join(', ')}`
    return found
  }
  const set = <K extends keyof Steering>(key: K, value: Steering[K] | undefined): void => {
    if (value !== undefined) steering[key] = value
  }

  const status = /^(\d{3})(?: (\w+))?$/.exec(text('x-mock-status') ?? '')
  if (status && Number(status[1]) >= 400 && Number(status[1]) <= 599) {
    steering.status = Number(status[1])
    set('errorCode', status[2])
  } else if (text('x-mock-status') !== undefined) {
    refused = `x-mock-status: "${text('x-mock-status')}" is not a status from 400 to 599`
  }
  set('latencyMs', integer('x-mock-latency-ms', 0, 600_000))
  set('chunkDelayMs', integer('x-mock-chunk-delay-ms', 0, 600_000))
  set('chunks', integer('x-mock-chunks', 1, 100_000))
  set('outputTokens', integer('x-mock-output-tokens', 1, 1_000_000))
  set('finish', oneOf('x-mock-finish', FINISHES))
  set('serviceTier', text('x-mock-service-tier'))
  set('fail', oneOf('x-mock-fail', ['reset', 'error-event'] as const))
  set('replay', text('x-mock-replay'))
  steering.cache = oneOf('x-mock-cache', ['1'] as const) === '1'

  const encoding = oneOf('x-mock-encoding', ENCODINGS)
  const accepted = text('accept-encoding')
  if (encoding !== undefined && (accepted === undefined || accepted === '*' || accepted.includes(encoding)))
    steering.encoding = encoding
  return refused === undefined ? steering : { refused }
}
