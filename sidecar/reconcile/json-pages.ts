import { ExportError } from './export-line.ts'

/** JSON whose numbers are kept as the text that stood there: no amount goes through a float. */
export type ExactJson = string | boolean | null | ExactJson[] | { [name: string]: ExactJson }
export type ExactObject = { [name: string]: ExactJson }

/** The objects of a file: one, a list of them, or one a line (several pages written one after the other). */
export function parsePages(text: string, file: string): ExactObject[] {
  const whole = tryExact(text)
  const values =
    whole === undefined
      ? text
          .split('\n')
          .filter((line) => line.trim() !== '')
          .map(tryExact)
      : [whole].flat()
  const at = values.findIndex((value) => !isObject(value))
  if (at >= 0) throw new ExportError([`${file}:${at + 1}: not a JSON object`])
  return values as ExactObject[]
}

function tryExact(text: string): ExactJson | undefined {
  try {
    return JSON.parse(text, (_name, value: unknown, context?: { source?: string }) =>
      typeof value === 'number' ? (context?.source ?? String(value)) : value,
    ) as ExactJson
  } catch {
    return undefined
  }
}

export function isObject(value: ExactJson | undefined): value is ExactObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

export interface Bucket {
  /** Where it stands: `file: page 1, bucket 2`. */
  place: string
  bucket: ExactObject
  results: ExactObject[]
}

/** Buckets of time, each with its results, as the usage and cost reports of OpenAI and Anthropic are built. */
export function bucketsOf(pages: readonly ExactObject[], file: string): Bucket[] {
  return pages.flatMap((page, number) => {
    const { data } = page
    if (!Array.isArray(data)) throw new ExportError([`${file}: page ${number + 1}: data: expected a list of buckets`])
    return data.map((bucket, index) => {
      const place = `${file}: page ${number + 1}, bucket ${index + 1}`
      if (!isObject(bucket) || !Array.isArray(bucket.results) || !bucket.results.every(isObject))
        throw new ExportError([`${place}: results: expected a list of objects`])
      return { place, bucket, results: bucket.results as ExactObject[] }
    })
  })
}

export function textOf(object: ExactObject, name: string): string | undefined {
  const value = object[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
