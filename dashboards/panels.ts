import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  DashboardLinkBuilder,
  type DataTransformerConfig,
  FieldColorModeId,
  MappingType,
  type Panel,
  SpecialValueMatch,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { PanelBuilder as LogsBuilder } from '@grafana/grafana-foundation-sdk/logs'
import { DataqueryBuilder as LokiQueryBuilder } from '@grafana/grafana-foundation-sdk/loki'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import type { Selector, Vector } from '../monitoring/promql.ts'

export const PROMETHEUS = { type: 'prometheus', uid: '${prometheus_datasource}' }
export const LOKI = { type: 'loki', uid: '${loki_datasource}' }

/** A panel answers one question: its title asks it, its description says what the answer means. */
export interface About {
  title: string
  description: string
  unit: string
  /** Of 24 columns, and rows of 30 pixels. */
  width?: number
  height?: number
  decimals?: number
  /** Without data: what that means. */
  noValue?: string
  links?: readonly Link[]
}
export interface Link {
  title: string
  url: string
}
export interface Line {
  query: Vector<string>
  legend: string
  /** Buckets whose exemplars stand beside the line: recorded series have none. */
  exemplarsOf?: Selector<string>
}
/** From which value on which colour; the first from minus infinity. */
export type Steps = readonly [colour: string, ...(readonly [from: number, colour: string])[]]
export type PanelBuilder = { build(): Panel }

/** A number that is neither good nor bad. */
const NEUTRAL: Steps = ['text']
/** Names of models and guardrails are long: in pixels. */
const WIDE: Readonly<Record<string, number>> = { model: 200, guardrail: 200 }

/** Five minutes each of a day: a rate covers what is between two of them (bench/board-speed.ts). */
const POINTS = 300
/** Of a line whose every point is about an hour: each reads the hour's samples, and between two of them little changes. */
export const HOURLY_POINTS = 100

/** One number, now or over the board's range. */
export function stat(about: About & { query: Vector<string>; steps?: Steps; legend?: string }): PanelBuilder {
  const panel = new StatBuilder()
    .graphMode(BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(about.steps ?? NEUTRAL))
    // Without a value no threshold is passed: it is no alarm.
    .mappings([
      {
        type: MappingType.SpecialValue,
        options: { match: SpecialValueMatch.NullAndNan, result: { text: about.noValue ?? 'no data', color: 'text' } },
      },
    ])
    .withTarget(query('A', about.query, about.legend ?? '').instant())
  return described(panel, { width: 4, height: 4, ...about })
}

/** Lines over time; `stack` where the sum means something. */
export function graph(
  about: About & {
    lines: readonly Line[]
    stack?: boolean
    /** 0 where not given; `lowest`: the axis begins where the lines do, below 0 as well. */
    min?: number | 'lowest'
    max?: number
    /** The axis reaches at least so far: few events are not drawn as many. */
    softMax?: number
    steps?: Steps
    /** Of lines whose name has a meaning. */
    colours?: Readonly<Record<string, string>>
    /** Of a line at most: what a point covers, Grafana's interval, grows with it; the time that the query takes, shrinks. */
    points?: number
  },
): PanelBuilder {
  const panel = new TimeseriesBuilder()
    .drawStyle(GraphDrawStyle.Line)
    // Bands without edges: a series of zeros on top of the others would paint its colour along them.
    .lineWidth(about.stack === true ? 0 : 1)
    .fillOpacity(about.stack === true ? 70 : 5)
    .spanNulls(false)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi))
  panel.maxDataPoints(about.points ?? POINTS)
  if (about.min !== 'lowest') panel.min(about.min ?? 0)
  if (about.max !== undefined) panel.max(about.max)
  if (about.softMax !== undefined) panel.axisSoftMax(about.softMax)
  for (const [name, fixedColor] of Object.entries(about.colours ?? {}))
    panel.overrideByName(name, [{ id: 'color', value: { mode: FieldColorModeId.Fixed, fixedColor } }])
  if (about.stack === true) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'))
  if (about.steps !== undefined) panel.thresholds(thresholds(about.steps))
  about.lines.forEach(({ query: vector, legend, exemplarsOf }, index) => {
    if (exemplarsOf === undefined) panel.withTarget(query(refId(index), vector, legend).range())
    else panel.withTarget(query(refId(index), besides(vector, exemplarsOf), legend).range().exemplar(true))
  })
  return described(panel, { width: 12, height: 8, ...about })
}

