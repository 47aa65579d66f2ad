import type { DataTransformerConfig, FieldConfigSource, ReduceDataOptions } from '@grafana/data'
import type { VizLegendOptions } from '@grafana/schema'
import type { BigValueColorMode, BigValueGraphMode, BigValueTextMode } from '@grafana/ui'

/** The classic dashboard JSON, as far as the preview draws it. */
export interface Board {
  uid: string
  title: string
  time: { from: string; to: string }
  templating: { list: Variable[] }
  panels: Panel[]
}
export interface Variable {
  name: string
  label?: string
  type: string
  query?: unknown
  hide?: number
  includeAll?: boolean
  allValue?: string
}
export interface Target {
  refId: string
  expr: string
  instant?: boolean
  format?: string
  legendFormat?: string
}
export interface Panel {
  id: number
  type: string
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  maxDataPoints?: number
  targets?: Target[]
  transformations?: DataTransformerConfig[]
  fieldConfig?: FieldConfigSource
  options?: {
    legend?: VizLegendOptions
    reduceOptions?: ReduceDataOptions
    colorMode?: BigValueColorMode
    graphMode?: BigValueGraphMode
    textMode?: BigValueTextMode
  }
}
