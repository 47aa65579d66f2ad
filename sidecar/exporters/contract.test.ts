import { startLangfuseSink } from '../../dev/sinks/langfuse.ts'
import { startLokiSink } from '../../dev/sinks/loki.ts'
import { startOtlpSink } from '../../dev/sinks/otlp.ts'
import { describeExporter } from './exporter-contract.ts'
import { langfuseConfigSchema, makeLangfuseExporter } from './langfuse.ts'
import { lokiConfigSchema, makeLokiExporter } from './loki.ts'
import { makeOtlpExporter, otlpConfigSchema } from './otlp.ts'

const KEY = 'sk-test-hunter2'
const environment = { KEY }

describeExporter('otlp', {
  startSink: () => startOtlpSink(),
  makeExporter: (endpoint, { timeoutMs }) =>
    makeOtlpExporter(
      otlpConfigSchema.parse({ endpoint, timeoutMs, content: true, headers: { authorization: { env: 'KEY' } } }),
      { environment },
    ),
  credentials: [KEY],
})

describeExporter('langfuse', {
  startSink: () => startLangfuseSink({ publicKey: 'pk-test', secretKey: KEY }),
  makeExporter: (url, { timeoutMs }) =>
    makeLangfuseExporter(
      langfuseConfigSchema.parse({ url, publicKey: 'pk-test', secretKey: { env: 'KEY' }, timeoutMs }),
      { environment },
    ),
  credentials: [KEY, Buffer.from(`pk-test:${KEY}`).toString('base64')],
})

describeExporter('loki', {
  startSink: () => startLokiSink(),
  makeExporter: (url, { timeoutMs }) =>
    makeLokiExporter(lokiConfigSchema.parse({ url, timeoutMs, headers: { authorization: { env: 'KEY' } } }), {
      environment,
    }),
  credentials: [KEY],
})
