import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, makeChild } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import { binary } from './binary.ts'

const SHIPPED = join(import.meta.dirname, '../../deploy/loki')

export interface Loki {
  url: string
  child: Child
  /** JSON of a door of its API, as this organisation. */
  get<T>(path: string, organisation: string, parameters?: Record<string, string>): Promise<T>
  close(): Promise<void>
}

/** A real Loki on deploy/loki/loki.yaml: only its folders, ports and Alertmanager are other ones, and rules run each second. */
export async function startLoki(options: { directory: string; alertmanagerUrl?: string }): Promise<Loki> {
  const { directory } = options
  mkdirSync(directory, { recursive: true })
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const file = join(directory, 'loki.yaml')
  writeFileSync(file, shippedLoki({ ...options, port, grpcPort: await freePort() }))
  const child = makeChild({
    name: 'loki',
    command: binary('loki'),
    args: [`-config.file=${file}`, '-server.http-listen-address=127.0.0.1'],
    logFile: join(directory, 'loki.log'),
    ready: async () => (await fetch(`${url}/ready`)).ok,
    // An ingester counts itself as ready fifteen seconds after it joined.
  })
  await child.start()
  return {
    url,
    child,
    async get<T>(path: string, organisation: string, parameters: Record<string, string> = {}) {
      const response = await fetch(`${url}${path}?${new URLSearchParams(parameters)}`, {
        headers: { 'x-scope-orgid': organisation },
      })
      if (!response.ok) throw new Error(`loki refused ${path}: ${response.status} ${await response.text()}`)
      return (await response.json()) as T
    },
    close: () => child.kill('SIGTERM'),
  }
}

function shippedLoki(options: { directory: string; alertmanagerUrl?: string; port: number; grpcPort: number }): string {
  const replaced: [from: string | RegExp, to: string][] = [
    [/\/etc\/loki\b/g, SHIPPED],
    [/: \/loki(?=\/|$)/gm, `: ${options.directory}`],
    ['http_listen_port: 3100', `http_listen_port: ${options.port}`],
    ['grpc_listen_port: 9096', `grpc_listen_port: ${options.grpcPort}`],
    ['http://alertmanager:9093', options.alertmanagerUrl ?? 'http://127.0.0.1:9'],
    ['evaluation_interval: 1m', 'evaluation_interval: 1s'],
  ]
  let text = readFileSync(join(SHIPPED, 'loki.yaml'), 'utf8')
  for (const [from, to] of replaced) {
    const changed = text.replace(from, to)
    if (changed === text) throw new Error(`deploy/loki/loki.yaml does not hold ${from}`)
    text = changed
  }
  return text
}
