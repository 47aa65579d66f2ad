import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, makeChild } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import { binary } from './binary.ts'

const SHIPPED = join(import.meta.dirname, '../../deploy/otel-collector')
export const COLLECTOR_FILES = { traces: join(SHIPPED, 'config.yaml'), logs: join(SHIPPED, 'logs.yaml') }

export interface Collector {
  /** Where spans go; `/v1/traces` is added. */
  otlpUrl: string
  /** The span metrics, as Prometheus reads them: OpenMetrics, with exemplars. */
  spanMetrics(): Promise<string>
  child: Child
  close(): Promise<void>
}

/** A real Collector on the shipped files as they are; addresses and times come from the variables that stand in them. */
export async function startCollector(options: {
  directory: string
  files: readonly string[]
  environment?: Readonly<Record<string, string>>
}): Promise<Collector> {
  mkdirSync(options.directory, { recursive: true })
  const [otlp, spanMetrics, own, health] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const child = makeChild({
    name: 'otelcol',
    command: binary('otelcol'),
    args: options.files.flatMap((file) => ['--config', file]),
    env: {
      COLLECTOR_STORAGE: join(options.directory, 'storage'),
      COLLECTOR_OTLP_HTTP: `127.0.0.1:${otlp}`,
      COLLECTOR_SPAN_METRICS: `127.0.0.1:${spanMetrics}`,
      COLLECTOR_OWN_METRICS_HOST: '127.0.0.1',
      COLLECTOR_OWN_METRICS_PORT: String(own),
      COLLECTOR_HEALTH: `127.0.0.1:${health}`,
      ...options.environment,
    },
    logFile: join(options.directory, 'otelcol.log'),
    ready: async () => (await fetch(`http://127.0.0.1:${health}/`)).ok,
  })
  await child.start()
  return {
    otlpUrl: `http://127.0.0.1:${otlp}`,
    spanMetrics: async () => {
      const headers = { accept: 'application/openmetrics-text;version=1.0.0' }
      return (await fetch(`http://127.0.0.1:${spanMetrics}/metrics`, { headers })).text()
    },
    child,
    close: () => child.kill('SIGTERM'),
  }
}
