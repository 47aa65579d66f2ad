import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allExamples } from '../dev/redaction-set/examples.ts'
import { configSchema } from '../sidecar/config.ts'
import { makeLogger } from '../sidecar/logger.ts'
import { SECRET_KINDS } from '../sidecar/redaction/rule.ts'
import { randomOf } from '../sidecar/redaction/sample.ts'
import { type Sidecar, serve } from '../sidecar/serve.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'
import { makeStream } from '../sidecar/testing/make-exchange.ts'

/** One of each row, and where it is planted. */
interface Planted {
  rule: string
  text: string
  secret: string
  /** Certain without a sentence around it: goes into names and ids too. */
  isLabel: boolean
}
const random = randomOf(7)
const LABEL_KINDS = new Set<string>(['email', 'credit_card', 'iban'])
const planted: Planted[] = []
/** Of the families with a row for each country, some: the labelled set has them all. */
const MOST_OF_A_FAMILY = 12
const families = new Map<string, number>()
for (const { rule, kind, promise, make } of allExamples()) {
  if (planted.some((each) => each.rule === rule)) continue
  const family = /^(?:phone|iban)-/.exec(rule)?.[0]
  if (family !== undefined) {
    const count = families.get(family) ?? 0
    if (count >= MOST_OF_A_FAMILY) continue
    families.set(family, count + 1)
  }
  const { text, secret } = make(random)
  const isLabel = text === secret && promise === 'all' && (SECRET_KINDS.has(kind) || LABEL_KINDS.has(kind))
  planted.push({ rule, text, secret, isLabel: isLabel || rule === 'email' })
}
// A pattern for a URL is found in text, not in a header or a name of a model, where no URL stands.
const MAX_HEADER = 2000

