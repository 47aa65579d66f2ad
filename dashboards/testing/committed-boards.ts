import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '../grafana')

export interface Target {
  refId: string
  expr: string
  instant?: boolean
  range?: boolean
  exemplar?: boolean
  datasource: { type: string; uid: string }
}
export interface BoardPanel {
  id: number
  type: string
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: Target[]
  maxDataPoints?: number
  fieldConfig: {
    defaults: { unit?: string; links?: { title: string; url: string }[] }
    overrides: { matcher: { id: string; options: string }; properties: { id: string; value: unknown }[] }[]
  }
  transformations?: { id: string; options: Record<string, unknown> }[]
}
export interface BoardVariable {
  type: 'datasource' | 'query' | 'textbox' | string
  name: string
  label: string
  multi: boolean
  includeAll: boolean
  allValue?: string
  query: string | { query: string }
  /** When its values are read: 2, with the time range. */
  refresh?: number
}
export interface Board {
  uid: string
  title: string
  description: string
  schemaVersion: number
  time: { from: string; to: string }
  panels: BoardPanel[]
  templating: { list: BoardVariable[] }
  annotations: { list: { name: string; target: Target; titleFormat?: string }[] }
  links: { title: string; type: string; tags: string[] }[]
}

/** The boards as they are shipped: the JSON, not its source. */
export const COMMITTED_BOARDS: readonly Board[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Board)

/** Without rows. */
export const panelsOf = (board: Board): BoardPanel[] => board.panels.filter(({ targets }) => targets !== undefined)
export const prometheusTargets = (panel: BoardPanel): Target[] =>
  (panel.targets ?? []).filter(({ datasource }) => datasource.type === 'prometheus')
export const queryOf = ({ query }: BoardVariable): string => (typeof query === 'string' ? query : query.query)
