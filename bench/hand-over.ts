import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startFakeSidecar } from '../plugin/testing/fake-sidecar.ts'
import { connectAsKong } from '../plugin/testing/kong-side.ts'
import { startPluginServer } from '../plugin/testing/plugin-server.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'

const ROUNDS = 20
const CAPTURES = 40

/**
 * From SIGTERM until the sidecar has all that the plugin's queue held, in milliseconds, of each round. Kong kills a plugin
 * server 25 ms after its SIGTERM.
 */
export async function benchHandOver(): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'hand-over-'))
  const taken: number[] = []
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const fake = await startFakeSidecar({ path: join(folder, `${round}.sock`) })
      const server = await startPluginServer()
      const kong = await connectAsKong(server.socket)
      const config = { source: 'tap', sidecar_url: fake.url, linger_ms: 60_000, batch_max_calls: CAPTURES + 1 }
      const instance = await kong.startInstance(config)
      // A full batch first: in real life the connection is open.
      for (let n = 1; n <= CAPTURES + 1; n++) await kong.event(instance, () => makeCapture({ n }))
      while (fake.stored().length <= CAPTURES) await new Promise((resolve) => setTimeout(resolve, 5))
      for (let n = 1; n <= CAPTURES; n++) await kong.event(instance, () => makeCapture({ n: 100 + n }))
      const begun = performance.now()
      server.child.kill('SIGTERM')
      await new Promise((resolve) => server.child.once('exit', resolve))
      if (fake.stored().length !== 2 * CAPTURES + 1) throw new Error(`${fake.stored().length} captures came`)
      taken.push(fake.batches.at(-1)!.at - begun)
      kong.close()
      await server.stop()
      await fake.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return taken.toSorted((a, b) => a - b)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  console.log(await benchHandOver())
