import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BENCH_TEXTS, DEFAULT_LOAD, makeBenchCaptures } from '../bench/bench-capture.ts'
import { pickLogDocument } from '../plugin/log-document.ts'
import { captureSchema } from './capture.ts'
import { plainCapture } from './plain-capture.ts'
import { makeCapture } from './testing/make-capture.ts'

const LOGS = join(import.meta.dirname, '../../shared/data/kong-3.9.3-logs')
if (!existsSync(LOGS) && !process.env.CI)
  process.stderr.write(`plain-capture.test.ts: ${LOGS} is not here, its logs are not looked at\n`)

function throughJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown
}

/** Accepted ⇒ the schema takes it too, and gives back the same. */
function expectNoContradiction(value: unknown): boolean {
  const before = JSON.stringify(value)
  const plain = plainCapture(value)
  expect(JSON.stringify(value)).toBe(before)
  if (plain === undefined) return false
  const parsed = captureSchema.safeParse(value)
  expect(parsed.error?.issues).toBeUndefined()
  expect(plain).toEqual(parsed.data)
  // As JSON they have the same members too: toEqual takes an undefined one for none.
  expect(Object.keys(plain).sort()).toEqual(Object.keys(parsed.data!).sort())
  return true
}

/** A capture with one thing changed: a member of any depth set, added or taken away. */
const strange = fc.oneof(
  fc.jsonValue(),
  fc.string({ minLength: 120, maxLength: 300 }),
  fc.constantFrom<unknown>(
    0,
    -1,
    1.5,
    '1',
    '',
    'on',
    'tap',
    Number.POSITIVE_INFINITY,
    2 ** 53,
    [],
    {},
    [[]],
    { a: 1 },
    null,
    true,
    ['a', 1],
  ),
)
const path = fc.array(fc.nat(30), { maxLength: 4 })
const change = fc.record({
  path,
  name: fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'x')),
  value: strange,
  kind: fc.constantFrom('set', 'set', 'add', 'delete'),
})

function changed(
  original: unknown,
  { path, name, value, kind }: { path: number[]; name: string; value: unknown; kind: string },
) {
  const copy = throughJson(original)
  let at = copy as Record<string, unknown>
  let last: [Record<string, unknown>, string] | undefined
  for (const step of path) {
    if (at === null || typeof at !== 'object') break
    const keys = Object.keys(at)
    if (keys.length === 0) break
    const key = keys[step % keys.length]!
    last = [at, key]
    at = at[key] as Record<string, unknown>
  }
  if (kind === 'add' && at !== null && typeof at === 'object' && !Array.isArray(at))
    Object.defineProperty(at, name, { value, enumerable: true, configurable: true, writable: true })
  else if (last !== undefined && kind === 'delete' && !Array.isArray(last[0])) delete last[0][last[1]]
  else if (last !== undefined) last[0][last[1]] = value
  return copy
}

const captures = [
  makeCapture(),
  makeCapture({ capture: { jwt_payload: 'e30', client_trace: '', scope: 'global', worker: 0, tap_errors: 2 } }),
  makeCapture({
    log: {
      trace_id: { w3c: 'ab'.repeat(16) },
      authenticated_entity: { id: 'c1' },
      ai: { proxy: { usage: { total_tokens: 1 } } },
      upstream_status: 200,
      correlation_id: 7,
    },
  }),
  makeCapture({ log: { consumer: null, tries: [], service: null } }),
]

describe('a plain capture', () => {
  it.each(BENCH_TEXTS)('is each one of the bench, %s', (text) => {
    const captureOf = makeBenchCaptures({ ...DEFAULT_LOAD, text, chunks: 3 })
    for (let n = 1; n <= 20; n++) expect(expectNoContradiction(throughJson(captureOf(n)))).toBe(true)
  })

  it.each(captures.map((capture, index) => [index, capture] as const))(
    'number %i, with what is optional',
    (_n, capture) => expect(expectNoContradiction(throughJson(capture))).toBe(true),
  )

  it.skipIf(!existsSync(LOGS) && !process.env.CI)('has the log of a real Kong, as the plugin picks it', () => {
    const picked = readdirSync(LOGS)
      .filter((name) => name.endsWith('.json'))
      .map((name) => pickLogDocument(JSON.parse(readFileSync(join(LOGS, name), 'utf8'))))
      .filter((log) => log !== undefined)
    expect(picked.length).toBeGreaterThan(10)
    for (const log of picked) expect(expectNoContradiction(throughJson({ ...makeCapture(), log }))).toBe(true)
  })

  it.each([
    ['a member that the schema drops', { ...makeCapture(), more: 1 }],
    ['one deeper down', makeCapture({ log: { request: { ...makeCapture().log.request, url: 'x' } as never } })],
    [
      'a size as text, which becomes a number',
      makeCapture({ log: { request: { ...makeCapture().log.request, size: '7' as never } } }),
    ],
    ['an empty table where a list is meant', makeCapture({ log: { tries: {} as never } })],
    [
      'an empty list where headers are meant',
      makeCapture({ log: { request: { ...makeCapture().log.request, headers: [] as never } } }),
    ],
    ['no node', { ...makeCapture(), node: '' }],
    ['another version', { ...makeCapture(), v: 99 }],
    ['nothing', undefined],
    ['a list', [makeCapture()]],
  ])('is none with %s', (_what, value) => expect(plainCapture(value)).toBeUndefined())

  it('is never one that the schema refuses or changes', () => {
    let accepted = 0
    fc.assert(
      fc.property(fc.constantFrom(...captures), fc.array(change, { maxLength: 3 }), (capture, changes) => {
        if (expectNoContradiction(changes.reduce<unknown>(changed, throughJson(capture)))) accepted++
      }),
      { numRuns: 3000 },
    )
    // Neither all nor none: the property says something.
    expect(accepted).toBeGreaterThan(100)
    expect(accepted).toBeLessThan(2900)
  })
})
