import { csvRows } from './csv-rows.ts'
import { countOf, dayOf, ExportError, type ExportLine, scaled } from './export-line.ts'
import { bucketsOf, type ExactObject, isObject, parsePages, textOf } from './json-pages.ts'

/*
 * Anthropic's usage report (`/v1/organizations/usage_report/messages`, grouped by model, and by api_key_id or workspace_id)
 * and cost report (`/v1/organizations/cost_report`, grouped by description), as JSON pages or as CSV with the same names.
 * Amounts are in cents, as decimal text; costs of the priority tier are not in the cost report.
 */
export function parseAnthropicExport(text: string, file: string): ExportLine[] {
  if (text.trimStart().startsWith('{') || text.trimStart().startsWith('['))
    return bucketsOf(parsePages(text, file), file).flatMap(({ place, bucket, results }) =>
      results.map((result, index) => lineOf(result, textOf(bucket, 'starting_at'), `${place}, result ${index + 1}`)),
    )
  return csvRows(text, file, [['starting_at', 'usage_date_utc', 'date']]).map(({ place, get }) => {
    const names = [
      'model',
      'api_key_id',
      'workspace_id',
      'description',
      'uncached_input_tokens',
      'cache_read_input_tokens',
      'output_tokens',
      'amount',
      'currency',
      'token_type',
    ]
    const cache = {
      ephemeral_5m_input_tokens: get('ephemeral_5m_input_tokens', 'cache_creation_ephemeral_5m_input_tokens') ?? '0',
      ephemeral_1h_input_tokens: get('ephemeral_1h_input_tokens', 'cache_creation_ephemeral_1h_input_tokens') ?? '0',
    }
    const result: ExactObject = Object.fromEntries(
      names.flatMap((name) => (get(name) === undefined ? [] : [[name, get(name)!]])),
    )
    return lineOf({ ...result, cache_creation: cache }, get('starting_at', 'usage_date_utc', 'date'), place)
  })
}

function lineOf(result: ExactObject, start: string | undefined, place: string): ExportLine {
  const day = start === undefined ? undefined : dayOf(start)
  if (day === undefined) throw new ExportError([`${place}: starting_at: not a time (${start})`])
  const key = textOf(result, 'api_key_id') ?? textOf(result, 'workspace_id')
  const model = textOf(result, 'model')
  const base = { day, ...(model === undefined ? {} : { model }), ...(key === undefined ? {} : { key }) }
  const amount = textOf(result, 'amount')
  if (amount !== undefined) {
    const currency = textOf(result, 'currency') ?? 'USD'
    if (currency.toUpperCase() !== 'USD')
      throw new ExportError([`${place}: currency: only dollars can be compared (${currency})`])
    const picoUsd = scaled(amount, 10) // cents
    if (picoUsd === undefined) throw new ExportError([`${place}: amount: not an amount (${amount})`])
    return { ...base, picoUsd, what: textOf(result, 'description') ?? textOf(result, 'token_type') ?? 'all' }
  }
  const count = (object: ExactObject, name: string): bigint => {
    const text = textOf(object, name) ?? '0'
    const value = countOf(text)
    if (value === undefined) throw new ExportError([`${place}: ${name}: not a count (${text})`])
    return value
  }
  if (textOf(result, 'output_tokens') === undefined)
    throw new ExportError([`${place}: neither amount nor output_tokens: export the usage or the cost report`])
  const cache = isObject(result.cache_creation) ? result.cache_creation : {}
  return {
    ...base,
    tokens: {
      input: count(result, 'uncached_input_tokens'),
      cache_read: count(result, 'cache_read_input_tokens'),
      cache_write: count(cache, 'ephemeral_5m_input_tokens') + count(cache, 'ephemeral_1h_input_tokens'),
      output: count(result, 'output_tokens'),
    },
    what: 'usage',
  }
}