/** Prometheus looks for exemplars of every selector of a query. This one is read at one time only, and draws nothing. */
function besides(vector: Vector<string>, { text }: Selector<string>): Vector<string> {
  return { text: `${vector.text} or ${text} @ end() < 0` }
}

export interface Column {
  query: Vector<string>
  title: string
  unit?: string
  decimals?: number
  steps?: Steps
}
/** A row for each combination of the labels that all columns have in common; the first column sorts. */
export function table(
  about: About & { labels: Readonly<Record<string, string>>; columns: readonly Column[]; rowLinks?: readonly Link[] },
): PanelBuilder {
  const { labels, columns } = about
  // So many pixels at least: on a phone a table is pushed aside rather than its numbers cut.
  const panel = new TableBuilder().minWidth(75)
  columns.forEach(({ query: vector }, index) => {
    panel.withTarget(query(refId(index), vector, '').instant().format(PromQueryFormat.Table))
  })
  panel.transformations(
    tableOf(
      labels,
      columns.map(({ title }) => title),
    ),
  )
  for (const { title, unit, decimals, steps } of columns)
    panel.overrideByName(title, [
      { id: 'unit', value: unit ?? about.unit },
      ...(decimals === undefined ? [] : [{ id: 'decimals', value: decimals }]),
      ...(steps === undefined
        ? []
        : [
            { id: 'thresholds', value: thresholds(steps).build() },
            { id: 'custom.cellOptions', value: { type: 'color-text' } },
          ]),
    ])
  for (const [label, title] of Object.entries(labels))
    if (WIDE[label] !== undefined) panel.overrideByName(title, [{ id: 'custom.width', value: WIDE[label] }])
  // What the empty table says is no name of anybody: an alert about no tenant has an empty cell.
  if (about.noValue !== undefined)
    for (const title of Object.values(labels)) panel.overrideByName(title, [{ id: 'noValue', value: '–' }])
  if (about.rowLinks !== undefined)
    panel.overrideByName(Object.values(labels)[0]!, [
      { id: 'links', value: about.rowLinks.map(({ title, url }) => ({ title, url, targetBlank: false })) },
    ])
  return described(panel, { width: 24, height: 9, ...about })
}

/** Grafana names the value of a table query “Value #A”; joins by the labels; puts them in order. */
function tableOf(labels: Readonly<Record<string, string>>, titles: readonly string[]): DataTransformerConfig[] {
  const names = Object.keys(labels)
  const value = (index: number) => (titles.length === 1 ? 'Value' : `Value #${refId(index)}`)
  return [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: Object.fromEntries(
          [...names, ...titles.map((_, index) => value(index))].map((name, at) => [name, at]),
        ),
        renameByName: { ...labels, ...Object.fromEntries(titles.map((title, index) => [value(index), title])) },
      },
    },
    { id: 'sortBy', options: { fields: {}, sort: [{ field: titles[0], desc: true }] } },
  ]
}

/** Lines of a log. */
export function logs(about: About & { query: string }): PanelBuilder {
  const panel = new LogsBuilder().showTime(true).wrapLogMessage(true).enableLogDetails(true)
  panel.datasource(LOKI).withTarget(new LokiQueryBuilder().expr(about.query).refId('A').datasource(LOKI))
  return described(panel, { width: 24, height: 8, ...about }, LOKI)
}

export function thresholds([first, ...rest]: Steps): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([{ value: null, color: first }, ...rest.map(([value, color]) => ({ value, color }))])
}

function query(id: string, vector: Vector<string>, legend: string): DataqueryBuilder {
  return new DataqueryBuilder().refId(id).expr(vector.text).legendFormat(legend).datasource(PROMETHEUS)
}
function refId(index: number): string {
  return String.fromCharCode(65 + index)
}

type Described = StatBuilder | TimeseriesBuilder | TableBuilder | LogsBuilder
function described<Builder extends Described>(panel: Builder, about: About, source = PROMETHEUS): Builder {
  panel
    .title(about.title)
    .description(about.description)
    .unit(about.unit)
    .span(about.width!)
    .height(about.height!)
    .datasource(source)
  if (about.decimals !== undefined) panel.decimals(about.decimals)
  if (about.noValue !== undefined) panel.noValue(about.noValue)
  if (about.links !== undefined)
    panel.dataLinks(about.links.map(({ title, url }) => new DashboardLinkBuilder(title).url(url)))
  return panel
}
