import { describe, expect, it } from 'vitest'
import { callId, traceOf } from './trace.ts'

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

describe('the trace', () => {
  it('is the caller’s on a trusted route', () => {
    const trace = traceOf(id, 'blue', `00-${TRACE}-${SPAN}-01`, true)
    expect(trace).toEqual({ traceId: TRACE, parentSpanId: SPAN, spanId: expect.stringMatching(/^[0-9a-f]{16}$/) })
  })

  it('elsewhere is one of the tenant’s own: no one writes into another’s trace', () => {
    const blue = traceOf(id, 'blue', `00-${TRACE}-${SPAN}-01`, false)
    expect(blue).toMatchObject({ originalTraceId: TRACE })
    expect(blue.traceId).not.toBe(TRACE)
    expect(blue).not.toHaveProperty('parentSpanId')
    const other = callId('node-1', 'request-2', 1)
    expect(traceOf(other, 'blue', `00-${TRACE}-${SPAN}-00`, false).traceId).toBe(blue.traceId)
    expect(traceOf(id, 'red', `00-${TRACE}-${SPAN}-01`, false).traceId).not.toBe(blue.traceId)
  })

  it.each([
    undefined,
    '',
    'garbage',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ])('of %s is the call’s own', (traceparent) => {
    const trace = traceOf(id, 'blue', traceparent, true)
    expect(trace).toEqual(traceOf(id, 'blue', undefined, true))
    expect(Object.keys(trace).sort()).toEqual(['spanId', 'traceId'])
  })

  it('takes a later version of the header that goes on', () => {
    expect(traceOf(id, 'blue', `cc-${TRACE}-${SPAN}-01-what-follows`, true).traceId).toBe(TRACE)
  })
})
