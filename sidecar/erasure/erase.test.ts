import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startHttpSink } from '../../dev/sinks/http-sink.ts'
import { startLangfuseSink } from '../../dev/sinks/langfuse.ts'
import type { LlmCall } from '../call.ts'
import { type EraseCommand, parseCommandLine } from '../command-line.ts'
import { type Config, configSchema } from '../config.ts'
import { makeLogger } from '../logger.ts'
import { serve } from '../serve.ts'
import { backupStore } from '../store/backup.ts'
import { checkStore } from '../store/check.ts'
import { openStore } from '../store/store.ts'
import { makeCall } from '../testing/make-call.ts'
import { makeCapture } from '../testing/make-capture.ts'
import { writeOldStores } from '../testing/old-stores.ts'
import { rowsOf } from '../testing/write-store.ts'
import { erase, personOf } from './erase.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'erase-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const data = () => join(folder, 'data')
const file = () => join(data(), 'observer.db')
const wrong = (of = file()) => checkStore(of).flatMap((finding) => finding.wrong)
const configOf = (more: object = {}): Config => configSchema.parse({ listen: { port: 0 }, data: data(), ...more })
const command = (...more: string[]) => parseCommandLine(['erase', '--tenant', 'blue', ...more]) as EraseCommand

async function run(config: Config, wanted: EraseCommand): Promise<{ left: boolean; said: string }> {
  const lines: string[] = []
  const left = await erase(config, wanted, { environment: {}, say: (line) => lines.push(line) })
  return { left, said: lines.join('\n') }
}

/** What of a planted kind stands in the bytes of some file below the folder, and in which. One pass: files are large. */
function found(pattern: RegExp): { strings: Set<string>; files: Set<string> } {
  const strings = new Set<string>()
  const files = new Set<string>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!statSync(join(folder, name)).isFile()) continue
    for (const [text] of readFileSync(join(folder, name)).toString('latin1').matchAll(pattern)) {
      strings.add(text)
      files.add(name)
    }
  }
  return { strings, files }
}
const ERASED = /erased-[a-z]+-?\d*/g
/** Of everybody else: row by row as they were. */
const keptBodies = () =>
  Object.values(rowsOf(file(), 'log', 'dead_letters'))
    .flat()
    .map(({ body }) => Buffer.from(body as Uint8Array).toString())
    .filter((body) => body.includes('kept-prompt-'))

/** Prompts of any length: in a page, over several, and on pages of their own. */
const words = (n: number, who: string) => ({
  user: `${who}-user-${n % 7}`,
  session: `${who}-session-${n % 11}`,
  content: {
    input: [
      {
        role: 'user',
        parts: [{ type: 'text' as const, content: `${who}-prompt-${n}. ${'x'.repeat((n * 977) % 9000)}` }],
      },
    ],
    output: [{ role: 'assistant', parts: [{ type: 'text' as const, content: `${who}-answer-${n}.` }] }],
  },
  errorMessage: `${who}-error-${n}.`,
  consumer: `${who}-consumer`,
})
describe('the bytes of every file', () => {
  it('hold none of the strings that were planted after an erasure, and money is what it was', async () => {
    const N = 700
    const store = await openStore({ file: file0(), sinks: ['otlp', 'loki'] })
    for (let n = 0; n < N; n += 10) {
      const batch: LlmCall[] = []
      for (let i = n; i < n + 10; i++) {
        batch.push(makeCall({ tenant: 'blue', ...words(i, 'erased') }, 2 * i))
        batch.push(makeCall({ tenant: i % 2 === 0 ? 'blue' : 'green', ...words(i, 'kept') }, 2 * i + 1))
      }
      await store.append({ calls: batch })
    }
    // Some become dead letters, some are settled by both sinks and trimmed: pages are freed, split and merged.
    for (let round = 0; round < 6; round++)
      for (const sink of ['otlp', 'loki']) {
        const batch = (await store.read(sink, { calls: 100, bytes: 1e9 }, new AbortController().signal))!
        const letters = batch.entries.filter(({ position }) => position % 3 === 0)
        await store.settle(sink, {
          upTo: batch.upTo,
          outcomes: batch.entries.map(({ position, call: { tenant } }) =>
            position % 3 === 0
              ? { position, tenant, outcome: 'rejected', reason: 'http_400' }
              : { position, tenant, outcome: 'sent', reason: '' },
          ),
          deadLetters: letters.map((entry) => ({ entry, reason: 'http_400' })),
        })
      }
    await store.replay('loki')
    await store.close()
    await backupStore(data(), join(data(), 'backups', 'observer-20261128T000000Z.db'))
    const users = ['erased-user-0', 'erased-user-1', 'erased-user-2', 'erased-user-3', 'erased-user-4']
    const before = rowsOf(file(), 'cells', 'totals', 'calls', 'spend', 'counts', 'sink_counts')
    const kept = keptBodies()
    expect(kept.length).toBeGreaterThan(N / 2)
    expect(found(ERASED).strings.size).toBeGreaterThan(N)

    for (const user of [...users, 'erased-user-5', 'erased-user-6']) {
      const { left, said } = await run(configOf(), command('--user', user, '--backups', 'rewrite'))
      expect(left, said).toBe(false)
    }
    expect(found(ERASED)).toEqual({ strings: new Set(), files: new Set() })
    expect(keptBodies()).toEqual(kept)
    const after = rowsOf(file(), 'cells', 'totals', 'calls', 'spend', 'counts', 'sink_counts')
    expect(after).toEqual(before)
    expect(wrong()).toEqual([])
    expect(wrong(join(data(), 'backups', 'observer-20261128T000000Z.db'))).toEqual([])
  })
})

