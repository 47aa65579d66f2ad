import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { waitUntil } from '../../dev/wait-until.ts'
import { type Ledger, openLedger } from '../ledger/ledger.ts'
import { newReceiveCounters } from '../receive.ts'
import { LEDGER_READER, type Spool } from '../spool/spool.ts'
import { openSqliteSpool } from '../spool/sqlite.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeExemplars } from './exemplars.ts'
import { makeExposition } from './exposition.ts'

const OPENMETRICS = 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'

describe('exemplars', () => {
  const labelOf = (_kind: string, name: string) => name
  const labels = ['blue', 'openai', 'gpt-4o']
  const at = { tenant: 'blue', provider: 'openai', model: 'gpt-4o', startedAt: 1_700_000_000_000 }

  it('of each bucket the last call; first tokens of good answers only', () => {
    const exemplars = makeExemplars(() => true)
    const calls = [
      makeCall({ ...at, durationMs: 90, timeToFirstByteMs: 4 }, 1),
      makeCall({ ...at, durationMs: 80, status: 'server_error', timeToFirstByteMs: 4 }, 2),
      makeCall({ ...at, durationMs: 3000 }, 3),
    ]
    exemplars.note(calls, labelOf)
    expect(exemplars.of('latency', labels, 0)).toEqual({
      traceId: calls[1]!.trace.traceId,
      spanId: calls[1]!.trace.spanId,
      seconds: 0.08,
      at: at.startedAt + 80,
    })
    expect(exemplars.of('latency', labels, 4)?.traceId).toBe(calls[2]!.trace.traceId)
    expect(exemplars.of('latency', labels, 1)).toBeUndefined()
    expect(exemplars.of('first_token', labels, 1)?.traceId).toBe(calls[0]!.trace.traceId)
  })

  it('none of a repeated answer, and none whose span nobody keeps', () => {
    const exemplars = makeExemplars((call) => call.status !== 'ok')
    exemplars.note([makeCall({ ...at, durationMs: 90 }, 1)], labelOf)
    exemplars.note([makeCall({ ...at, durationMs: 90, status: 'timeout', repeat: true }, 2)], labelOf)
    expect(exemplars.of('latency', labels, 0)).toBeUndefined()
    exemplars.note([makeCall({ ...at, durationMs: 90, status: 'timeout' }, 3)], labelOf)
    expect(exemplars.of('latency', labels, 0)).toBeDefined()
  })
})

describe('OpenMetrics', () => {
  const folder = mkdtempSync(join(tmpdir(), 'exemplars-'))
  const stop = new AbortController()
  const calls = [
    makeCall({ tenant: 'blue', startedAt: Date.now() - 400, durationMs: 300, timeToFirstByteMs: 50 }, 1),
    makeCall({ tenant: 'ev"il\\ten\nant', startedAt: Date.now() - 4000, durationMs: 3000 }, 2),
  ]
  let spool: Spool
  let ledger: Ledger
  let exposition: ReturnType<typeof makeExposition>
  let following: Promise<void>

  beforeAll(async () => {
    spool = await openSqliteSpool({ file: join(folder, 'spool.db'), readers: [LEDGER_READER] })
    const exemplars = makeExemplars(() => true)
    ledger = await openLedger({
      file: join(folder, 'ledger.db'),
      labelLimits: { tenants: 10, models: 10 },
      gapGraceMs: 1000,
      onCounted: (counted) => exemplars.note(counted, ledger.labelOf),
    })
    following = ledger.follow(spool, stop.signal)
    await spool.append(calls)
    await waitUntil(async () => ledger.position === 2)
    exposition = makeExposition({
      ledger,
      spool,
      exemplars,
      receive: newReceiveCounters(),
      deliver: new Map(),
      book: { version: 'book@1', updated: '2026-01-01', stats: { loadedAt: 1000, reloads: 0, failures: 0 } },
    })
  })
  afterAll(async () => {
    stop.abort()
    await following
    exposition.close()
    await ledger.close()
    await spool.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('only where it is asked for; the same series with the same values', async () => {
    const { contentType, body: plain } = await exposition.render('text/plain')
    expect(contentType).toMatch(/^text\/plain/)
    expect(plain).not.toContain('trace_id')
    const open = await exposition.render(OPENMETRICS)
    expect(open.contentType).toMatch(/^application\/openmetrics-text/)
    expect(open.body.endsWith('\n# EOF\n')).toBe(true)
    expect(open.body).not.toContain('\n\n')
    expect(open.body).toContain('\n# TYPE llm_calls counter\n')
    const ledgerLines = (text: string) =>
      text.split('\n').flatMap((line) => (/^(llm|kong)_/.test(line) ? [line.split(' # {')[0]] : []))
    expect(ledgerLines(open.body)).toEqual(ledgerLines(plain))
  })
})
