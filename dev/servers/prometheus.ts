import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Child, makeChild } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import { binary } from './binary.ts'

export interface PrometheusOptions {
  /** Configuration, samples and log land here. Samples that are there already are served. */
  directory: string
  port?: number
  /** prometheus.yml as an object; relative paths in it are taken from `directory`. */
  config: object
  flags?: readonly string[]
}

export interface Series {
  labels: Record<string, string>
}
export interface Sample extends Series {
  value: number
}
export interface SampledSeries extends Series {
  /** Seconds since 1970, value. */
  points: [at: number, value: number][]
}
/** Seconds since 1970, or a Date. */
export type Time = number | Date

export interface Prometheus {
  url: string
  child: Child
  /** The samples of a vector at one time (now, where none is given); a scalar is one sample without labels. */
  query(promql: string, time?: Time): Promise<Sample[]>
  queryRange(promql: string, range: { start: Time; end: Time; stepSeconds: number }): Promise<SampledSeries[]>
  /** Any door of the HTTP API, by its path after /api/v1; Prometheus's own error where it refuses. */
  api<T>(path: string, parameters?: Record<string, string>): Promise<T>
  /** Writes a new prometheus.yml (or leaves the old one: rule files are read again) and loads it. */
  reload(config?: object): Promise<void>
  close(): Promise<void>
}

/** A real Prometheus on the loopback address, ready to be asked. */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { directory } = options
  mkdirSync(directory, { recursive: true })
  const configFile = join(directory, 'prometheus.yml')
  const write = (config: object) => writeFileSync(configFile, stringify(config, { aliasDuplicateObjects: false }))
  write(options.config)
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const child = makeChild({
    name: 'prometheus',
    command: binary('prometheus'),
    args: [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(directory, 'samples')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-lifecycle',
      ...(options.flags ?? []),
    ],
    logFile: join(directory, 'prometheus.log'),
    ready: async () => (await fetch(`${url}/-/ready`)).ok,
  })
  await child.start()

  async function api<T>(path: string, parameters: Record<string, string> = {}): Promise<T> {
    // As a form: a board's query may be longer than an address.
    const form = Object.keys(parameters).length > 0
    const response = await fetch(
      `${url}/api/v1${path}`,
      form ? { method: 'POST', body: new URLSearchParams(parameters) } : {},
    )
    const answer = (await response.json()) as { status: string; data: T; error?: string }
    if (answer.status !== 'success')
      throw new Error(`prometheus refused ${path} ${JSON.stringify(parameters)}: ${answer.error}`)
    return answer.data
  }

  return {
    url,
    child,
    api,
    async query(promql, time) {
      const data = await api<QueryResult>('/query', {
        query: promql,
        ...(time === undefined ? {} : { time: String(secondsOf(time)) }),
      })
      if (data.resultType === 'scalar') return [{ labels: {}, value: Number(data.result[1]) }]
      if (data.resultType === 'vector')
        return data.result.map(({ metric, value, histogram }) => {
          if (value === undefined) throw new Error(`a histogram, not a number: ${promql} ${JSON.stringify(histogram)}`)
          return { labels: metric, value: Number(value[1]) }
        })
      throw new Error(`a ${data.resultType} is neither vector nor scalar: ${promql}`)
    },
    async queryRange(promql, { start, end, stepSeconds }) {
      const data = await api<{ result: { metric: Record<string, string>; values?: [number, string][] }[] }>(
        '/query_range',
        {
          query: promql,
          start: String(secondsOf(start)),
          end: String(secondsOf(end)),
          step: String(stepSeconds),
        },
      )
      return data.result.map(({ metric, values = [] }) => ({
        labels: metric,
        points: values.map(([at, value]): [number, number] => [at, Number(value)]),
      }))
    },
    async reload(config) {
      if (config !== undefined) write(config)
      const response = await fetch(`${url}/-/reload`, { method: 'POST' })
      if (!response.ok) throw new Error(`prometheus refused its configuration: ${(await response.text()).trim()}`)
    },
    close: () => child.kill('SIGTERM'),
  }
}

const secondsOf = (time: Time) => (typeof time === 'number' ? time : time.getTime() / 1000)

type QueryResult =
  | { resultType: 'scalar'; result: [number, string] }
  | {
      resultType: 'vector'
      result: { metric: Record<string, string>; value?: [number, string]; histogram?: unknown }[]
    }
  | { resultType: 'matrix' | 'string'; result: unknown }