const file0 = () => {
  mkdirSync(data(), { recursive: true, mode: 0o700 })
  return file()
}

/** A store with calls of one user that wait for a sink. */
async function storeWith(calls: readonly LlmCall[]): Promise<void> {
  const store = await openStore({ file: file0(), sinks: ['otlp'] })
  await store.append({ calls })
  await store.close()
}
const bodies = () => rowsOf(file(), 'log').log!.map(({ body }) => Buffer.from(body as Uint8Array).toString())

describe('beside a running sidecar', () => {
  it('no file, log line or metric keeps what was planted; sinks get the call without its person; Langfuse forgets', async () => {
    const langfuse = await startLangfuseSink({
      ...{ publicKey: 'pk', secretKey: 'sk' },
      otherProjects: [{ publicKey: 'pk-blue', secretKey: 'sk-blue' }],
    })
    const received: string[] = []
    const otlp = await startHttpSink(0, ({ body }) => {
      received.push(body.toString('latin1'))
      return { status: 200, body: '{}', headers: { 'content-type': 'application/json' } }
    })
    otlp.setFault({ kind: 'status', status: 503 })
    const config = configOf({
      attribution: { users: 'all' },
      exporters: {
        otlp: { endpoint: otlp.url, protocol: 'json', content: true },
        langfuse: {
          ...{ url: langfuse.url, publicKey: 'pk', secretKey: 'sk' },
          tenants: { blue: { publicKey: 'pk-blue', secretKey: 'sk-blue' } },
        },
      },
    })
    const lines: string[] = []
    const log = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString())
        done()
      },
    })
    const sidecar = await serve(config, {
      logger: makeLogger('DEBUG', log),
      environment: {},
      onFatal(error) {
        throw error
      },
    })
    const send = async (user: string, from: number, to: number) => {
      const captures = Array.from({ length: to - from }, (_, i) =>
        makeCapture({
          n: from + i,
          requestBody: {
            ...{ model: 'gpt-4o', user: `${user}-person`, metadata: { session_id: `${user}-session` } },
            messages: [{ role: 'user', content: `${user}-prompt-${from + i}` }],
          },
        }),
      )
      const answer = await fetch(`${sidecar.url}/v1/captures`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ v: 1, plugin: { version: '0.1.0', instance: 't' }, dropped: [], captures }),
      })
      expect(answer.status).toBe(202)
    }
    await send('erased', 1, 21)
    await send('kept', 21, 41)
    await expect.poll(() => langfuse.observations().length, { timeout: 20_000 }).toBeGreaterThanOrEqual(40)
    const observations = langfuse.observations().length
    await backupStore(data(), join(data(), 'backups', 'observer-20261128T000000Z.db'))
    expect(found(ERASED).files).toContain(join('data', 'backups', 'observer-20261128T000000Z.db'))

    const dry = await run(config, command('--user', 'erased-person', '--dry-run'))
    expect(dry.said).toContain('store: 20 waiting calls and 0 dead letters would be rewritten')
    expect(dry.said).toContain('20 calls, would be rewritten or deleted')
    expect(dry.said).toContain('langfuse: 20 traces would be deleted')
    expect(langfuse.observations().length).toBe(observations)
    expect(found(ERASED).strings.size).toBe(20)
    const person = personOf(config, { tenant: 'blue', user: 'erased-person', session: 'erased-session' }, {})
    const stored = new RegExp([...person.users!, ...person.sessions!].join('|'), 'g')
    expect(found(stored).strings.size).toBe(2)

    const done = await run(config, command('--user', 'erased-person', '--backups', 'rewrite'))
    expect(done.left, done.said).toBe(false)
    expect(done.said).toContain('store: 20 waiting calls and 0 dead letters rewritten')
    expect(done.said).toContain('20 calls rewritten')
    // The sidecar runs: what it holds open is searched too.
    expect(found(ERASED)).toEqual({ strings: new Set(), files: new Set() })
    expect(found(stored).strings.size).toBe(0)
    expect(langfuse.observations().length).toBe(observations / 2)
    expect(
      langfuse
        .observations()
        .flatMap(({ attributes }) => [...attributes].map(String))
        .join(),
    ).not.toMatch(ERASED)
    const metrics = await (await fetch(`${sidecar.url}/metrics`)).text()
    expect(metrics).not.toMatch(ERASED)
    expect(metrics).toMatch(/llm_calls_total\{[^}]*\} 40/)

    // A sink that was away gets every call all the same. A push that was under way is not called back, and none is here.
    otlp.setFault(undefined)
    await expect.poll(() => received.join('').match(/kept-prompt-\d+/g)?.length ?? 0, { timeout: 30_000 }).toBe(20)
    await expect.poll(() => new Set(received.join('').match(/chatcmpl-\d+/g)).size, { timeout: 30_000 }).toBe(40)
    expect(received.join('')).not.toMatch(ERASED)
    await sidecar.close()
    expect(lines.join('')).not.toMatch(ERASED)
    expect(found(ERASED).strings.size).toBe(0)
    expect(wrong()).toEqual([])
    await langfuse.close()
    await otlp.close()
  })

  it('reads a Langfuse of version 3 by its list of traces, and says what one refuses', async () => {
    await storeWith([makeCall()])
    const langfuse = await startLangfuseSink({ publicKey: 'pk', secretKey: 'sk' })
    langfuse.setVersion(3)
    const config = configOf({ exporters: { langfuse: { url: langfuse.url, publicKey: 'pk', secretKey: 'sk' } } })
    expect(await run(config, command('--user', 'u', '--backups', 'rewrite'))).toMatchObject({
      left: false,
      said: expect.stringContaining('langfuse: 0 traces named for deletion'),
    })
    const other = configOf({ exporters: { langfuse: { url: langfuse.url, publicKey: 'pk', secretKey: 'no' } } })
    expect(await run(other, command('--user', 'u', '--backups', 'rewrite'))).toMatchObject({
      left: true,
      said: expect.stringMatching(/langfuse: NOT erased: .* answered 401/),
    })
    await langfuse.close()
  })
})

