import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { CaptureBatch } from '../sidecar/capture.ts'
import { makeNotices } from './notices.ts'
import { makeSender } from './send.ts'
import { makeShipper, type ShipSettings } from './ship.ts'
import { type FakeSidecar, startFakeSidecar } from './testing/fake-sidecar.ts'
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
function shipperTo(url: string, overrides: Partial<ShipSettings> = {}) {
  const lines: string[] = []
  const shipper = makeShipper({
    instance: 'i1',
    version: '1.0.0',
    address: url,
    sender: makeSender(url, TOKEN),
    settings: { ...settings, ...overrides },
    notices: makeNotices((line) => lines.push(line)),
  })
  cleanUps.push(() => shipper.close())
  return { shipper, lines }
}
const push = (
  shipper: { push(json: Buffer, numbered: [string, number]): void },
  from: number,
  to: number,
  padding = 0,
) => {
  for (let n = from; n <= to; n++)
    shipper.push(Buffer.from(JSON.stringify({ n, padding: 'x'.repeat(padding) })), ['e1', n])
}
const numbers = (captures: readonly unknown[]) => captures.map((capture) => (capture as { n: number }).n)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
const total = (batch: CaptureBatch | undefined, reason: string) =>
  batch?.dropped.find((drop) => drop.reason === reason)?.total
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
    expect(shipper.drops.totals.size).toBe(0)
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

  it('drops the oldest, and the exact counts and numbers travel as running totals', async () => {
    const fake = await sidecar()
    fake.behave({ status: 503, retryAfter: '1' })
    const { shipper } = shipperTo(fake.url, { queueBytes: 70_000 })
    push(shipper, 1, 100, 1000)
    await waitUntil(() => fake.requests > 0, 'a first attempt')
    fake.behave({ status: 202 })
    const kept = shipper.held
    const dropped = 100 - kept
    expect(dropped).toBeGreaterThan(20)
    await waitUntil(() => shipper.idle, 'all told')
    const delivered = numbers(fake.stored())
    expect(delivered).toHaveLength(kept)
    expect(delivered).toEqual(delivered.toSorted((a, b) => a - b))
    const accepted = fake.batches.filter(({ status }) => status === 202).map(({ batch }) => batch)
    for (const batch of accepted) expect(total(batch, 'queue_full')).toBe(dropped)
    const named = accepted
      .flatMap((batch) => batch.dropped.flatMap(({ sequences }) => sequences ?? []))
      .map(([, sequence]) => sequence)
    expect([...delivered, ...named].toSorted((a, b) => a - b)).toEqual(upTo(100))

    shipper.drop('pdk_timeout')
    await waitUntil(() => shipper.idle, 'the drop is told, with no capture to carry it')
    const last = fake.batches.at(-1)!.batch
    expect(last.captures).toEqual([])
    expect([total(last, 'queue_full'), total(last, 'pdk_timeout')]).toEqual([dropped, 1])
    expect(last.dropped.some(({ sequences }) => sequences !== undefined)).toBe(false)
  })

  it('tells the sequences again if the batch that carried them was not taken', async () => {
    const fake = await sidecar()
    fake.behave({ status: 503 }, { status: 202 })
    const { shipper } = shipperTo(fake.url)
    shipper.drop('invalid', ['e1', 5])
    await waitUntil(() => shipper.idle, 'told')
    expect(fake.batches.map(({ batch }) => batch.dropped[0]?.sequences)).toEqual([[['e1', 5]], [['e1', 5]]])
  })

  it.each([
    [413, 'too_large'],
    [400, 'rejected'],
  ] as const)(
    'splits a batch after %i, drops the one that is at fault, delivers the rest in order',
    async (status, reason) => {
      const fake = await sidecar()
      fake.behave((batch) => ({ status: numbers(batch.captures).some((n) => n === 7 || n === 23) ? status : 202 }))
      const { shipper, lines } = shipperTo(fake.url)
      push(shipper, 1, 40)
      await waitUntil(() => shipper.idle, 'idle')
      expect(numbers(fake.stored())).toEqual(upTo(40).filter((n) => n !== 7 && n !== 23))
      expect(shipper.drops.totals.get(reason)).toBe(2)
      expect(fake.requests).toBeLessThan(30)
      expect(lines.length).toBeGreaterThan(0)
    },
  )

  it('drops a batch at once when the sidecar says that no capture of it is valid', async () => {
    const fake = await sidecar()
    fake.behave({ status: 400, error: 'no_valid_capture' }, { status: 202 })
    const { shipper } = shipperTo(fake.url)
    push(shipper, 1, 10)
    await waitUntil(() => shipper.idle, 'idle')
    expect(fake.requests).toBe(2)
    expect(total(fake.batches[1]!.batch, 'rejected')).toBe(10)
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

  it('gives what it holds to another shipper', async () => {
    const fake = await sidecar()
    fake.behave({ status: 401 })
    const old = shipperTo(fake.url)
    const heir = shipperTo(fake.url)
    push(old.shipper, 1, 20)
    old.shipper.drop('invalid', ['e1', 99])
    await waitUntil(() => old.lines.length > 0, 'refused')
    fake.behave({ status: 202 })
    old.shipper.moveTo(heir.shipper)
    expect(old.shipper.idle).toBe(true)
    await waitUntil(() => heir.shipper.idle, 'idle')
    expect(numbers(fake.stored())).toEqual(upTo(20))
    expect(total(fake.batches.at(-1)?.batch, 'invalid')).toBe(1)
  })
})
