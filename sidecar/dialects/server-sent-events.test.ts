import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { afterFirstBlankLine, parseServerSentEvents, type ServerSentEvent } from './server-sent-events.ts'

const data = (text: string | Uint8Array) => parseServerSentEvents(text).events.map((event) => event.data)

describe('parseServerSentEvents', () => {
  it.each(['\n', '\r\n', '\r'])('ends lines at %j', (end) => {
    const text = ['event: a', 'data: 1', '', 'data: 2', '', ''].join(end)
    expect(parseServerSentEvents(text)).toEqual({
      events: [
        { event: 'a', data: '1' },
        { event: 'message', data: '2' },
      ],
      unfinished: undefined,
    })
  })

  it('joins the lines of one event, takes off one space, keeps empty data', () => {
    expect(data('data: a\ndata:  b\ndata:c\ndata\n\ndata\n\n')).toEqual(['a\n b\nc\n', ''])
  })

  it('skips comments, unknown fields, events without data and a BOM', () => {
    expect(data('\uFEFF: OPENROUTER PROCESSING\n\nid: 7\nretry: 10\nevent: x\n\ndatas: no\ndata: yes\n\n')).toEqual([
      'yes',
    ])
    expect(data(Buffer.from('\uFEFFdata: 1\n\n'))).toEqual(['1'])
  })

  it('does not end a line at U+2028, U+2029, U+0085, form feed', () => {
    const text = 'a\u2028b\u2029c\u0085d\fe\vf'
    expect(data(`data: ${text}\n\n`)).toEqual([text])
  })

  it('dispatches nothing without a blank line, and says what was left', () => {
    expect(parseServerSentEvents('event: a\ndata: 1\n\ndata: {"x"')).toEqual({
      events: [{ event: 'a', data: '1' }],
      unfinished: { event: 'message', data: '{"x"' },
    })
  })

  it('reads back whatever was written, with any line ends and comments between', () => {
    const line = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replace(/[\r\n\uFEFF]/g, ''))
    const event = fc.record({
      event: line.filter((name) => name !== '' && !name.startsWith(' ')),
      lines: fc.array(line, { minLength: 1, maxLength: 4 }),
      end: fc.constantFrom('\n', '\r\n', '\r'),
      comment: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 6 }), (events) => {
        let text = ''
        for (const { event, lines, end, comment } of events) {
          if (comment) text += `: ${event}${end}`
          text += `event: ${event}${end}${lines.map((line) => `data: ${line}${end}`).join('')}${end}`
        }
        const expected: ServerSentEvent[] = events.map(({ event, lines }) => ({ event, data: lines.join('\n') }))
        expect(parseServerSentEvents(text).events).toEqual(expected)
      }),
    )
  })

  it('gives for every prefix a prefix of the events', () => {
    const text = ': c\r\nevent: a\r\ndata: 1\r\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\n\n'
    const whole = parseServerSentEvents(text).events
    for (let cut = 0; cut <= text.length; cut++) {
      const { events } = parseServerSentEvents(text.slice(0, cut))
      expect(events).toEqual(whole.slice(0, events.length))
    }
  })
})

it('finds the first blank line', () => {
  for (const blank of ['\n\n', '\r\n\r\n', '\r\r'])
    expect(afterFirstBlankLine(`cut${blank}data: 1`)).toBe(3 + blank.length)
  expect(afterFirstBlankLine('data: 1\ndata: 2\r\n')).toBe(-1)
})
