import { afterEach, describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'
import { allShippers, closeIdleShippers, failProcess, shipperFor, shipperKey } from './shippers.ts'
import { type FakeSidecar, startFakeSidecar } from './testing/fake-sidecar.ts'
import { waitUntil } from './testing/wait-until.ts'

const fakes: FakeSidecar[] = []
afterEach(async () => {
  for (const fake of fakes.splice(0)) {
    fake.behave({ status: 202 })
    await Promise.all(allShippers().map((shipper) => shipper.handOver(performance.now() + 120_000, true)))
    closeIdleShippers(0)
    await fake.close()
  }
})
async function sidecar(): Promise<FakeSidecar> {
  const fake = await startFakeSidecar()
  fakes.push(fake)
  return fake
}
const shipperWith = (sidecar_url: string, intake_token: string) => {
  const config = readConfig({ sidecar_url, intake_token, linger_ms: 1 })
  return shipperFor(shipperKey(config), config)
}
const capture = (n: number) => Buffer.from(JSON.stringify({ n }))

describe('shippers', () => {
  it('are one for each address and token', async () => {
    const fake = await sidecar()
    expect(shipperWith(fake.url, 'a')).toBe(shipperWith(fake.url, 'a'))
    expect(shipperWith(fake.url, 'b')).not.toBe(shipperWith(fake.url, 'a'))
    expect(allShippers()).toHaveLength(2)
  })

  it('an error of the process is told once, by the first of them, and is kept until there is one', async () => {
    const fake = await sidecar()
    failProcess('connection_closed', 'before')
    const [first, second] = [shipperWith(fake.url, 'a'), shipperWith(fake.url, 'b')]
    failProcess('connection_closed', 'after')
    await waitUntil(() => first.idle, 'told')
    second.push(capture(1), ['e', 1])
    await waitUntil(() => second.idle, 'shipped')
    const errors = fake.batches.map(({ batch }) => batch.errors)
    expect(errors).toEqual([[{ kind: 'connection_closed', total: 2, message: 'after' }], []])
  })

  it('close when they hold nothing and were not used, and open again when they are', async () => {
    const fake = await sidecar()
    const shipper = shipperWith(fake.url, 'a')
    shipper.push(capture(1), ['e', 1])
    closeIdleShippers(0)
    expect(allShippers()).toEqual([shipper])
    await waitUntil(() => shipper.idle, 'shipped')
    closeIdleShippers(60_000)
    expect(allShippers()).toEqual([shipper])
    closeIdleShippers(0)
    expect(allShippers()).toEqual([])
    await waitUntil(() => fake.connections() === 0, 'its connection is closed')
    const again = shipperWith(fake.url, 'a')
    again.push(capture(2), ['e', 2])
    await waitUntil(() => again.idle, 'shipped')
    const [first, second] = fake.batches.map(({ batch }) => batch.plugin.instance)
    // Its totals start at 0 again, so it is another instance to the sidecar.
    expect(first).not.toBe(second)
  })

  it('whose token is no longer taken give what they hold to the one that took over', async () => {
    const fake = await sidecar()
    fake.behave({ status: 401 })
    const old = shipperWith(fake.url, 'old')
    old.push(capture(1), ['e', 1])
    await waitUntil(() => fake.requests > 0 && old.held === 1, 'refused')
    closeIdleShippers(0)
    expect(allShippers()).toEqual([old])
    fake.behave({ status: 202 })
    const heir = shipperWith(fake.url, 'new')
    heir.push(capture(2), ['e', 2])
    await waitUntil(() => heir.idle, 'shipped')
    closeIdleShippers(0)
    await waitUntil(() => heir.idle, 'the rest is shipped')
    expect(fake.stored()).toEqual(expect.arrayContaining([{ n: 1 }, { n: 2 }]))
    closeIdleShippers(0)
    expect(allShippers()).toEqual([])
  })
})