const everything: { name: string; bytes: Buffer }[] = []
let sidecar: Sidecar
let sink: Server
let folder = ''
let sent = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'privacy-'))
  sink = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
      everything.push({ name: `sink ${request.url}`, bytes })
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`
  const log: string[] = []
  const lines = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log.push(chunk.toString())
      done()
    },
  })
  sidecar = await serve(
    configSchema.parse({
      listen: { port: 0 },
      data: join(folder, 'data'),
      exporters: {
        otlp: { endpoint: url, protocol: 'json', content: true },
        langfuse: { url, publicKey: 'pk', secretKey: 'sk' },
        loki: { url },
      },
    }),
    {
      logger: makeLogger('DEBUG', lines),
      environment: {},
      onFatal(error) {
        throw error
      },
    },
  )
  let n = 0
  const all = planted.flatMap((plant) => capturesWith(plant, () => ++n))
  for (let from = 0; from < all.length; from += 20) {
    const captures = all.slice(from, from + 20)
    const answer = await fetch(`${sidecar.url}/v1/captures`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ v: 1, plugin: { version: '0.1.0', instance: 'test' }, dropped: [], captures }),
    })
    expect(answer.status).toBe(202)
    sent += captures.length
  }
  // Each of three sinks has every call.
  for (let tries = 0; tries < 600 && !(await isDelivered()); tries++)
    await new Promise((resolve) => setTimeout(resolve, 100))
  everything.push({ name: '/metrics', bytes: Buffer.from(await (await fetch(`${sidecar.url}/metrics`)).text()) })
  await sidecar.close()
  everything.push({ name: 'log', bytes: Buffer.from(log.join('\n')) })
  for (const file of readdirSync(join(folder, 'data'), { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, 'data', file)
    if (statSync(path).isFile()) everything.push({ name: `file ${file}`, bytes: readFileSync(path) })
  }
})

afterAll(async () => {
  await new Promise((resolve) => sink.close(resolve))
  rmSync(folder, { recursive: true, force: true })
})

async function isDelivered(): Promise<boolean> {
  const text = everything.map(({ bytes }) => bytes.toString('latin1')).join('')
  return planted.every(({ rule }) => text.split(`marker ${rule}.`).length > 2)
}

function capturesWith({ rule, text, secret, isLabel }: Planted, next: () => number) {
  const label = isLabel ? secret : 'harmless'
  const header = isLabel && secret.length < MAX_HEADER && /^[\x20-\x7e]*$/.test(secret) ? secret : 'u-1'
  const args = JSON.stringify({
    note: `see\n${text}`,
    rows: [`a\t${text}`],
    deep: JSON.stringify({ body: `\n${text}` }),
  })
  const requestBody = {
    model: label,
    user: label,
    metadata: { session_id: label, user_id: label },
    stop: [text],
    messages: [
      { role: 'system', content: `Rules. ${text}` },
      { role: label, content: `marker ${rule}. ${text}` },
      { role: 'user', content: [{ type: 'text', text }, { type: label }] },
      {
        role: 'assistant',
        tool_calls: [{ id: label, type: 'function', function: { name: 'look_up', arguments: args } }],
      },
      { role: 'tool', tool_call_id: label, content: args },
      { role: 'user', content: Buffer.from(`data: ${text}`).toString('base64') },
      { role: 'user', content: `https://x.test/?q=${encodeURIComponent(text)}` },
    ],
    tools: [
      { type: 'function', function: { name: 'look_up', description: `e.g. ${text}`, parameters: { default: text } } },
    ],
  }
  const log = {
    request: {
      id: `r-${rule}`,
      method: 'POST',
      uri: `/openai/v1/chat/completions?q=${encodeURIComponent(text)}`,
      size: 1,
      headers: { 'content-type': 'application/json', 'x-user-id': header, 'x-session-id': header },
    },
    consumer: {
      id: 'c1',
      username: label,
      custom_id: 'team-blue',
      tags: ['tenant:blue', `team:${label}`, `app:${label}`, `env:${label}`],
    },
  }
  const chunk = (delta: object, finish: string | null = null) => ({
    id: label,
    object: 'chat.completion.chunk',
    model: label,
    system_fingerprint: label,
    choices: [{ index: 0, delta, finish_reason: finish }],
  })
  const tool = { id: label, type: 'function', function: { name: 'look_up', arguments: '' } }
  return [
    // A stream, a letter at a time, in words and in the arguments of a tool.
    makeCapture({
      n: next(),
      requestBody,
      log: { ...log, response: { status: 200, size: 1, headers: { 'content-type': 'text/event-stream' } } },
      responseBody: makeStream([
        ...[...`It is ${text}. Good.`].map((letter) => chunk({ content: letter })),
        chunk({ tool_calls: [{ index: 0, ...tool }] }),
        ...[...args].map((letter) => chunk({ tool_calls: [{ index: 0, function: { arguments: letter } }] })),
        chunk({}, 'stop'),
        '[DONE]',
      ]),
    }),
    // An error that quotes the prompt, and an answer that broke off.
    makeCapture({
      n: next(),
      requestBody,
      log: {
        ...log,
        upstream_status: '400',
        response: { status: 400, size: 1, headers: { 'content-type': 'application/json' } },
      },
      responseBody: { error: { message: `marker ${rule}. Invalid value: ${text}.`, type: label, code: label } },
    }),
  ]
}

/** What stands there, for the one who mends it. */
function around(bytes: Buffer, form: string): string {
  const at = bytes.indexOf(form)
  return JSON.stringify(bytes.subarray(Math.max(0, at - 60), at + form.length + 20).toString('utf8'))
}

describe(`one of each of ${planted.length} rows through a running sidecar`, () => {
  it('arrived everywhere', () => {
    expect(sent).toBe(planted.length * 2)
    const names = new Set(everything.map(({ name }) => name.split(' ')[0]))
    expect(names).toEqual(new Set(['sink', '/metrics', 'log', 'file']))
    expect(everything.filter(({ name }) => /traces/.test(name)).length).toBeGreaterThan(1)
    expect(everything.filter(({ name }) => /loki/.test(name)).length).toBeGreaterThan(0)
    expect(everything.some(({ bytes }) => bytes.includes('[EMAIL]'))).toBe(true)
  })
  it('is read nowhere: no sink, no file, no line of the log, no metric', () => {
    const forms = (secret: string) => [
      secret,
      JSON.stringify(secret).slice(1, -1),
      JSON.stringify(JSON.stringify(secret).slice(1, -1)).slice(1, -1),
      encodeURIComponent(secret),
      Buffer.from(`data: ${secret}`).toString('base64').slice(8, -4),
    ]
    const leaks: string[] = []
    for (const { rule, secret } of planted)
      for (const form of new Set(forms(secret)))
        if (form.length >= 6)
          for (const { name, bytes } of everything)
            if (bytes.includes(form)) leaks.push(`${rule} in ${name}: ${around(bytes, form)}`)
    expect(leaks).toEqual([])
  })
})
