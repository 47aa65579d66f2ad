import { parse } from 'csv-parse/sync'
import { ExportError } from './export-line.ts'

export interface CsvRow {
  /** `file:line` */
  place: string
  /** The first of these columns that the file has and that says something. */
  get(...names: string[]): string | undefined
}

/** Rows of a CSV file by the names of its columns: `lineItem/UsageType`, `LineItemUsageType` and `line_item_usage_type` are one. */
export function csvRows(text: string, file: string, needed: readonly (readonly string[])[]): CsvRow[] {
  let records: { record: Record<string, string>; info: { lines: number } }[]
  try {
    records = parse(text, {
      columns: (names: string[]) => names.map(columnName),
      bom: true,
      info: true,
      skip_empty_lines: true,
      relax_column_count_less: true,
    }) as never
  } catch (error) {
    throw new ExportError([`${file}: not CSV: ${(error as Error).message}`])
  }
  const columns = new Set(Object.keys(records[0]?.record ?? {}))
  const missing = needed.filter((names) => !names.some((name) => columns.has(columnName(name))))
  if (records.length > 0 && missing.length > 0)
    throw new ExportError(missing.map((names) => `${file}:1: no column ${names.join(' or ')}`))
  return records.map(({ record, info }) => ({
    place: `${file}:${info.lines}`,
    get: (...names) => {
      for (const name of names) {
        const value = record[columnName(name)]
        if (value !== undefined && value.trim() !== '') return value.trim()
      }
      return undefined
    },
  }))
}

function columnName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}
