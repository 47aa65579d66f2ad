import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limitBodies } from './limit-bodies.ts'

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const bytesOf = (text: unknown) => Buffer.from((text as string | undefined) ?? '', 'base64')

describe('limit of bodies', () => {
  it('keeps a head of the request, head and tail of the response, never more than allowed', () => {
    const body = fc.uint8Array({ maxLength: 400 })
    fc.assert(
      fc.property(body, body, fc.option(body), fc.integer({ min: 30, max: 300 }), (request, response, tail, limit) => {
        const capture: Record<string, unknown> = {
          request_body: base64(request),
          response_body: base64(response),
          ...(tail === null ? {} : { response_tail: base64(tail) }),
        }
        limitBodies(capture, limit)
        const kept = bytesOf(capture.request_body)
        expect(kept).toEqual(Buffer.from(request).subarray(0, kept.length))
        const head = bytesOf(capture.response_body)
        const end = bytesOf(capture.response_tail)
        const wholeEnd = Buffer.from(tail === null || tail.length === 0 ? response : tail)
        expect(head).toEqual(Buffer.from(response).subarray(0, head.length))
        if (end.length > 0) expect(end).toEqual(wholeEnd.subarray(wholeEnd.length - end.length))
        // Up to two digits of padding are counted as bytes.
        for (const [before, after] of [
          [request.length, kept.length],
          [response.length + (tail?.length ?? 0), head.length + end.length],
        ] as const) {
          expect(after).toBeLessThanOrEqual(Math.max(limit, 0))
          if (before <= limit - 4) expect(after).toBe(before)
        }
      }),
    )
  })

  it('leaves a compressed response whole: without its middle it cannot be read', () => {
    const capture = {
      log: { response: { headers: { 'content-encoding': 'gzip' } } },
      response_body: base64(Buffer.alloc(1000)),
    }
    limitBodies(capture, 100)
    expect(bytesOf(capture.response_body)).toHaveLength(1000)
  })
})
