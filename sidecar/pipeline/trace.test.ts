import { describe, expect, it } from 'vitest'
import { makeCapture } from '../testing/make-capture.ts'
import { callId, remoteSpan, traceOf, traceOfKong } from './trace.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const id = callId('node-1', 'request-1', 1_795_419_012_319)

describe('the call id', () => {
  it('is the same for the same request, another for any other part', () => {
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(callId('node-1', 'request-1', 1_795_419_012_319)).toBe(id)
    expect(callId('node-2', 'request-1', 1_795_419_012_319)).not.toBe(id)
    expect(callId('node-1', 'request-2', 1_795_419_012_319)).not.toBe(id)
    expect(callId('node-1', 'request-1', 1_795_419_012_320)).not.toBe(id)
    expect(callId('a', 'bc', 1)).not.toBe(callId('ab', 'c', 1))
  })
})

const w3c = `00-${TRACE}-${SPAN}-01`
const caller = { traceId: TRACE, spanId: SPAN }

describe('the trace', () => {
  it('is the caller’s on a trusted route', () => {
    const trace = traceOf(id, 'blue', { caller, trusted: true })
    expect(trace).toEqual({
      traceId: TRACE,
      parentSpanId: SPAN,
      parentBy: 'caller',
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    })
  })

  it('elsewhere is one of the tenant’s own: no one writes into another’s trace', () => {
    const blue = traceOf(id, 'blue', { caller, trusted: false })
    expect(blue).toMatchObject({ originalTraceId: TRACE })
    expect(blue.traceId).not.toBe(TRACE)
    expect(blue).not.toHaveProperty('parentSpanId')
    const other = callId('node-1', 'request-2', 1)
    expect(traceOf(other, 'blue', { caller, trusted: false }).traceId).toBe(blue.traceId)
    expect(traceOf(id, 'red', { caller, trusted: false }).traceId).not.toBe(blue.traceId)
  })

  it('without a caller is the call’s own', () => {
    const trace = traceOf(id, 'blue', { caller: undefined, trusted: true })
    expect(Object.keys(trace).sort()).toEqual(['spanId', 'traceId'])
    expect(trace).toEqual(traceOf(id, 'red', { caller: undefined, trusted: false }))
  })

  it('is Kong’s where Kong began one, whatever the route', () => {
    const kong = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) }
    const trace = traceOf(id, 'blue', { caller: kong, trusted: false, kong })
    expect(trace).toMatchObject({ traceId: kong.traceId, parentSpanId: kong.spanId })
    expect(trace).not.toHaveProperty('originalTraceId')
  })
})

describe('the caller’s span', () => {
  const LOW = TRACE.slice(16)
  it.each<[string, Record<string, string>, object]>([
    ['W3C', { traceparent: w3c }, caller],
    ['W3C of a later version that goes on', { traceparent: `cc-${TRACE}-${SPAN}-01-what-follows` }, caller],
    ['B3 in one header', { b3: `${TRACE}-${SPAN}-1-05e3ac9a4f6e3b90` }, caller],
    ['B3 of 64 bits', { b3: `${LOW}-${SPAN}` }, { traceId: LOW.padStart(32, '0'), spanId: SPAN }],
    [
      'B3 in several headers',
      { 'x-b3-traceid': TRACE.toUpperCase(), 'x-b3-spanid': SPAN, 'x-b3-sampled': '0' },
      caller,
    ],
    ['W3C before B3', { traceparent: w3c, b3: `${'c'.repeat(32)}-${'d'.repeat(16)}-1` }, caller],
  ])('%s', (_name, headers, expected) => expect(remoteSpan(headers)).toEqual(expected))

  it.each<Record<string, string>>([
    {},
    { traceparent: '' },
    { traceparent: 'garbage' },
    { traceparent: `ff-${TRACE}-${SPAN}-01` },
    { traceparent: `00-${TRACE}-${SPAN}-01-more` },
    { traceparent: `00-${'0'.repeat(32)}-${SPAN}-01` },
    { traceparent: `00-${TRACE}-${'0'.repeat(16)}-01` },
    { traceparent: `00-${TRACE.toUpperCase()}-${SPAN}-01` },
    { traceparent: `${w3c}, ${w3c}` },
    { b3: '0' },
    { b3: `${TRACE}-${SPAN.slice(1)}` },
    { 'x-b3-traceid': TRACE },
    { 'x-b3-traceid': TRACE, 'x-b3-spanid': 'x' },
  ])('is none in %j', (headers) => expect(remoteSpan(headers)).toBeUndefined())
})

describe('Kong’s own trace', () => {
  const given = (trace_id: object, client_trace: string | undefined) =>
    makeCapture({ log: { trace_id: trace_id as Record<string, unknown> }, capture: { client_trace } })

  it('is one that Kong began: the client had sent none, or another', () => {
    expect(traceOfKong(given({ w3c: TRACE }, ''), { traceparent: w3c })).toEqual(caller)
    expect(traceOfKong(given({ w3c: TRACE }, `00-${'c'.repeat(32)}-${SPAN}-01`), {})).toEqual({ traceId: TRACE })
    expect(traceOfKong(given({ b3: TRACE.slice(16) }, ''), {})).toEqual({ traceId: TRACE.slice(16).padStart(32, '0') })
  })

  it('is none that the client chose, that nobody saw come, or that is no id', () => {
    expect(traceOfKong(given({ w3c: TRACE }, w3c), { traceparent: w3c })).toBeUndefined()
    expect(
      traceOfKong(given({ w3c: TRACE.slice(16).padStart(32, '0') }, `${TRACE.slice(16)}-${SPAN}`), {}),
    ).toBeUndefined()
    expect(traceOfKong(given({ w3c: TRACE }, undefined), { traceparent: w3c })).toBeUndefined()
    // Kong takes over a trace from any of these (propagation.extract), and may write it on as W3C.
    for (const header of [
      `${TRACE}:${SPAN}:0:1`,
      `1-${TRACE.slice(0, 8)}-${TRACE.slice(8)}`,
      `Root=1-${TRACE.slice(0, 8)}-${TRACE.slice(8)};Parent=${SPAN};Sampled=1`,
      `${TRACE}/1;o=1`,
      BigInt(`0x${TRACE}`).toString(),
      BigInt(`0x${TRACE.slice(16)}`).toString(),
    ])
      expect(traceOfKong(given({ w3c: TRACE }, ` 00-x ${header}`), { traceparent: w3c }), header).toBeUndefined()
    expect(traceOfKong(given({ w3c: '0'.repeat(17) + TRACE.slice(17) }, `${TRACE.slice(17)}:${SPAN}:0:1`), {})).toBe(
      undefined,
    )
    for (const named of [{}, { w3c: 1 }, { w3c: 'x' }, { w3c: '0'.repeat(32) }, { datadog: '123' }])
      expect(traceOfKong(given(named, ''), {})).toBeUndefined()
  })
})
