import {
  applyFieldOverrides,
  applyNullInsertThreshold,
  cacheFieldDisplayNames,
  type DataFrame,
  FieldType,
  type GrafanaTheme2,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  type TimeRange,
  transformDataFrame,
} from '@grafana/data'
import { LegendDisplayMode } from '@grafana/schema'
import { BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, TimeSeries } from '@grafana/ui'
import { TableNG } from '@grafana/ui/unstable'
import { firstValueFrom } from 'rxjs'
import type { Panel } from './board.ts'
import type { Interpolate } from './queries.ts'
import { fieldConfigOf } from './registries.ts'

export interface Drawn {
  panel: Panel
  frames: DataFrame[]
  error?: string
}

/** Transformations, then defaults and overrides of fields, each by Grafana's own function. */
export async function prepare(panel: Panel, raw: DataFrame[], theme: GrafanaTheme2, interpolate: Interpolate) {
  const transformed =
    (panel.transformations ?? []).length === 0
      ? raw
      : await firstValueFrom(
          transformDataFrame(panel.transformations!, raw, { interpolate: (text) => interpolate(text) }),
        )
  const frames = applyFieldOverrides({ data: transformed, ...fieldOptions(panel, theme, interpolate) })
  cacheFieldDisplayNames(frames)
  if (panel.type !== 'timeseries') return frames
  // As Grafana's panel does: no NaN (a quantile of nothing), and a line breaks where samples are missing.
  const finite = (value: unknown) => (Number.isFinite(value) ? value : null)
  return frames.map((frame) =>
    applyNullInsertThreshold({
      frame: {
        ...frame,
        fields: frame.fields.map((field) =>
          field.type === FieldType.number ? { ...field, values: field.values.map(finite) } : field,
        ),
      },
    }),
  )
}

function fieldOptions(panel: Panel, theme: GrafanaTheme2, interpolate: Interpolate) {
  const { registry, defaults } = fieldConfigOf(panel.type)
  const own = panel.fieldConfig?.defaults ?? {}
  return {
    fieldConfig: {
      defaults: { ...defaults, ...own, custom: { ...(defaults.custom as object), ...own.custom } },
      overrides: panel.fieldConfig?.overrides ?? [],
    },
    fieldConfigRegistry: registry,
    replaceVariables: (text: string) => interpolate(text),
    theme,
    timeZone: 'utc',
  }
}

export const isEmpty = (frames: readonly DataFrame[]) =>
  frames.every((frame) => frame.length === 0 || !frame.fields.some(({ type }) => type === FieldType.number))

export function Body({
  drawn: { panel, frames, error },
  width,
  height,
  range,
  theme,
  interpolate,
}: {
  drawn: Drawn
  width: number
  height: number
  range: TimeRange
  theme: GrafanaTheme2
  interpolate: Interpolate
}) {
  const note = (text: string) => (
    <div className="note" style={{ width, height }}>
      {text}
    </div>
  )
  if (error !== undefined) return note(error)
  if (panel.type === 'logs') return note('Log lines come from Loki; this preview has none.')
  const { options = {} } = panel
  if (panel.type === 'stat') {
    const values = getFieldDisplayValues({
      ...fieldOptions(panel, theme, interpolate),
      reduceOptions: options.reduceOptions ?? { calcs: ['lastNotNull'] },
      data: frames,
    })
    const factors = getDisplayValueAlignmentFactors(values)
    return (
      <div style={{ display: 'flex' }}>
        {values.map(({ display }, index) => (
          <BigValue
            // biome-ignore lint/suspicious/noArrayIndexKey: drawn once
            key={index}
            value={display}
            count={values.length}
            width={Math.floor(width / values.length)}
            height={height}
            theme={theme}
            colorMode={options.colorMode ?? BigValueColorMode.Value}
            graphMode={options.graphMode ?? BigValueGraphMode.None}
            textMode={options.textMode ?? BigValueTextMode.Auto}
            alignmentFactors={values.length > 1 ? factors : undefined}
          />
        ))}
      </div>
    )
  }
  if (isEmpty(frames)) return note(panel.fieldConfig?.defaults?.noValue ?? 'No data')
  if (panel.type === 'table')
    return (
      <TableNG
        data={frames[0]!}
        width={width}
        height={height}
        structureRev={1}
        fieldConfig={fieldOptions(panel, theme, interpolate).fieldConfig}
        enableVirtualization={false}
      />
    )
  return (
    <TimeSeries
      frames={frames}
      structureRev={1}
      timeRange={range}
      timeZone="utc"
      width={width}
      height={height}
      legend={
        options.legend ?? { displayMode: LegendDisplayMode.List, placement: 'bottom', showLegend: true, calcs: [] }
      }
    />
  )
}
