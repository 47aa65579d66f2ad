import type { AttributeValue } from '@opentelemetry/api'

/** Takes the attributes of one span or event, in order, each name once. What is absent stays absent. */
export type SetAttribute = (name: string, value: AttributeValue | undefined | null) => void

/** As the protocol numbers them. */
export const SPAN_KIND = { internal: 1, client: 3 } as const
export const STATUS_CODE = { unset: 0, error: 2 } as const
/** Sampled, and a parent that is told to be remote or not. */
export const FLAGS = { local: 0x101, remote: 0x301 } as const
/** Resource of all spans, and their scope where a sink asks for no other. */
export const SERVICE = 'kong-llm-observer'
/** Names of attributes that a writer remembers: names of metadata can be an application's own, and are without end. */
export const MAX_NAMES = 1000

export interface SpanHead {
  /** 32 and 16 hex digits in lower case. */
  traceId: string
  spanId: string
  parentSpanId: string | undefined
  parentIsRemote: boolean
  name: string
  kind: (typeof SPAN_KIND)[keyof typeof SPAN_KIND]
  /** Epoch milliseconds, fractions down to a microsecond. */
  start: number
  end: number
  /** What went wrong; absent: nothing. */
  error: string | undefined
}

export interface SpanEvent {
  name: string
  /** Epoch milliseconds. */
  at: number
  setAttributes(set: SetAttribute): void
}

/**
 * Spans written straight into the bytes of one OTLP request: begin, then for each span open, set …, close, then end.
 * Byte for byte what @opentelemetry/otlp-transformer makes of the same spans; span-writer.test.ts compares them.
 */
export interface SpanWriter {
  begin(): void
  open(head: SpanHead): void
  set: SetAttribute
  /** An attribute whose value is JSON, in pieces of which each is escaped already. JSON writers have it. */
  setEscaped?(name: string, pieces: readonly string[]): void
  /** Attributes that several spans of this request share: written now, and again by `repeat`. JSON writers have both. */
  block?(write: () => void): AttributeBlock
  repeat?(block: AttributeBlock): void
  close(events: readonly SpanEvent[]): void
  end(): Buffer
}

/** Where attributes stand in the bytes of the request, and how many they are. */
export interface AttributeBlock {
  from: number
  to: number
  attributes: number
}

/** Whole microseconds: what a time is rounded to. */
export function microsecondsOf(milliseconds: number): number {
  return Math.round(milliseconds * 1000)
}
