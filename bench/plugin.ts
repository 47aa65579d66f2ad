import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { connectAsKong, type KongSide } from '../plugin/testing/kong-side.ts'
import { startPluginServer } from '../plugin/testing/plugin-server.ts'
import { waitUntil } from '../plugin/testing/wait-until.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'
import { cpuSeconds } from './process-cost.ts'

const CONTENT_BYTES = 4096
/** Captures that differ, as in life. */
const DIFFERENT = 500
const WARM_UP_CALLS = 5000
const CALLS = 20_000
/** Kong keeps a connection for each event that is under way. */
const CONNECTIONS = 16

export interface PluginCost {
  callsPerSecond: number
  cpuMicrosPerCall: number
}

/** What kong-pdk alone costs: a plugin that asks for the same text and does nothing with it. */
const BARE_PLUGIN = `module.exports = {
  Plugin: class { async log(kong) { await kong.ctx.shared.get('llm_observer') } },
  Name: 'llm-observer', Version: '0', Priority: 1, Schema: [],
}`

/** Ours beside the bare one, in one run. */
export async function benchPlugin(): Promise<{ ours: PluginCost; bare: PluginCost }> {
  const load = mkdtempSync(join(tmpdir(), 'bare-plugin-'))
  writeFileSync(join(load, 'llm-observer.cjs'), BARE_PLUGIN)
  try {
    return { bare: await measure(load), ours: await measure(undefined) }
  } finally {
    rmSync(load, { recursive: true })
  }
}

/**
 * The real plugin server with the real plugin, driven over its socket with tap captures of 4 KB content, shipping to a
 * local sidecar that only says 202. CPU is the plugin server's own, as Linux counts it.
 */
async function measure(load: string | undefined): Promise<PluginCost> {
  let delivered = 0
  const sidecar = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(202).end())
  })
  await new Promise<void>((resolve) => sidecar.listen(0, '127.0.0.1', resolve))
  const address = sidecar.address() as { port: number }
  const server = await startPluginServer({ reportState: true, ...(load !== undefined && { load }) })
  const kongs: KongSide[] = await Promise.all(Array.from({ length: CONNECTIONS }, () => connectAsKong(server.socket)))
  try {
    const instance = await kongs[0]!.startInstance({
      source: 'tap',
      content: 'on',
      sidecar_url: `http://127.0.0.1:${address.port}`,
    })
    const captures = Array.from({ length: DIFFERENT }, (_, n) => captureOf(n + 1))
    const run = async (calls: number) => {
      let begun = 0
      const lane = async (kong: KongSide) => {
        while (begun < calls) {
          const capture = captures[begun % captures.length]!
          begun++
          await kong.event(instance, () => capture)
          delivered++
        }
      }
      await Promise.all(kongs.map(lane))
    }

    await run(WARM_UP_CALLS)
    await waitUntil(async () => (await server.state()).held === 0, 'the warm-up is shipped')
    const cpuBefore = cpuSeconds(server.pid)
    const begun = performance.now()
    delivered = 0
    await run(CALLS)
    const seconds = (performance.now() - begun) / 1000
    await waitUntil(async () => (await server.state()).held === 0, 'all is shipped')
    const used = (cpuSeconds(server.pid) - cpuBefore) * 1_000_000
    return {
      callsPerSecond: Math.round(delivered / seconds),
      cpuMicrosPerCall: Math.round((used / delivered) * 10) / 10,
    }
  } finally {
    for (const kong of kongs) kong.close()
    await server.stop()
    sidecar.closeAllConnections()
    sidecar.close()
  }
}

/** As the tap leaves it: one JSON text of some 7 KB, bodies as base64. */
function captureOf(n: number): string {
  const text = () => randomBytes((CONTENT_BYTES / 2) * 0.75).toString('base64url')
  const {
    content: _content,
    v,
    source,
    node,
    epoch,
    sequence,
    ...capture
  } = makeCapture({
    n,
    requestBody: { model: 'gpt-4o', messages: [{ role: 'user', content: text() }] },
    responseBody: {
      id: `chatcmpl-${n}`,
      model: 'gpt-4o',
      choices: [{ message: { role: 'assistant', content: text() } }],
      usage: { prompt_tokens: 500, completion_tokens: 500, total_tokens: 1000 },
    },
  })
  return JSON.stringify({ v, source, node, epoch, sequence, ...capture })
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  console.log(await benchPlugin())
