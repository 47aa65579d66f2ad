import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { multipartFields } from './multipart-fields.ts'

const TYPE = 'multipart/form-data; boundary="a b.c"'
const field = (name: string, value: string) =>
  `--a b.c\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file =
  '--a b.c\r\ncontent-disposition: form-data; name="file"; filename="x.mp3"\r\nContent-Type: audio/mpeg\r\n\r\nID3\u0000\r\n--not\r\n\r\n'
const body = Buffer.from(`${file}${field('model', 'whisper-1')}${field('prompt', 'Grüße\r\nzwei')}--a b.c--\r\n`)

describe('a form', () => {
  it('gives its texts, not its files', () => {
    expect(multipartFields(body, TYPE)).toEqual({ model: 'whisper-1', prompt: 'Grüße\r\nzwei' })
  })

  it('cut at any byte gives only fields that stand whole', () => {
    for (let cut = 0; cut <= body.length; cut++) {
      const fields = multipartFields(body.subarray(0, cut), TYPE)!
      expect(['whisper-1', undefined]).toContain(fields.model)
      expect(['Grüße\r\nzwei', undefined]).toContain(fields.prompt)
    }
  })

  it('without a boundary is none; a value without end, and names of ours, do no harm', () => {
    for (const type of [undefined, '', 'application/json', 'multipart/form-data', 'multipart/form-data; boundary='])
      expect(multipartFields(body, type)).toBeUndefined()
    const long = Buffer.from(`${field('prompt', 'x'.repeat(10_000))}${field('model', 'm')}--a b.c--`)
    expect(multipartFields(long, TYPE)).toEqual({ model: 'm' })
    expect(Object.getPrototypeOf(multipartFields(Buffer.from(`${field('__proto__', 'x')}--a b.c--`), TYPE))).toBe(
      Object.prototype,
    )
  })

  it('of any bytes never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (bytes, type) => void multipartFields(bytes, type)),
    )
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        (bytes) => void multipartFields(bytes, 'multipart/form-data; boundary=-'),
      ),
    )
  })
})