describe('what is erased', () => {
  const mine = (n: number, more: Partial<LlmCall> = {}) =>
    makeCall({ user: 'u', session: 's', consumer: 'c', ...more }, n)

  it('is the user of that tenant alone, or the session, or all of the tenant', async () => {
    await storeWith([mine(1), mine(2, { session: 't' }), mine(3, { user: 'v' }), mine(4, { tenant: 'green' })])
    const counts = async (...more: string[]) =>
      /store: (\d+)/.exec((await run(configOf(), command(...more, '--dry-run'))).said)![1]
    expect(await counts('--user', 'u')).toBe('2')
    expect(await counts('--session', 's')).toBe('2')
    expect(await counts('--user', 'u', '--session', 's')).toBe('1')
    expect(await counts()).toBe('3')
    expect(await counts('--user', 'nobody')).toBe('0')
  })

  it('is found by its plain name where a pseudonym is stored, and keeps what money needs', async () => {
    const config = configOf({ redaction: { key: 'k'.repeat(32) } })
    const [, stored] = personOf(config, { tenant: 'blue', user: 'Ann@Example.com' }, {}).users!
    expect(stored).toMatch(/^email_[a-z]{20}$/)
    await storeWith([mine(1, { user: stored!, agent: { protocol: 'mcp', target: 'read_mail', session: 'x' } })])
    const [before] = bodies().map((body) => JSON.parse(body) as LlmCall)
    await run(config, command('--user', 'ann@example.com', '--backups', 'rewrite'))
    const [after] = bodies().map((body) => JSON.parse(body) as LlmCall)
    const { user, session, consumer, content, agent, ...rest } = before!
    expect(after).toEqual({ ...rest, agent: { protocol: 'mcp' } })
    expect([user, session, consumer, content, agent].includes(undefined)).toBe(false)
    // Again: nothing is left to do.
    expect((await run(config, command('--backups', 'rewrite'))).said).toContain('store: 0 waiting calls and 0 dead')
    expect(wrong()).toEqual([])
  })

  it('is not a call under legal hold: it stays, and the command says so', async () => {
    await storeWith([mine(1), mine(2, { gateway: { node: 'n', source: 'tap', route: 'held' } })])
    await backupStore(data(), join(data(), 'backups', 'observer-20261128T000000Z.db'))
    const config = configOf({ redaction: { policy: { rules: [{ routes: ['held'], legalHold: true }] } } })
    const { left, said } = await run(config, command('--user', 'u', '--backups', 'delete'))
    expect(left).toBe(true)
    expect(said).toContain('store: 1 calls are under legal hold and stay as they are')
    expect(said).toContain('NOT deleted')
    expect(bodies().map((body) => body.includes('Say hello'))).toEqual([false, true])
    const again = await run(config, command('--user', 'u', '--backups', 'rewrite'))
    expect(again.said).toContain('1 calls rewritten')
    expect(again.said).toContain('backup copy')
    expect(wrong()).toEqual([])
  })

  it('is also what a sink buries that had read it before', async () => {
    const store = await openStore({ file: file0(), sinks: ['otlp'] })
    await store.append({ calls: [mine(1), mine(2, { user: 'v' })] })
    const batch = (await store.read('otlp', { calls: 10, bytes: 1e9 }, new AbortController().signal))!
    expect(await store.erase({ person: { tenant: 'blue', users: ['u'] }, dryRun: false })).toEqual({
      ...{ rows: 1, letters: 0, held: 0, damaged: 0 },
    })
    // Read anew, also of what stood in memory.
    const again = (await store.read('otlp', { calls: 10, bytes: 1e9 }, new AbortController().signal))!
    expect(again.entries.map(({ call }) => [call.user, call.content !== undefined])).toEqual([
      [undefined, false],
      ['v', true],
    ])
    await store.settle('otlp', {
      upTo: batch.upTo,
      outcomes: batch.entries.map(({ position }) => ({ position, tenant: 'blue', outcome: 'rejected', reason: 'x' })),
      deadLetters: batch.entries.map((entry) => ({ entry, reason: 'x' })),
    })
    const letters = await store.deadLetters(undefined, undefined, 10)
    expect(letters.map(({ call }) => [call?.user, call?.content !== undefined])).toEqual([
      [undefined, false],
      ['v', true],
    ])
    await store.close()
    expect(wrong()).toEqual([])
  })

  it('is a row that cannot be read: whose it is nobody can tell', async () => {
    await storeWith([mine(1), mine(2, { tenant: 'green' }), mine(3)])
    const database = new DatabaseSync(file())
    database.exec("UPDATE log SET body = CAST('erased-body-1' AS BLOB), bytes = 109 WHERE position < 3")
    database.exec("UPDATE state SET value = (SELECT sum(bytes) FROM log) WHERE name = 'log_bytes'")
    database.close()
    const { said } = await run(configOf(), command('--user', 'u', '--backups', 'rewrite'))
    expect(said).toContain('1 rows of the tenant cannot be read: given up and counted as damaged')
    expect(rowsOf(file(), 'log').log!.map(({ position }) => Number(position))).toEqual([2, 3])
    expect(wrong()).toEqual(['log 2: the body is not what was written'])
  })
})

