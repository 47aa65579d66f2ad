import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import protobuf from 'protobufjs'

export type AttributeValue = string | boolean | number | bigint | AttributeValue[]
export interface ReceivedSpan {
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  kind: number
  /** Nanoseconds. */
  start: bigint
  end: bigint
  statusCode: number
  statusMessage: string
  attributes: Map<string, AttributeValue>
  events: { name: string; attributes: Map<string, AttributeValue> }[]
}

const root = protobuf.parse(readFileSync(join(import.meta.dirname, 'otlp-trace.proto'), 'utf8'), {
  keepCase: true,
}).root
const requestType = root.lookupType('ExportTraceServiceRequest')

interface RawValue {
  string_value?: string
  bool_value?: boolean
  int_value?: string
  double_value?: number
  array_value?: { values?: RawValue[] }
}
interface RawAttribute {
  key: string
  value?: RawValue
}
interface RawSpan {
  trace_id?: string
  span_id?: string
  parent_span_id?: string
  name?: string
  kind?: number
  start_time_unix_nano?: string
  end_time_unix_nano?: string
  attributes?: RawAttribute[]
  events?: { name?: string; attributes?: RawAttribute[] }[]
  status?: { code?: number; message?: string }
}

/** Spans of an OTLP/protobuf request body. Integers stay exact. Throws on what is not one. */
export function decodeSpans(body: Uint8Array): ReceivedSpan[] {
  const decoded = requestType.toObject(requestType.decode(body), { longs: String, bytes: String }) as {
    resource_spans?: { scope_spans?: { spans?: RawSpan[] }[] }[]
  }
  const raw =
    decoded.resource_spans?.flatMap(({ scope_spans }) => scope_spans?.flatMap(({ spans }) => spans ?? []) ?? []) ?? []
  return raw.map((span) => ({
    traceId: hex(span.trace_id),
    spanId: hex(span.span_id),
    parentSpanId: hex(span.parent_span_id),
    name: span.name ?? '',
    kind: span.kind ?? 0,
    start: BigInt(span.start_time_unix_nano ?? 0),
    end: BigInt(span.end_time_unix_nano ?? 0),
    statusCode: span.status?.code ?? 0,
    statusMessage: span.status?.message ?? '',
    attributes: attributesOf(span.attributes),
    events: (span.events ?? []).map(({ name, attributes }) => ({
      name: name ?? '',
      attributes: attributesOf(attributes),
    })),
  }))
}

function hex(base64: string | undefined): string {
  return Buffer.from(base64 ?? '', 'base64').toString('hex')
}

function attributesOf(attributes: RawAttribute[] | undefined): Map<string, AttributeValue> {
  return new Map((attributes ?? []).map(({ key, value }) => [key, anyValue(value ?? {})]))
}

function anyValue(value: RawValue): AttributeValue {
  if (value.string_value !== undefined) return value.string_value
  if (value.bool_value !== undefined) return value.bool_value
  if (value.int_value !== undefined) return BigInt(value.int_value)
  if (value.double_value !== undefined) return value.double_value
  return (value.array_value?.values ?? []).map(anyValue)
}

/** The same of an OTLP/JSON body: ids in hex, 64-bit integers as text. */
export function decodeJsonSpans(body: Uint8Array): ReceivedSpan[] {
  const json = JSON.parse(new TextDecoder().decode(body)) as {
    resourceSpans: { scopeSpans: { spans: JsonSpan[] }[] }[]
  }
  return json.resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
    .map((span) => ({
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: span.parentSpanId ?? '',
      name: span.name,
      kind: span.kind,
      start: BigInt(span.startTimeUnixNano),
      end: BigInt(span.endTimeUnixNano),
      statusCode: span.status.code ?? 0,
      statusMessage: span.status.message ?? '',
      attributes: jsonAttributes(span.attributes),
      events: (span.events ?? []).map(({ name, attributes }) => ({ name, attributes: jsonAttributes(attributes) })),
    }))
}

interface JsonValue {
  stringValue?: string
  boolValue?: boolean
  intValue?: string | number
  doubleValue?: number
  arrayValue?: { values?: JsonValue[] }
}
interface JsonAttribute {
  key: string
  value: JsonValue
}
interface JsonSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  status: { code?: number; message?: string }
  attributes: JsonAttribute[]
  events?: { name: string; attributes: JsonAttribute[] }[]
}

function jsonAttributes(attributes: JsonAttribute[]): Map<string, AttributeValue> {
  return new Map(attributes.map(({ key, value }) => [key, jsonValue(value)]))
}

function jsonValue(value: JsonValue): AttributeValue {
  if (value.stringValue !== undefined) return value.stringValue
  if (value.boolValue !== undefined) return value.boolValue
  if (value.intValue !== undefined) return BigInt(value.intValue)
  if (value.doubleValue !== undefined) return value.doubleValue
  return (value.arrayValue?.values ?? []).map(jsonValue)
}
