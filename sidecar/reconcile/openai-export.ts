import { csvRows } from './csv-rows.ts'
import { countOf, dayOf, ExportError, type ExportLine, picoUsdOf } from './export-line.ts'
import { bucketsOf, type ExactObject, isObject, parsePages, textOf } from './json-pages.ts'

/*
 * OpenAI's organization usage API (`/v1/organization/usage/completions`, `/embeddings` …, grouped by model, and by
 * project_id or api_key_id) and costs API (`/v1/organization/costs`, grouped by line_item), as JSON pages; and the CSV that
 * the dashboard exports, which has the same fields as columns. Times are seconds, buckets of a day in UTC.
 * `input_tokens` holds the cached ones.
 */
export function parseOpenAiExport(text: string, file: string): ExportLine[] {
  return text.trimStart().startsWith('{') || text.trimStart().startsWith('[')
    ? bucketsOf(parsePages(text, file), file).flatMap(({ place, bucket, results }) =>
        results.map((result, index) => lineOf(result, textOf(bucket, 'start_time'), `${place}, result ${index + 1}`)),
      )
    : csvRows(text, file, [['start_time', 'start_time_iso']]).map(({ place, get }) =>
        lineOf(
          {
            ...named(['model', 'line_item', 'project_id', 'api_key_id'], get),
            ...named(['input_tokens', 'input_cached_tokens', 'output_tokens', 'num_model_requests'], get),
            ...(get('amount_value') === undefined
              ? {}
              : { amount: { value: get('amount_value')!, currency: get('amount_currency') ?? 'usd' } }),
          },
          get('start_time_iso', 'start_time'),
          place,
        ),
      )
}

function named(names: readonly string[], get: (name: string) => string | undefined): ExactObject {
  return Object.fromEntries(names.flatMap((name) => (get(name) === undefined ? [] : [[name, get(name)!]])))
}

function lineOf(result: ExactObject, start: string | undefined, place: string): ExportLine {
  const day = start === undefined ? undefined : dayOf(start)
  if (day === undefined) throw new ExportError([`${place}: start_time: not a time (${start})`])
  const count = (name: string): bigint | undefined => {
    const text = textOf(result, name)
    const value = text === undefined ? undefined : countOf(text)
    if (text !== undefined && value === undefined) throw new ExportError([`${place}: ${name}: not a count (${text})`])
    return value
  }
  const key = textOf(result, 'api_key_id') ?? textOf(result, 'project_id')
  const base = { day, ...(key === undefined ? {} : { key }) }
  const { amount } = result
  if (isObject(amount)) {
    const value = textOf(amount, 'value')
    const picoUsd = value === undefined ? undefined : picoUsdOf(value)
    if (picoUsd === undefined) throw new ExportError([`${place}: amount.value: not an amount (${value})`])
    if ((textOf(amount, 'currency') ?? 'usd').toLowerCase() !== 'usd')
      throw new ExportError([`${place}: amount.currency: only dollars can be compared (${textOf(amount, 'currency')})`])
    const item = textOf(result, 'line_item')
    // `gpt-4o-2024-08-06, cached input`: the model, then what of it; other items name no model.
    const [model, what] = item?.split(', ', 2) ?? []
    return { ...base, ...(model !== undefined && what !== undefined ? { model } : {}), picoUsd, what: item ?? 'all' }
  }
  const input = count('input_tokens')
  const cached = count('input_cached_tokens')
  const output = count('output_tokens')
  if (input === undefined && output === undefined)
    throw new ExportError([`${place}: neither amount nor input_tokens: export usage or costs`])
  if (input !== undefined && cached !== undefined && cached > input)
    throw new ExportError([`${place}: input_cached_tokens (${cached}) is more than input_tokens (${input})`])
  const model = textOf(result, 'model')
  const requests = count('num_model_requests')
  return {
    ...base,
    ...(model === undefined ? {} : { model }),
    ...(requests === undefined ? {} : { requests }),
    tokens: {
      ...(input === undefined ? {} : { input: input - (cached ?? 0n) }),
      ...(cached === undefined ? {} : { cache_read: cached }),
      ...(output === undefined ? {} : { output }),
    },
    what: 'usage',
  }
}