describe('copies', () => {
  const old = () => {
    mkdirSync(join(data(), 'before-one-store'), { recursive: true })
    const stores = writeOldStores(join(data(), 'before-one-store'))
    const at = 1_795_419_012_318
    for (let n = 1; n <= 40; n++)
      stores.append(makeCall({ ...words(n, n % 2 === 0 ? 'erased' : 'kept'), user: n % 2 === 0 ? 'u' : 'v' }, n), {
        at,
      })
    // Version 0.1 deleted without overwriting: strings of deleted rows stood in free pages.
    stores.spool.exec('DELETE FROM calls WHERE position < 10')
    stores.close()
  }

  it('of version 0.1 are rewritten: no free page keeps what was deleted before', async () => {
    await storeWith([makeCall({}, 99)])
    old()
    expect(found(ERASED).strings.size).toBeGreaterThan(40)
    const { left, said } = await run(configOf(), command('--user', 'u', '--backups', 'rewrite'))
    expect(left, said).toBe(false)
    expect(said).toContain('spool.db: 16 calls rewritten')
    expect(found(ERASED)).toEqual({ strings: new Set(), files: new Set() })
    expect(found(/kept-prompt-\d+/g).strings.size).toBe(15)
  })

  it('are deleted where the operator says so, with their side files and what was left unfinished', async () => {
    await storeWith([makeCall({}, 99)])
    old()
    await backupStore(data(), join(data(), 'backups', 'observer-20261128T000000Z.db'))
    for (const name of [
      'observer.db.damaged-2026',
      'observer.db.damaged-2026-wal',
      'observer.db.migrating',
      'observer.db.salvaging-wal',
    ])
      writeFileSync(join(data(), name), 'erased-page-1')
    writeFileSync(join(data(), 'backups', 'observer-20261129T000000Z.db.unfinished'), 'erased-page-2')
    const careful = await run(configOf(), command('--user', 'u', '--backups', 'rewrite'))
    expect(careful.left).toBe(true)
    expect(careful.said).toMatch(/damaged copy .*damaged-2026: NOT erased/)
    expect([...found(ERASED).files].sort()).toEqual([
      join('data', 'observer.db.damaged-2026'),
      join('data', 'observer.db.damaged-2026-wal'),
    ])
    const { left, said } = await run(configOf(), command('--user', 'u', '--backups', 'delete'))
    expect(left, said).toBe(false)
    expect(found(ERASED)).toEqual({ strings: new Set(), files: new Set() })
    expect(readdirSync(join(data(), 'backups'))).toEqual([])
    expect(existsSync(file())).toBe(true)
  })

  it('a backup that was rewritten is a whole store: it opens, and adds up', async () => {
    await storeWith([makeCall({ user: 'u' }, 1), makeCall({ user: 'v' }, 2)])
    const backup = join(data(), 'backups', 'observer-20261128T000000Z.db')
    await backupStore(data(), backup)
    await run(configOf(), command('--user', 'u', '--backups', 'rewrite'))
    expect(wrong(backup)).toEqual([])
    expect(statSync(backup).mode & 0o077).toBe(0)
    const store = await openStore({ file: backup })
    const batch = (await store.read('otlp', { calls: 10, bytes: 1e9 }, new AbortController().signal))!
    expect(batch.entries.map(({ call }) => call.user)).toEqual([undefined, 'v'])
    await store.close()
  })
})
