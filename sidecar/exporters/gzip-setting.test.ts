import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { makeCall } from '../testing/make-call.ts'
import type { Exporter } from './exporter.ts'
import { type GzipSetting, gzipSchema, usesGzip } from './gzip-setting.ts'
import { langfuseConfigSchema, makeLangfuseExporter } from './langfuse.ts'
import { lokiConfigSchema, makeLokiExporter } from './loki.ts'
import { makeOtlpExporter, otlpConfigSchema } from './otlp.ts'

describe('gzip', () => {
  it.each([
    'http://127.0.0.1:4318',
    'http://127.8.9.10/otel',
    'http://127.1:3100',
    'http://localhost:3000',
    'http://LOCALHOST',
    'http://langfuse.localhost',
    'http://[::1]:4318',
    'http://[::ffff:127.0.0.1]:4318',
  ])('auto: not to %s', (url) => expect(usesGzip('auto', url)).toBe(false))

  it.each([
    'http://otel-collector:4318',
    'https://cloud.langfuse.com',
    'http://10.0.0.7',
    'http://128.0.0.1',
    'http://[fd00::1]',
    'http://localhost.example.com',
    'http://127.0.0.1.example.com',
  ])('auto: to %s', (url) => expect(usesGzip('auto', url)).toBe(true))

  it('is what it is set to', () => {
    expect(usesGzip(true, 'http://127.0.0.1')).toBe(true)
    expect(usesGzip(false, 'https://cloud.langfuse.com')).toBe(false)
  })

  it('is auto where nothing is said, and refuses another word', () => {
    expect(gzipSchema.parse(undefined)).toBe('auto')
    expect(gzipSchema.safeParse('on').error?.issues[0]?.message).toBe('write true, false or auto')
  })
})

const MAKERS: Record<string, (url: string, gzip: GzipSetting) => Exporter> = {
  otlp: (endpoint, gzip) => makeOtlpExporter(otlpConfigSchema.parse({ endpoint, gzip }), { environment: {} }),
  langfuse: (url, gzip) =>
    makeLangfuseExporter(langfuseConfigSchema.parse({ url, publicKey: 'pk', secretKey: 'sk', gzip }), {
      environment: {},
    }),
  loki: (url, gzip) => makeLokiExporter(lokiConfigSchema.parse({ url, gzip }), { environment: {} }),
}

describe.each(Object.entries(MAKERS))('%s', (_name, make) => {
  it('sends as it is set: the same bytes, packed or not', async () => {
    const seen: { encoding: string | undefined; body: Buffer }[] = []
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      seen.push({ encoding: request.headers['content-encoding'], body: Buffer.concat(chunks) })
      response.writeHead(200).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    for (const gzip of ['auto', true, false] as const) {
      const exporter = make(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, gzip)
      expect(await exporter.send([makeCall()], new AbortController().signal)).toMatchObject({ sent: 1 })
      await exporter.close()
    }
    server.close()
    expect(seen.map(({ encoding }) => encoding)).toEqual([undefined, 'gzip', undefined])
    expect(gunzipSync(seen[1]!.body)).toEqual(seen[0]!.body)
    expect(seen[2]!.body).toEqual(seen[0]!.body)
  })
})
