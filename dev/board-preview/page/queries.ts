import { type DataFrame, type Field, FieldType, rangeUtil, type TimeRange, toDataFrame } from '@grafana/data'
import type { Board, Panel, Target } from './board.ts'

const SCRAPE_SECONDS = 15
export type Interpolate = (text: string, special?: Record<string, string>) => string

async function ask<T>(path: string, parameters: Record<string, string>): Promise<T> {
  const response = await fetch(`/prometheus${path}`, { method: 'POST', body: new URLSearchParams(parameters) })
  const answer = (await response.json()) as { status: string; data: T; error?: string }
  if (answer.status !== 'success') throw new Error(answer.error)
  return answer.data
}

/** The variables as Grafana fills them in when a board is opened: “All” is its allValue, one tenant is the first. */
export async function chooseVariables(board: Board, range: TimeRange, given: Record<string, string>) {
  const chosen: { name: string; label: string; text: string; value: string }[] = []
  const interpolate: Interpolate = (text, special = {}) =>
    text.replace(/\$\{([a-zA-Z_]\w*)(?::[^}]*)?\}|\$([a-zA-Z_]\w*)/g, (whole, braced, bare) => {
      const name = braced ?? bare
      return special[name] ?? chosen.find((one) => one.name === name)?.value ?? whole
    })
  const [start, end] = secondsOf(range)
  for (const variable of board.templating.list) {
    const { name, label = name } = variable
    if (variable.type === 'datasource') chosen.push({ name, label, text: name, value: name })
    if (variable.type === 'textbox') chosen.push({ name, label, text: '', value: String(variable.query ?? '') })
    if (variable.type !== 'query') continue
    if (given[name] !== undefined) chosen.push({ name, label, text: given[name], value: given[name] })
    else if (variable.includeAll) chosen.push({ name, label, text: 'All', value: variable.allValue ?? '.*' })
    else {
      const query = (variable.query as { query: string }).query
      const [, selector, of] = /^label_values\((.*), *(\w+)\)$/s.exec(interpolate(query)) ?? []
      const values = await ask<string[]>(`/api/v1/label/${of}/values`, { 'match[]': selector!, start, end })
      const first = values.toSorted((a, b) => a.localeCompare(b))[0] ?? ''
      chosen.push({ name, label, text: first, value: first })
    }
  }
  return { chosen, interpolate }
}

/** Frames as Grafana's Prometheus data source gives them for these targets. */
export async function framesOf(
  panel: Panel,
  { range, width, interpolate }: { range: TimeRange; width: number; interpolate: Interpolate },
): Promise<DataFrame[]> {
  const targets = panel.targets ?? []
  const rangeMs = range.to.valueOf() - range.from.valueOf()
  const interval = Math.max(
    SCRAPE_SECONDS,
    rangeUtil.calculateInterval(range, panel.maxDataPoints ?? Math.max(100, Math.floor(width))).intervalMs / 1000,
  )
  const special = {
    __interval: `${interval}s`,
    __interval_ms: String(interval * 1000),
    __rate_interval: `${Math.max(interval + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s`,
    __range: `${Math.round(rangeMs / 1000)}s`,
    __range_s: String(Math.round(rangeMs / 1000)),
    __range_ms: String(rangeMs),
  }
  const [start, end] = secondsOf(range)
  const frames = await Promise.all(
    targets.map(async (target) => {
      const query = interpolate(target.expr, special)
      if (target.instant) {
        const { result } = await ask<{ result: Sample[] }>('/api/v1/query', { query, time: end })
        return target.format === 'table'
          ? [tableOf(target, result, targets.length)]
          : result.map((one) => seriesOf(target, one.metric, [one.value]))
      }
      const aligned = Math.floor(Number(start) / interval) * interval
      const { result } = await ask<{ result: Series[] }>('/api/v1/query_range', {
        query,
        start: String(aligned),
        end,
        step: String(interval),
      })
      return result.map((one) => seriesOf(target, one.metric, one.values, interval))
    }),
  )
  return frames.flat()
}

interface Sample {
  metric: Record<string, string>
  value: [number, string]
}
interface Series {
  metric: Record<string, string>
  values: [number, string][]
}
const secondsOf = (range: TimeRange) =>
  [range.from, range.to].map((time) => String(Math.floor(time.valueOf() / 1000))) as [string, string]

function seriesOf(
  target: Target,
  labels: Record<string, string>,
  points: [number, string][],
  interval?: number,
): DataFrame {
  const legend = (target.legendFormat ?? '').replace(
    /\{\{\s*([^}\s]+)\s*\}\}/g,
    (_, name: string) => labels[name] ?? '',
  )
  return toDataFrame({
    refId: target.refId,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        values: points.map(([at]) => at * 1000),
        config: interval === undefined ? {} : { interval: interval * 1000 },
      },
      {
        name: 'Value',
        type: FieldType.number,
        labels,
        values: points.map(([, value]) => Number(value)),
        config: legend === '' ? {} : { displayNameFromDS: legend },
      },
    ],
  })
}

function tableOf(target: Target, result: Sample[], of: number): DataFrame {
  const names = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort()
  const fields: Partial<Field>[] = [
    { name: 'Time', type: FieldType.time, values: result.map(({ value }) => value[0] * 1000), config: {} },
    ...names.map((name) => ({
      name,
      type: FieldType.string,
      values: result.map(({ metric }) => metric[name] ?? ''),
      config: { filterable: true },
    })),
    {
      name: of === 1 ? 'Value' : `Value #${target.refId}`,
      type: FieldType.number,
      values: result.map(({ value }) => Number(value[1])),
      config: {},
    },
  ]
  return toDataFrame({ refId: target.refId, fields: result.length === 0 ? [] : fields })
}
