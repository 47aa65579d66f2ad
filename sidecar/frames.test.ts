import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { captureSchema } from './capture.ts'
import { MAX_BATCH_ENTRIES, readBatch } from './capture-batch.ts'
import { readFrames } from './frames.ts'
import { makeCapture } from './testing/make-capture.ts'

const head = { v: 2, plugin: { version: 'tap', instance: 'e1' }, acknowledged: [], errors: [] }
const line = (json: unknown) => Buffer.from(`${JSON.stringify(json)}\n`)
interface Parts {
  request: Uint8Array
  response: Uint8Array
  tail: Uint8Array
}
function frame(n: number, { request, response, tail }: Parts): Buffer {
  const { request_body: _q, response_body: _r, response_tail: _t, ...capture } = makeCapture({ n })
  const bodies = [request.length, response.length, tail.length]
  return Buffer.concat([line({ ...capture, bodies }), request, response, tail])
}
const base64 = (bytes: Uint8Array) => (bytes.length === 0 ? undefined : Buffer.from(bytes).toString('base64'))
const bytes = fc.uint8Array({ maxLength: 300 })
const parts = fc.record({ request: bytes, response: bytes, tail: bytes })

describe('frames', () => {
  it('whatever bytes the bodies are, give what the same batch as JSON gives', () => {
    const entry = fc.oneof(
      parts,
      fc.record({ tombstone: fc.constantFrom('queue_full', 'too_large'), count: fc.integer({ min: 1, max: 9 }) }),
    )
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
        const frames: Buffer[] = []
        const captures: unknown[] = []
        entries.forEach((one, index) => {
          const n = index * 10 + 1
          if ('tombstone' in one) {
            const tombstone = { v: 2, ...one, epoch: 'e1', sequence: n, node: 'n' }
            frames.push(line(tombstone))
            captures.push(tombstone)
          } else {
            frames.push(frame(n, one))
            const { request_body: _q, response_body: _r, response_tail: _t, ...capture } = makeCapture({ n })
            const bodies = { request_body: base64(one.request), response_body: base64(one.response) }
            captures.push(JSON.parse(JSON.stringify({ ...capture, ...bodies, response_tail: base64(one.tail) })))
          }
        })
        const batch = readFrames(Buffer.concat([line(head), ...frames]))
        expect(batch).toEqual(readBatch({ ...head, captures }))
        if ('problem' in batch) throw new Error(batch.problem.message)
        for (const one of batch.entries) if (one !== undefined) captureSchema.parse(one)
      }),
    )
  })

  it('cut anywhere or changed anywhere: never throws, never more than came, and an end that is missing is seen', () => {
    const whole = Buffer.concat([
      line(head),
      ...[1, 2, 3].map((n) =>
        frame(n, { request: Buffer.from('{}'), response: Buffer.alloc(40, n), tail: Buffer.from('\n{"v":2}\n') }),
      ),
    ])
    const ends = new Set<number>()
    let at = line(head).length
    for (const n of [1, 2, 3]) {
      ends.add(at)
      at += frame(n, {
        request: Buffer.from('{}'),
        response: Buffer.alloc(40, n),
        tail: Buffer.from('\n{"v":2}\n'),
      }).length
    }
    for (let cut = 0; cut < whole.length; cut++) {
      const batch = readFrames(whole.subarray(0, cut))
      expect('problem' in batch, `cut at ${cut}`).toBe(!ends.has(cut))
    }
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (position, byte) => {
        const changed = Buffer.from(whole)
        changed[position] = byte
        const batch = readFrames(changed)
        if ('problem' in batch) return
        const kept = batch.entries.reduce<number>((sum, one) => sum + JSON.stringify(one ?? '').length, 0)
        expect(kept).toBeLessThan(whole.length * 2)
      }),
      { numRuns: 400 },
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (any) => void readFrames(Buffer.from(any))))
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['no line', Buffer.from('{}')],
    ['a first line that is a list', Buffer.from('[]\n')],
    ['another version', line({ ...head, v: 3 })],
    ['a length that is none', Buffer.concat([line(head), line({ bodies: [-1] })])],
    ['a length beyond 2^53', Buffer.concat([line(head), Buffer.from('{"bodies":[9007199254740993]}\n')])],
    ['four bodies', Buffer.concat([line(head), line({ bodies: [0, 0, 0, 0] })])],
    ['a line that is not UTF-8', Buffer.concat([line(head), Buffer.from([0x22, 0xff, 0x22, 0x0a])])],
    ['deep JSON', Buffer.concat([line(head), Buffer.from(`${'['.repeat(100)}${']'.repeat(100)}\n`)])],
    ['a line without end', Buffer.concat([line(head), Buffer.alloc(3 * 1024 * 1024, 0x20)])],
    ['a line too long', Buffer.concat([line(head), Buffer.alloc(3 * 1024 * 1024, 0x20), Buffer.from('\n')])],
    ['too many', Buffer.concat([line(head), Buffer.from('1\n'.repeat(MAX_BATCH_ENTRIES + 1))])],
  ])('%s is a problem', (_what, batch) => {
    expect(readFrames(batch)).toHaveProperty('problem')
  })

  it('an entry that is no capture harms only itself', () => {
    const good = frame(2, { request: Buffer.from('a'), response: Buffer.from('b'), tail: Buffer.alloc(0) })
    const batch = readFrames(Buffer.concat([line(head), line('x'), good, line(null)]))
    if ('problem' in batch) throw new Error(batch.problem.message)
    expect(batch.entries).toHaveLength(3)
    expect(captureSchema.safeParse(batch.entries[1]).success).toBe(true)
  })
})
