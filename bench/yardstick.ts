import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openPriceBook } from '../pricing/open-price-book.ts'
import { writeLangfuseSpans } from '../sidecar/exporters/langfuse-observation.ts'
import { headOf, setContentAttributes, setStandardAttributes } from '../sidecar/exporters/spans.ts'
import { attributionConfigSchema } from '../sidecar/pipeline/attribute.ts'
import { makeObserver } from '../sidecar/pipeline/observe.ts'
import { makeRedactor, redactionConfigSchema } from '../sidecar/redaction/redact.ts'
import { makeReferenceSpans } from '../sidecar/testing/reference-spans.ts'
import { type BenchText, DEFAULT_LOAD, makeBenchCaptures } from './bench-capture.ts'

const BATCH = 100
/** Rounds of a batch before the first measuring. */
const WARM_ROUNDS = 200

export interface Yardstick {
  parseMicros: number
  appendMicros: number
  spansMicros: number
  totalMicros: number
}

/**
 * The bare cost of what cannot be avoided, per call of 4 KB content: JSON.parse of the capture, one row of a batch of
 * 100 appended durably to SQLite, two spans with content in protobuf by OpenTelemetry's serializer. No queue, no
 * validation, no price. Made once for a text and then asked again and again: a shared machine is not as fast at all times.
 */
export function makeYardstick(text: BenchText): (calls: number) => Yardstick {
  const observe = makeObserver({
    book: openPriceBook(),
    attribution: attributionConfigSchema.parse({}),
    semanticCache: { rules: [] },
    redactor: makeRedactor(redactionConfigSchema.parse({})),
    providers: {},
    maxContentBytes: 65_536,
    content: true,
  })
  const captureOf = makeBenchCaptures({ ...DEFAULT_LOAD, text })
  const captures = Array.from({ length: BATCH }, (_, n) => captureOf(n + 1))
  const texts = captures.map((capture) => JSON.stringify(capture))
  const observed = captures.map(observe)
  const bodies = observed.map((call) => JSON.stringify(call))

  const parse = () => {
    for (const text of texts) JSON.parse(text)
  }
  const plain = makeReferenceSpans('protobuf')
  const langfuse = makeReferenceSpans('protobuf')
  const profile = { environment: 'bench', release: undefined, content: true }
  const spans = () => {
    plain.begin()
    langfuse.begin()
    for (const call of observed) {
      plain.open(headOf(call))
      setStandardAttributes(call, plain.set)
      setContentAttributes(call, plain.set)
      plain.close([])
      writeLangfuseSpans(call, profile, langfuse)
    }
    plain.end()
    langfuse.end()
  }
  for (let round = 0; round < WARM_ROUNDS; round++) {
    parse()
    spans()
  }
  return (calls) => {
    const rounds = Math.ceil(calls / BATCH)
    const parseMicros = cpuMicrosPerCall(rounds, parse)
    const spansMicros = cpuMicrosPerCall(rounds, spans)
    const appendMicros = appendMicrosPerCall(rounds, bodies)
    return { parseMicros, appendMicros, spansMicros, totalMicros: parseMicros + appendMicros + spansMicros }
  }
}

function appendMicrosPerCall(rounds: number, bodies: readonly string[]): number {
  const directory = mkdtempSync(join(tmpdir(), 'yardstick-'))
  const database = new DatabaseSync(join(directory, 'log.db'))
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE log (position INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT',
  )
  const insert = database.prepare('INSERT INTO log (body) VALUES (?)')
  const append = () => {
    database.exec('BEGIN')
    for (const body of bodies) insert.run(body)
    database.exec('COMMIT')
  }
  const micros = cpuMicrosPerCall(rounds, append)
  database.close()
  rmSync(directory, { recursive: true, force: true })
  return micros
}

function cpuMicrosPerCall(rounds: number, work: () => void): number {
  for (let round = 0; round < Math.min(rounds, 10); round++) work()
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / (rounds * BATCH)
}

/**
 * In a process of its own. Two texts in one process make each other's figure up to three times as large: what the
 * compiler has learnt of one kind of string it forgets at the other.
 */
export function yardstickApart(text: BenchText, calls: number): Yardstick {
  const told = execFileSync(process.execPath, [import.meta.filename, text, String(calls)], { encoding: 'utf8' })
  return JSON.parse(told) as Yardstick
}

if (import.meta.main)
  process.stdout.write(JSON.stringify(makeYardstick(process.argv[2] as BenchText)(Number(process.argv[3]))))
