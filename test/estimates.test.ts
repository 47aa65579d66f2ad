import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { sumOfMetric } from '../dev/metrics-text.ts'
import { waitUntil } from '../dev/wait-until.ts'
import { parseConfig } from '../sidecar/config.ts'
import { countTokens } from '../sidecar/estimate/encode.ts'
import { makeLogger } from '../sidecar/logger.ts'
import { type Sidecar, serve } from '../sidecar/serve.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'
import { makeStream } from '../sidecar/testing/make-exchange.ts'

/** Streams without usage through the real sidecar: counted in its workers, in the ledger, on no disk where content is off. */
const QUESTION = 'Marigolds in a quiet garden'
const ANSWER = 'Lavender and thyme'
const silent = (n: number, content: 'on' | 'off', question = QUESTION) =>
  makeCapture({
    n,
    log: { response: { status: 200, size: 1, headers: { 'content-type': 'text/event-stream' } } },
    requestBody: { model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: question }] },
    responseBody: makeStream([
      {
        id: `chatcmpl-${n}`,
        object: 'chat.completion.chunk',
        model: 'gpt-4o',
        choices: [{ index: 0, delta: { content: ANSWER }, finish_reason: 'stop' }],
      },
      '[DONE]',
    ]),
    capture: { content },
  })

let directory: string
let sidecar: Sidecar
async function start(options: object): Promise<void> {
  directory = mkdtempSync(join(tmpdir(), 'estimates-'))
  // What is tested is what is counted, not how fast a worker starts on a busy machine.
  const estimate = JSON.stringify({ timeoutMs: 120_000, ...options })
  const config = parseConfig(`{ listen: { port: 0 }, data: ${directory}, estimate: ${estimate} }`, 'test.yaml', {})
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  sidecar = await serve(config, {
    logger: makeLogger('ERROR', nowhere),
    environment: {},
    onFatal: (error) => {
      throw error
    },
  })
}
afterEach(async () => {
  await sidecar.close()
  rmSync(directory, { recursive: true, force: true })
})

async function post(captures: unknown[]): Promise<unknown> {
  const body = JSON.stringify({ v: 1, plugin: { version: 't', instance: 't' }, dropped: [], captures })
  const headers = { 'content-type': 'application/json' }
  return (await fetch(`${sidecar.url}/v1/captures`, { method: 'POST', headers, body })).json()
}
const metrics = async () => (await fetch(`${sidecar.url}/metrics`)).text()
/** Once the ledger has counted so many calls. */
async function settled(calls: number): Promise<string> {
  await waitUntil(async () => sumOfMetric(await metrics(), 'llm_calls_total') === calls)
  return metrics()
}
const stored = () =>
  readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => readFileSync(join(directory, name)).toString('latin1'))
    .join('')

describe('streams without usage', () => {
  it('are counted, priced and said to be estimated, each: an id alone makes nothing a repeat', async () => {
    await start({})
    expect(await post([silent(1, 'on'), makeCapture({ n: 2 })])).toMatchObject({ stored: 2 })
    await settled(2)
    const [call, again] = [silent(1, 'on'), silent(1, 'on')]
    again.log.request = { ...call.log.request, id: 'asked-again' }
    again.sequence = 3
    expect(await post([again])).toMatchObject({ stored: 1 })
    const text = await settled(3)
    expect(text).toMatch(/llm_usage_source_calls_total\{[^}]*source="estimated"\} 2/)
    expect(text).toMatch(/observer_estimates_total\{outcome="counted"\} 2/)
    expect(text).not.toMatch(/llm_repeated_answers_total\{[^}]*\} [1-9]/)
    // Twice, at gpt-4o's prices; around the message stand 3 tokens, its role and 3 for the answer's start.
    const [input, output] = [QUESTION, ANSWER].map((words) => countTokens(words, 'o200k_base')) as [number, number]
    const picoUsd = 2 * ((input + 7) * 2_500_000 + output * 10_000_000)
    const [, dollars] = /llm_usage_source_cost_usd_total\{[^}]*source="estimated"\} (\S+)/.exec(text)!
    expect(Number(dollars)).toBe(picoUsd / 1e12)
  })

  it('where content is off: counted in memory, and no word rests on the disk', async () => {
    await start({})
    await post([silent(1, 'off')])
    expect(await settled(1)).toMatch(/llm_usage_source_calls_total\{[^}]*source="estimated"\} 1/)
    expect(stored()).toContain('gpt-4o')
    for (const words of [QUESTION, ANSWER]) expect(stored()).not.toContain(words)
  })

  it('where content is off and the operator does not want it: unknown', async () => {
    await start({ whenContentOff: false })
    await post([silent(1, 'off')])
    const text = await settled(1)
    expect(text).toMatch(/llm_usage_source_calls_total\{[^}]*source="unknown"\} 1/)
    expect(text).toMatch(/llm_unpriced_calls_total\{[^}]*reason="no_usage"\} 1/)
    expect(text).toMatch(/observer_estimates_total\{outcome="counted"\} 0/)
  })

  it('more text than may wait: unknown, counted, and acknowledged all the same', async () => {
    await start({ queueBytes: '64KiB' })
    const long = `${QUESTION} `.repeat(800)
    expect(await post([silent(1, 'on', long), silent(2, 'on', long)])).toMatchObject({ stored: 2 })
    const text = await settled(2)
    expect(text).toMatch(/observer_estimates_total\{outcome="queue_full"\} 1/)
    expect(text).toMatch(/llm_usage_source_calls_total\{[^}]*source="unknown"\} 1/)
    expect(text).toMatch(/llm_usage_source_calls_total\{[^}]*source="estimated"\} 1/)
  })
})
