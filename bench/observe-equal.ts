import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { pickLogDocument } from '../plugin/log-document.ts'
import { openPriceBook } from '../pricing/open-price-book.ts'
import type { Capture } from '../sidecar/capture.ts'
import { attributionConfigSchema } from '../sidecar/pipeline/attribute.ts'
import { makeObserver } from '../sidecar/pipeline/observe.ts'
import { makeRedactor, redactionConfigSchema } from '../sidecar/redaction/redact.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'
import { BENCH_TEXTS, DEFAULT_LOAD, makeBenchCaptures } from './bench-capture.ts'

// node bench/observe-equal.ts --root other/checkout: whether both make the same JSON of the same captures, member for member:
// calls of the bench, recorded exchanges of providers and logs of Kong (../shared), whole, cut, streamed, refused, as a log alone.
const { values } = parseArgs({ options: { root: { type: 'string' } } })
if (values.root === undefined) {
  process.stderr.write('--root: the checkout to compare with\n')
  process.exit(2)
}
const root = resolve(values.root)
const SHARED = join(import.meta.dirname, '../../shared/data')

interface Modules {
  openPriceBook: typeof openPriceBook
  makeObserver: typeof makeObserver
  makeRedactor: typeof makeRedactor
  redactionConfigSchema: typeof redactionConfigSchema
  attributionConfigSchema: typeof attributionConfigSchema
}
const others: Modules = {
  ...(await import(join(root, 'pricing/open-price-book.ts'))),
  ...(await import(join(root, 'sidecar/pipeline/observe.ts'))),
  ...(await import(join(root, 'sidecar/redaction/redact.ts'))),
  ...(await import(join(root, 'sidecar/pipeline/attribute.ts'))),
}
const own: Modules = { openPriceBook, makeObserver, makeRedactor, redactionConfigSchema, attributionConfigSchema }

function observerOf(modules: Modules, attribution: object, content: boolean, maxContentBytes: number) {
  return modules.makeObserver({
    book: modules.openPriceBook(),
    attribution: modules.attributionConfigSchema.parse(attribution),
    semanticCache: { rules: [] },
    redactor: modules.makeRedactor(modules.redactionConfigSchema.parse({})),
    providers: {},
    maxContentBytes,
    content,
  })
}

interface Recorded {
  method: string
  host: string
  url_path: string
  request_headers: Record<string, string> | null
  request_body: unknown
  response_status: number
  response_headers: Record<string, string> | null
  response_body_b64: string | null
  /** Of the wire cases. */
  response_body?: unknown
}

interface Case {
  request: { method?: string; host?: string; path?: string; headers?: Record<string, string>; body?: unknown }
  response?: { status?: number; headers?: Record<string, string>; body?: unknown }
}

function* captures(): Generator<Capture> {
  for (const text of BENCH_TEXTS)
    for (const load of [{}, { chunks: 30 }, { bytes: 64 * 1024 }, { tenants: 3, models: 3 }]) {
      const captureOf = makeBenchCaptures({ ...DEFAULT_LOAD, text, ...load })
      for (let n = 1; n <= 50; n++) yield captureOf(n)
    }
  const file = join(SHARED, 'provider-exchanges/exchanges.jsonl')
  if (existsSync(file))
    for (const [n, line] of readFileSync(file, 'utf8').trim().split('\n').entries())
      yield* variants(JSON.parse(line) as Recorded, n)
  const cases = join(SHARED, 'wire-cases/cases.jsonl')
  if (existsSync(cases))
    for (const [n, line] of readFileSync(cases, 'utf8').trim().split('\n').entries()) {
      const { request, response } = JSON.parse(line) as Case
      yield* variants(
        {
          method: request.method ?? 'POST',
          host: request.host ?? 'api.openai.com',
          url_path: request.path ?? '/v1/chat/completions',
          request_headers: request.headers ?? null,
          request_body: request.body,
          response_status: response?.status ?? 200,
          response_headers: response?.headers ?? null,
          response_body_b64: null,
          response_body: response?.body,
        },
        n,
      )
    }
  const logs = join(SHARED, 'kong-3.9.3-logs')
  if (existsSync(logs))
    for (const name of readdirSync(logs).filter((each) => each.endsWith('.json'))) {
      const log = pickLogDocument(JSON.parse(readFileSync(join(logs, name), 'utf8'))) as Capture['log'] | undefined
      if (log === undefined) continue
      yield { ...makeCapture(), log }
      yield { ...makeCapture(), log, source: 'log', request_body: null, response_body: null }
    }
}

function* variants(recorded: Recorded, n: number): Generator<Capture> {
  const bodyOf = (body: unknown) => (body == null ? '' : typeof body === 'string' ? body : JSON.stringify(body))
  const base = makeCapture({
    n: n + 1,
    requestBody: bodyOf(recorded.request_body),
    responseBody:
      recorded.response_body_b64 == null
        ? bodyOf(recorded.response_body)
        : Buffer.from(recorded.response_body_b64, 'base64').toString(),
    log: {
      upstream_uri: recorded.url_path,
      upstream_status: String(recorded.response_status),
      service: { id: 's', name: 'llm', host: recorded.host, port: 443, protocol: 'https', tags: [] },
      request: {
        id: `request-${n}`,
        method: recorded.method,
        uri: recorded.url_path,
        headers: { 'content-type': 'application/json', ...recorded.request_headers },
      },
      response: {
        status: recorded.response_status,
        headers: { 'content-type': 'application/json', ...recorded.response_headers },
      },
    },
  })
  yield base
  const half = (body: string | null | undefined) => {
    const bytes = Buffer.from(body ?? '', 'base64')
    return bytes.subarray(0, bytes.length >> 1).toString('base64')
  }
  yield { ...base, request_body: half(base.request_body), response_body: half(base.response_body) }
  yield { ...base, content: 'off', response_complete: false }
  yield {
    ...base,
    log: {
      ...base.log,
      source: 'kong',
      tries: [
        { ip: '10.0.0.1', port: 1, code: 502, balancer_start: base.log.started_at },
        { ip: '10.0.0.2', port: 2, balancer_start: base.log.started_at + 5 },
      ],
      response: {
        status: 400,
        headers: {
          ...base.log.response.headers,
          'x-ratelimit-remaining-tokens': 7,
          'retry-after': '3',
          'x-cache-status': 'Hit',
        },
      },
      request: {
        ...base.log.request,
        headers: {
          ...base.log.request.headers,
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
          b3: '0',
        },
      },
    },
  }
}

const pairs = [
  { attribution: {}, content: true, maxBytes: 65_536 },
  { attribution: { trustedRoutes: ['openai'], hashUsers: true }, content: true, maxBytes: 300 },
  { attribution: {}, content: false, maxBytes: 65_536 },
].map(({ attribution, content, maxBytes }) => [
  observerOf(own, attribution, content, maxBytes),
  observerOf(others, attribution, content, maxBytes),
])
let compared = 0
let different = 0
for (const capture of captures())
  for (const [mine, theirs] of pairs) {
    compared++
    const [a, b] = [JSON.stringify(mine!(capture)), JSON.stringify(theirs!(capture))]
    if (a === b) continue
    different++
    if (different <= 3) process.stdout.write(`${capture.log.request.id}\n  ${a}\n  ${b}\n`)
  }
process.stdout.write(`${compared} calls compared with ${root}: ${different} differ\n`)
process.exitCode = different === 0 ? 0 : 1
