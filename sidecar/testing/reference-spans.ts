import { type Attributes, type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'
import {
  type SetAttribute,
  SPAN_KIND,
  type SpanEvent,
  type SpanHead,
  type SpanWriter,
} from '../exporters/span-writer.ts'

const COMMON = {
  resource: resourceFromAttributes({ 'service.name': 'kong-llm-observer' }),
  links: [],
  ended: true,
  droppedAttributesCount: 0,
  droppedEventsCount: 0,
  droppedLinksCount: 0,
}

/** The same spans as OpenTelemetry's own objects, written by its own serializer: what a span writer is held to. */
export function makeReferenceSpans(protocol: 'protobuf' | 'json', scope = 'kong-llm-observer'): SpanWriter {
  const serializer = protocol === 'protobuf' ? ProtobufTraceSerializer : JsonTraceSerializer
  let spans: ReadableSpan[] = []
  let head: SpanHead | undefined
  let attributes: Attributes = {}
  return {
    begin() {
      spans = []
    },
    open(given) {
      head = given
      attributes = {}
    },
    set(name, value) {
      if (value !== undefined && value !== null) attributes[name] = value
    },
    close(events) {
      // Copied: an object to which names were added one by one is slow to walk.
      spans.push(spanOf(head!, { ...attributes }, events, scope))
    },
    end: () => Buffer.from(serializer.serializeRequest(spans)!),
  }
}

function spanOf(head: SpanHead, attributes: Attributes, events: readonly SpanEvent[], scope: string): ReadableSpan {
  const { traceId, spanId, parentSpanId, parentIsRemote } = head
  const context = (id: string, isRemote: boolean) => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED, isRemote })
  return {
    ...COMMON,
    instrumentationScope: scopeOf(scope),
    name: head.name,
    kind: head.kind === SPAN_KIND.client ? SpanKind.CLIENT : SpanKind.INTERNAL,
    spanContext: () => context(spanId, false),
    ...(parentSpanId !== undefined && { parentSpanContext: context(parentSpanId, parentIsRemote) }),
    startTime: timeOf(head.start),
    endTime: timeOf(head.end),
    duration: [0, 0],
    status:
      head.error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: head.error },
    attributes,
    events: events.map(({ name, at, setAttributes }) => {
      const own: Attributes = {}
      setAttributes((key, value) => collect(own, key, value))
      return { name, time: timeOf(at), attributes: own }
    }),
  }
}

function collect(attributes: Attributes, name: string, value: Parameters<SetAttribute>[1]): void {
  if (value === undefined || value === null) return
  attributes[name] = value
}

/** Epoch milliseconds as seconds and nanoseconds. */
function timeOf(milliseconds: number): HrTime {
  const whole = Math.round(milliseconds * 1000)
  return [Math.floor(whole / 1_000_000), (whole % 1_000_000) * 1000]
}

/** One object for each name: the serializer groups spans by it. */
const scopes = new Map<string, { name: string }>()
function scopeOf(name: string): { name: string } {
  const scope = scopes.get(name) ?? { name }
  scopes.set(name, scope)
  return scope
}
