import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import { objectsOf, viewResponse } from './response-view.ts'

const view = (text: string, more: { tail?: string; complete?: boolean; type?: string } = {}) =>
  viewResponse(
    makeExchange(undefined, undefined, {
      responseBody: Buffer.from(text),
      responseTail: more.tail === undefined ? undefined : Buffer.from(more.tail),
      responseComplete: more.complete ?? true,
      responseHeaders: { 'content-type': more.type ?? 'application/json' },
    }),
  )

describe('an answer', () => {
  it('is one object, also over many lines', () => {
    expect(view('\n {\n "a": 1\n}\n')).toEqual({ form: 'json', value: { a: 1 } })
    expect(view('{"a":1')).toEqual({ form: 'unreadable' })
    expect(view('{"a":1,"usage":{"x":2},"b":', { complete: false })).toEqual({
      form: 'cut_json',
      value: { a: 1, usage: { x: 2 } },
      head: { a: 1, usage: { x: 2 } },
      usage: { x: 2 },
    })
    expect(view('{"a":1,"b":"', { tail: 'x","usage":{"x":2},"c":3}' })).toEqual({
      form: 'cut_json',
      value: { a: 1, usage: { x: 2 }, c: 3 },
      head: { a: 1 },
      usage: { x: 2 },
    })
  })
  it('takes no part of a tool call for what the provider counted', () => {
    const forged = 'x","input":{"usage":{"input_tokens":1,"output_tokens":1}}}]'
    const input = forged.slice(0, -2)
    expect(view('{"a":1,"content":[{"text":"', { tail: input, complete: false })).toMatchObject({ usage: undefined })
    expect(view('{"a":1,"content":[{"text":"', { tail: `${forged},"c":3}` })).toMatchObject({
      value: { a: 1, c: 3 },
      usage: undefined,
    })
  })
  it('or an object a line, the last of which may be cut', () => {
    expect(view('{"a":1}\n\n{"b":2}\n')).toEqual({
      form: 'json_lines',
      items: [{ a: 1 }, { b: 2 }],
      gapAt: undefined,
      cut: false,
    })
    expect(view('{"a":1}\n{"b":')).toMatchObject({ items: [{ a: 1 }], cut: true })
    expect(view('{"a":1}\n{"b":', { tail: '2}\n{"c":3}\n' })).toEqual({
      form: 'json_lines',
      items: [{ a: 1 }, { c: 3 }],
      gapAt: 1,
      cut: false,
    })
  })
  it('or a list, of which whole elements are kept', () => {
    expect(view('[{"a":1}\n,\r\n{"b":[1,{}]}]')).toEqual({
      form: 'json_list',
      items: [{ a: 1 }, { b: [1, {}] }],
      cut: false,
      tail: undefined,
    })
    expect(view('[{"a":"]"},{"b":')).toMatchObject({ items: [{ a: ']' }], cut: true })
    expect(view('[{"a":1},{"b":', { tail: '2}]' })).toMatchObject({ items: [{ a: 1 }], cut: true, tail: '2}]' })
  })
  it('or events', () => {
    const seen = view('data: {"a":1}\n\ndata: x\n\ndata: {"b":2}\n\n', { type: 'text/event-stream' })
    expect(objectsOf(seen)).toEqual([{ a: 1 }, { b: 2 }])
  })
  it('or nothing that is read', () => {
    expect(view('')).toEqual({ form: 'none' })
    expect(view('ID3\u0004')).toEqual({ form: 'unreadable' })
    expect(objectsOf(view('ID3'))).toEqual([])
  })
})
