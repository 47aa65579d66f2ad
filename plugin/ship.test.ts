import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Tombstone } from '../sidecar/capture.ts'
import { makeNotices } from './notices.ts'
import { makeSender } from './send.ts'
import { makeShipper, type ShipSettings } from './ship.ts'
import { type FakeSidecar, type ReadBatch, startFakeSidecar } from './testing/fake-sidecar.ts'
import { waitUntil } from './testing/wait-until.ts'

const TOKEN = 'token-that-nobody-may-see'
const settings: ShipSettings = {
  queueBytes: 1_000_000,
  batchMaxCalls: 10,
  batchMaxBytes: 100_000,
  lingerMs: 5,
  sendTimeoutMs: 60_000,
}
const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

async function sidecar(listen: { path?: string; port?: number } = {}): Promise<FakeSidecar> {
  const fake = await startFakeSidecar(listen)
  cleanUps.push(() => fake.close())
  return fake
}
function shipperTo(url: string, overrides: Partial<ShipSettings> = {}, random = Math.random) {
  const lines: string[] = []
  const shipper = makeShipper({
    instance: 'i1',
    version: '1.0.0',
    address: url,
    sender: makeSender(url, TOKEN),
    settings: { ...settings, ...overrides },
    random,
    notices: makeNotices((line) => lines.push(line)),
  })
  cleanUps.push(() => shipper.close())
  return { shipper, lines }
}
const push = (
  shipper: { push(json: Buffer, number: [string, number], node: string): void },
  from: number,
  to: number,
  padding = 0,
) => {
  for (let n = from; n <= to; n++)
    shipper.push(Buffer.from(JSON.stringify({ n, padding: 'x'.repeat(padding) })), ['e1', n], 'node-1')
}
const numbers = (captures: readonly unknown[]) => captures.map((capture) => (capture as { n: number }).n)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
/** Numbers that tombstones tell, ascending. */
const told = (tombstones: readonly Tombstone[], reason?: string) =>
  tombstones
    .filter(({ tombstone }) => reason === undefined || tombstone === reason)
    .flatMap(({ sequence, count }) => Array.from({ length: count }, (_, step) => sequence + step))
    .toSorted((a, b) => a - b)
const errorsTold = (fake: FakeSidecar) => fake.batches.findLast(({ status }) => status === 202)?.batch.errors ?? []
const stored = (fake: FakeSidecar, count: number) =>
  waitUntil(() => fake.stored().length >= count, `${count} stored; ${fake.stored().length} are`)

