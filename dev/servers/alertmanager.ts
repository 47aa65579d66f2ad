import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Child, makeChild } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import { binary } from './binary.ts'

export interface AlertmanagerOptions {
  /** Configuration, notification log, silences and log land here, and are found again by the next one on it. */
  directory: string
  port?: number
  /** alertmanager.yml as an object; relative paths in it are taken from `directory`. */
  config: object
  flags?: readonly string[]
}

/** What a Prometheus posts. Without `endsAt` the alert resolves when nobody repeats it for `resolve_timeout`. */
export interface PostedAlert {
  labels: Record<string, string>
  annotations?: Record<string, string>
  startsAt?: string
  endsAt?: string
  generatorURL?: string
}

export interface AlertmanagerAlert {
  labels: Record<string, string>
  annotations: Record<string, string>
  receivers: { name: string }[]
  status: {
    state: 'active' | 'suppressed' | 'unprocessed'
    silencedBy: string[]
    inhibitedBy: string[]
  }
}

export interface Alertmanager {
  url: string
  /** host:port, as `alerting.alertmanagers` of Prometheus wants it. */
  target: string
  child: Child
  /** Matchers as in a route: `alertname="LLMWatchdog"`. */
  alerts(...matchers: string[]): Promise<AlertmanagerAlert[]>
  post(...alerts: PostedAlert[]): Promise<void>
  reload(config: object): Promise<void>
  close(): Promise<void>
}

/** A real Alertmanager on the loopback address, alone (no cluster), ready for alerts. */
export async function startAlertmanager(options: AlertmanagerOptions): Promise<Alertmanager> {
  const { directory } = options
  mkdirSync(directory, { recursive: true })
  const configFile = join(directory, 'alertmanager.yml')
  const write = (config: object) => writeFileSync(configFile, stringify(config, { aliasDuplicateObjects: false }))
  write(options.config)
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const child = makeChild({
    name: 'alertmanager',
    command: binary('alertmanager'),
    args: [
      `--config.file=${configFile}`,
      `--storage.path=${join(directory, 'state')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
      ...(options.flags ?? []),
    ],
    logFile: join(directory, 'alertmanager.log'),
    ready: async () => (await fetch(`${url}/-/ready`)).ok,
  })
  await child.start()

  return {
    url,
    target: `127.0.0.1:${port}`,
    child,
    async alerts(...matchers) {
      const query = new URLSearchParams(matchers.map((matcher): [string, string] => ['filter', matcher]))
      const response = await fetch(`${url}/api/v2/alerts?${query}`)
      if (!response.ok) throw new Error(`alertmanager refused ${query}: ${await response.text()}`)
      return (await response.json()) as AlertmanagerAlert[]
    },
    async post(...alerts) {
      const response = await fetch(`${url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(alerts),
      })
      if (!response.ok) throw new Error(`alertmanager refused the alerts: ${await response.text()}`)
    },
    async reload(config) {
      write(config)
      const response = await fetch(`${url}/-/reload`, { method: 'POST' })
      if (!response.ok) throw new Error(`alertmanager refused its configuration: ${(await response.text()).trim()}`)
    },
    close: () => child.kill('SIGTERM'),
  }
}
