import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { openPriceBook } from '../pricing/open-price-book.ts'
import { langfuseSpans } from '../sidecar/exporters/langfuse.ts'
import { contentAttributes, makeSpan, standardAttributes } from '../sidecar/exporters/spans.ts'
import { attributionConfigSchema } from '../sidecar/pipeline/attribute.ts'
import { makeObserver } from '../sidecar/pipeline/observe.ts'
import { makeRedactor, redactionConfigSchema } from '../sidecar/redaction/redact.ts'
import { benchCapture } from './bench-capture.ts'

const BATCH = 100

export interface Yardstick {
  parseMicros: number
  appendMicros: number
  spansMicros: number
  totalMicros: number
}

/**
 * The bare cost of what cannot be avoided, per call of 4 KB content: JSON.parse of the capture, one row of a batch of
 * 100 appended durably to SQLite, two spans with content in protobuf. No queue, no validation, no price.
 */
export function measureYardstick(calls: number): Yardstick {
  const observe = makeObserver({
    book: openPriceBook(),
    attribution: attributionConfigSchema.parse({}),
    semanticCache: { rules: [] },
    redactor: makeRedactor(redactionConfigSchema.parse({})),
    providers: {},
    maxContentBytes: 65_536,
    content: true,
  })
  const captures = Array.from({ length: BATCH }, (_, n) => benchCapture(n))
  const texts = captures.map((capture) => JSON.stringify(capture))
  const observed = captures.map(observe)
  const bodies = observed.map((call) => JSON.stringify(call))
  const rounds = Math.ceil(calls / BATCH)

  const parseMicros = cpuMicrosPerCall(rounds, () => {
    for (const text of texts) JSON.parse(text)
  })
  const spansMicros = cpuMicrosPerCall(rounds, () => {
    const content = observed.map((call) =>
      makeSpan({ call, attributes: { ...standardAttributes(call), ...contentAttributes(call) } }),
    )
    ProtobufTraceSerializer.serializeRequest(content)
    ProtobufTraceSerializer.serializeRequest(
      observed.flatMap((call) => langfuseSpans(call, { environment: 'bench', release: undefined, content: true })),
    )
  })

  const directory = mkdtempSync(join(tmpdir(), 'yardstick-'))
  const database = new DatabaseSync(join(directory, 'log.db'))
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE log (position INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT',
  )
  const insert = database.prepare('INSERT INTO log (body) VALUES (?)')
  const appendMicros = cpuMicrosPerCall(rounds, () => {
    database.exec('BEGIN')
    for (const body of bodies) insert.run(body)
    database.exec('COMMIT')
  })
  database.close()
  rmSync(directory, { recursive: true, force: true })
  return { parseMicros, appendMicros, spansMicros, totalMicros: parseMicros + appendMicros + spansMicros }
}

function cpuMicrosPerCall(rounds: number, work: () => void): number {
  for (let round = 0; round < Math.min(rounds, 50); round++) work()
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / (rounds * BATCH)
}