describe('ship', () => {
  it.each(['TCP', 'unix socket'])('delivers in order, in batches, with the token, over %s', async (way) => {
    const folder = mkdtempSync(join(tmpdir(), 'ship-'))
    cleanUps.push(() => rmSync(folder, { recursive: true }))
    const fake = await sidecar(way === 'TCP' ? {} : { path: join(folder, 'sidecar.sock') })
    const { shipper } = shipperTo(fake.url)
    push(shipper, 1, 95)
    await stored(fake, 95)
    expect(numbers(fake.stored())).toEqual(upTo(95))
    expect(fake.batches.every(({ batch }) => batch.captures.length <= 10)).toBe(true)
    expect(fake.batches.length).toBe(10)
    expect(fake.batches[0]!.authorization).toBe(`Bearer ${TOKEN}`)
    expect(fake.batches[0]!.batch.plugin).toEqual({ version: '1.0.0', instance: 'i1' })
    expect(fake.connections()).toBeLessThanOrEqual(2)
    await waitUntil(() => shipper.idle, 'idle')
  })

  it('cuts batches by bytes', async () => {
    const fake = await sidecar()
    const { shipper } = shipperTo(fake.url, { batchMaxBytes: 2500 })
    push(shipper, 1, 9, 1000)
    await stored(fake, 9)
    expect(fake.batches.map(({ batch }) => batch.captures.length)).toEqual([2, 2, 2, 2, 1])
  })

  it('lets captures gather while they linger, and sends a full batch at once', async () => {
    const fake = await sidecar()
    const { shipper } = shipperTo(fake.url, { lingerMs: 60_000 })
    push(shipper, 1, 9)
    push(shipper, 10, 12)
    await stored(fake, 10)
    expect(shipper.held).toBe(2)
    shipper.configure({ ...settings, lingerMs: 0 })
    await stored(fake, 12)
    expect(fake.batches.map(({ batch }) => batch.captures.length)).toEqual([10, 2])
  })

  it.each([
    ['503', { status: 503 }],
    ['429', { status: 429 }],
    ['500', { status: 500 }],
    ['a broken connection', 'reset' as const],
    ['a time-out', 'hang' as const],
  ])('keeps and sends again, in order, after %s', async (_what, behaviour) => {
    const fake = await sidecar()
    const { shipper, lines } = shipperTo(fake.url, behaviour === 'hang' ? { sendTimeoutMs: 50 } : {})
    // Only the attempt that hangs may time out.
    const first = () => {
      shipper.configure(settings)
      return behaviour
    }
    fake.behave(first, { status: 202 })
    push(shipper, 1, 25)
    await stored(fake, 25)
    expect(numbers(fake.stored())).toEqual(upTo(25))
    expect(fake.lost()).toEqual([])
    expect(lines.join('')).not.toContain(TOKEN)
  })

  it('waits as long as Retry-After says', async () => {
    const fake = await sidecar()
    fake.behave({ status: 503, retryAfter: '1' }, { status: 202 })
    const { shipper } = shipperTo(fake.url)
    push(shipper, 1, 1)
    await stored(fake, 1)
    expect(fake.batches[1]!.at - fake.batches[0]!.at).toBeGreaterThan(990)
  })

  it('backs off: it does not hammer a sidecar that is down', async () => {
    const fake = await sidecar()
    const port = Number(new URL(fake.url).port)
    await fake.close()
    const { shipper, lines } = shipperTo(fake.url)
    push(shipper, 1, 30)
    await waitUntil(() => lines.length > 0, 'the notice')
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'warn', reason: 'ECONNREFUSED' })
    const again = await sidecar({ port })
    await stored(again, 30)
    expect(numbers(again.stored())).toEqual(upTo(30))
    await waitUntil(() => lines.some((line) => line.includes('again')), 'the notice that it goes on')
  })

  it('drops the oldest, and tells exactly which by tombstones, consecutive ones as one', async () => {
    const fake = await sidecar()
    fake.behave({ status: 503, retryAfter: '1' })
    const { shipper } = shipperTo(fake.url, { queueBytes: 70_000 })
    push(shipper, 1, 100, 1000)
    await waitUntil(() => fake.requests > 0, 'a first attempt')
    fake.behave({ status: 202 })
    const kept = shipper.held
    expect(kept).toBeLessThan(80)
    await waitUntil(() => shipper.idle, 'all told')
    const delivered = numbers(fake.stored())
    expect(delivered).toHaveLength(kept)
    expect(delivered).toEqual(delivered.toSorted((a, b) => a - b))
    expect([...delivered, ...told(fake.lost(), 'queue_full')].toSorted((a, b) => a - b)).toEqual(upTo(100))
    // The ones in flight were spared.
    expect(fake.lost().length).toBeLessThanOrEqual(2)
    expect(fake.lost()[0]).toMatchObject({ epoch: 'e1', node: 'node-1' })

    shipper.lose('pdk_timeout', ['e2', 7])
    await waitUntil(() => shipper.idle, 'the loss is told, with no capture to carry it')
    const last = fake.batches.at(-1)!.batch
    expect(last.captures).toEqual([])
    expect(last.tombstones).toEqual([{ v: 2, tombstone: 'pdk_timeout', epoch: 'e2', sequence: 7, count: 1 }])
  })

  it('tells a loss again if the batch that carried it was not taken, and joins what was added meanwhile', async () => {
    const fake = await sidecar()
    fake.behave({ status: 503 }, { status: 202 })
    const { shipper } = shipperTo(fake.url)
    shipper.lose('invalid', ['e1', 5])
    await waitUntil(() => fake.batches.length === 1, 'a first attempt')
    shipper.lose('invalid', ['e1', 6])
    await waitUntil(() => shipper.idle, 'told')
    const tombstones = fake.batches.map(({ batch }) => batch.tombstones.map(({ sequence, count }) => [sequence, count]))
    expect(tombstones).toEqual([[[5, 1]], [[5, 2]]])
  })

  it('tells of each epoch in a batch what a sidecar has acknowledged before', async () => {
    const fake = await sidecar()
    const { shipper } = shipperTo(fake.url)
    const one = async (number: [string, number]) => {
      shipper.push(Buffer.from('{}'), number)
      await waitUntil(() => shipper.idle, 'stored')
      return fake.batches.at(-1)!.batch.acknowledged
    }
    expect(await one(['e1', 1])).toEqual([])
    expect(await one(['e1', 2])).toEqual([['e1', [[1, 1]]]])
    expect(await one(['e2', 9])).toEqual([])
    shipper.lose('invalid', ['e1', 4])
    await waitUntil(() => shipper.idle, 'told')
    const both = [['e1', [[1, 2], [4, 4]]]] // biome-ignore format: ranges
    expect(await one(['e1', 3])).toEqual(both)
    expect(await one(['e1', 6])).toEqual([['e1', [[1, 4]]]])
  })

  it('tells its own errors as running totals: at once what cost a capture, with the next batch what did not', async () => {
    const fake = await sidecar()
    fake.behave({ status: 503 }, { status: 202 })
    const { shipper } = shipperTo(fake.url)
    shipper.fail('pdk_timeout')
    await waitUntil(() => shipper.idle, 'told')
    expect(errorsTold(fake)).toEqual([
      { kind: 'pdk_timeout', total: 1 },
      { kind: 'sidecar_away', total: 1, message: 'http_503' },
    ])
    shipper.fail('pdk_timeout')
    await waitUntil(() => shipper.idle, 'told again')
    expect(errorsTold(fake)[0]).toEqual({ kind: 'pdk_timeout', total: 2 })
    expect(fake.stored()).toEqual([])
  })

  it('counts and logs what the sidecar says of a capture that is not valid, and holds it no longer', async () => {
    const fake = await sidecar()
    fake.behave({ status: 202, rejected: [{ index: 0, message: 'log.request: expected object' }] })
    const { shipper, lines } = shipperTo(fake.url)
    push(shipper, 1, 2)
    await waitUntil(() => shipper.idle, 'idle')
    expect(shipper.held).toBe(0)
    expect(lines.join('')).toContain('log.request: expected object')
    // The sidecar knows: it learns the total with the next batch, which is not sent for it.
    expect(fake.requests).toBe(1)
    push(shipper, 3, 3)
    await waitUntil(() => shipper.idle, 'idle')
    expect(errorsTold(fake)).toMatchObject([
      { kind: 'capture_invalid', total: 1, message: 'log.request: expected object' },
    ])
  })

  const bad = (batch: ReadBatch) => numbers(batch.captures).some((n) => n === 7 || n === 23)
  it.each([
    ['413', { status: 413 }, 'too_large'],
    ['400', { status: 400 }, 'rejected'],
    ['422', { status: 422 }, 'rejected'],
    ['500', { status: 500 }, 'timed_out'],
    ['a time-out', 'hang' as const, 'timed_out'],
    ['a sidecar that dies of it', 'reset' as const, 'timed_out'],
  ])('halves a batch after %s, gives up those at fault, delivers the rest', async (_what, behaviour, reason) => {
    const fake = await sidecar()
    fake.behave((batch) => (bad(batch) ? behaviour : { status: 202 }))
    const { shipper, lines } = shipperTo(fake.url, { sendTimeoutMs: 100 })
    push(shipper, 1, 40)
    // Others pass in between: only then is it known whose fault it is.
    await waitUntil(() => fake.stored().length === 38, 'the others')
    push(shipper, 41, 50)
    let next = 51
    await waitUntil(() => {
      if (shipper.held === 1) push(shipper, next, next++)
      return shipper.idle
    }, 'idle')
    const good = upTo(next - 1).filter((n) => n !== 7 && n !== 23)
    expect(numbers(fake.stored()).toSorted((a, b) => a - b)).toEqual(good)
    expect(told(fake.lost())).toEqual([7, 23])
    expect(told(fake.lost(), reason)).toEqual([7, 23])
    expect(errorsTold(fake).find(({ kind }) => kind === 'capture_given_up')?.total).toBe(2)
    expect(lines.length).toBeGreaterThan(0)
  })

  it.each([
    ['hangs', 'hang' as const],
    ['refuses everything', { status: 400 }],
    ['fails at everything', { status: 500 }],
  ])('a sidecar that %s is away: nothing is given up, however often one is tried', async (_what, behaviour) => {
    const fake = await sidecar()
    fake.behave(behaviour)
    const { shipper } = shipperTo(fake.url, { sendTimeoutMs: 20 }, () => 0)
    push(shipper, 1, 4)
    await waitUntil(() => fake.batches.filter(({ batch }) => batch.captures.length === 1).length >= 10, 'ten tries')
    expect(shipper.held).toBe(4)
    fake.behave({ status: 202 })
    shipper.configure({ ...settings, sendTimeoutMs: 5000 })
    await waitUntil(() => shipper.idle, 'idle')
    // One that was answered too late comes twice: a sidecar knows it by its number.
    expect([...new Set(numbers(fake.stored()))].toSorted((a, b) => a - b)).toEqual(upTo(4))
    expect(fake.lost()).toEqual([])
  })

  it.each([
    ['401', { status: 401 }],
    ['403', { status: 403 }],
    ['404', { status: 404 }],
    ['a 200 that is none of ours', { status: 200 }],
    ['another version', { status: 400, error: 'wrong_version' }],
  ])('keeps everything after %s, says so once, does not hurry', async (_what, behaviour) => {
    const fake = await sidecar()
    fake.behave(behaviour)
    const { shipper, lines } = shipperTo(fake.url)
    push(shipper, 1, 50)
    await waitUntil(() => lines.length > 0, 'the notice')
    push(shipper, 51, 60)
    expect(shipper.held).toBe(60)
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'error', name: 'llm-observer' })
    expect(lines.join('')).not.toContain(TOKEN)
    expect(fake.requests).toBe(1)
    fake.behave({ status: 202 })
    await shipper.handOver(performance.now() + 120_000, false)
    expect(numbers(fake.stored()).toSorted((a, b) => a - b)).toEqual(upTo(60))
  })

  it('hands over on several connections at once', async () => {
    const fake = await sidecar()
    const { shipper } = shipperTo(fake.url, { lingerMs: 60_000, batchMaxCalls: 1000, batchMaxBytes: 100_000_000 })
    push(shipper, 1, 90)
    shipper.configure({ ...settings, lingerMs: 60_000, batchMaxCalls: 10 })
    await shipper.handOver(performance.now() + 120_000, false)
    expect(numbers(fake.stored()).toSorted((a, b) => a - b)).toEqual(upTo(90))
    expect(shipper.idle).toBe(true)
  })

  it('a hand-over ends with its time, also if the sidecar hangs', async () => {
    const fake = await sidecar()
    fake.behave('hang')
    const { shipper } = shipperTo(fake.url, { lingerMs: 60_000, sendTimeoutMs: 3_600_000 })
    push(shipper, 1, 5)
    await shipper.handOver(performance.now() + 100, true)
    expect(shipper.held).toBe(5)
  })

  it('a hand-over that may retry goes on until the sidecar takes it', async () => {
    const fake = await sidecar()
    fake.behave({ status: 503 }, { status: 503 }, { status: 202 })
    const { shipper } = shipperTo(fake.url, { lingerMs: 60_000 })
    push(shipper, 1, 5)
    await shipper.handOver(performance.now() + 120_000, true)
    expect(numbers(fake.stored())).toEqual(upTo(5))
  })

  it('a process that ends tells what it gives up, and leaves alone what is in flight', async () => {
    const fake = await sidecar()
    fake.behave('hang', { status: 202 })
    const { shipper } = shipperTo(fake.url, { sendTimeoutMs: 20_000 })
    push(shipper, 1, 10)
    await waitUntil(() => fake.requests === 1, 'in flight')
    push(shipper, 11, 15)
    await shipper.abandon(5000)
    expect(told(fake.lost(), 'shutdown')).toEqual([11, 12, 13, 14, 15])
    expect(shipper.held).toBe(10)
  })

  it('gives what it holds to another shipper', async () => {
    const fake = await sidecar()
    fake.behave({ status: 401 })
    const old = shipperTo(fake.url)
    const heir = shipperTo(fake.url)
    push(old.shipper, 1, 20)
    old.shipper.lose('invalid', ['e1', 99])
    old.shipper.fail('pdk_error')
    await waitUntil(() => old.lines.length > 0, 'refused')
    fake.behave({ status: 202 })
    old.shipper.moveTo(heir.shipper)
    expect(old.shipper.idle).toBe(true)
    await waitUntil(() => heir.shipper.idle, 'idle')
    expect(numbers(fake.stored())).toEqual(upTo(20))
    expect(told(fake.lost(), 'invalid')).toEqual([99])
    expect(errorsTold(fake)).toContainEqual({ kind: 'pdk_error', total: 1 })
  })
})
