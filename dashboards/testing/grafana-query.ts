/**
 * What Grafana makes of a board's query before Prometheus sees it: variables, intervals and steps, as its Prometheus data
 * source reckons them (public/app/core rangeutil, pkg/promlib/models/query.go).
 */

/** Epoch seconds. */
export interface Range {
  from: number
  to: number
}
export interface Asked {
  range: Range
  /** Values by the variable's name; several are one pattern. `All` is the variable's allValue. */
  variables: Readonly<Record<string, string | readonly string[]>>
  /** Points that fit into the panel: its width in pixels, more or less. */
  maxDataPoints?: number
  /** timeInterval of the data source (deploy/grafana/provisioning/datasources). */
  scrapeSeconds?: number
}
export interface GrafanaQuery {
  expr: string
  start: number
  end: number
  stepSeconds: number
}

const SCRAPE_SECONDS = 15
const MAX_DATA_POINTS = 700
const MAX_POINTS_OF_PROMETHEUS = 11_000

export function grafanaQuery(expr: string, asked: Asked): GrafanaQuery {
  const { range, maxDataPoints = MAX_DATA_POINTS, scrapeSeconds = SCRAPE_SECONDS } = asked
  const seconds = range.to - range.from
  const stepSeconds = Math.max(
    roundInterval(seconds / maxDataPoints),
    roundInterval(seconds / MAX_POINTS_OF_PROMETHEUS),
    scrapeSeconds,
  )
  const built: Record<string, string> = {
    __interval: `${stepSeconds}s`,
    __interval_ms: String(stepSeconds * 1000),
    __rate_interval: `${Math.max(stepSeconds + scrapeSeconds, 4 * scrapeSeconds)}s`,
    __range: `${Math.round(seconds)}s`,
    __range_s: String(Math.round(seconds)),
    __range_ms: String(Math.round(seconds * 1000)),
  }
  const align = (at: number) => Math.floor(at / stepSeconds) * stepSeconds
  return {
    expr: substitute(expr, { ...asked.variables, ...built }),
    start: align(range.from),
    end: align(range.to),
    stepSeconds,
  }
}

/** `$name` and `${name}`; a variable that is not given is an error, where Grafana would leave it as it stands. */
export function substitute(text: string, variables: Asked['variables']): string {
  return text.replace(
    /\$(?:(\w+)|\{(\w+)(?::\w+)?\})/g,
    (whole, plain: string | undefined, braced: string | undefined) => {
      const value = variables[plain ?? braced ?? '']
      if (value === undefined) throw new Error(`no such variable: ${whole} in ${text}`)
      return typeof value === 'string' ? value : oneOf(value)
    },
  )
}

/** Several chosen values are one pattern: prometheusSpecialRegexEscape. */
function oneOf(values: readonly string[]): string {
  const escaped = values.map((value) =>
    value.replace(/\\/g, '\\\\\\\\').replace(/[$^*{}[\]'+?.()|]/g, (letter) => `\\\\${letter}`),
  )
  return escaped.length === 1 ? escaped[0]! : `(${escaped.join('|')})`
}

/** Upper bound of what is rounded to it, both in seconds. */
const ROUNDED: readonly (readonly [below: number, to: number])[] = [
  [1.5, 1],
  [3.5, 2],
  [7.5, 5],
  [12.5, 10],
  [17.5, 15],
  [25, 20],
  [45, 30],
  [90, 60],
  [210, 120],
  [450, 300],
  [750, 600],
  [1050, 900],
  [1500, 1200],
  [2700, 1800],
  [5400, 3600],
  [9000, 7200],
  [16_200, 10_800],
  [32_400, 21_600],
  [64_800, 43_200],
]
function roundInterval(seconds: number): number {
  return ROUNDED.find(([below]) => seconds < below)?.[1] ?? 86_400
}

/** `now`, `now-24h`, `now-30d` of a board. */
export function timeOf(text: string, now: number): number {
  const match = /^now(?:-(\d+)([smhdw]))?$/.exec(text)
  if (match === null) throw new Error(`not a relative time: ${text}`)
  const unit = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }[match[2] ?? 's']!
  return now - Number(match[1] ?? 0) * unit
}
