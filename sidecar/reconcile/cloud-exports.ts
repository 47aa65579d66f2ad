import { type CsvRow, csvRows } from './csv-rows.ts'
import { dayOf, ExportError, type ExportLine, picoUsdOf, scaled, type TokenKind } from './export-line.ts'

/*
 * AWS's Cost and Usage Report (CUR 2.0, or the old one with its slashes): CSV, a line for each kind of token. The usage type
 * names region, model and kind (`USE1-Nova-Micro-input-tokens`, `…-cache-read-input-token-count`); the unit says how many
 * tokens one is, thousands where it does not.
 */
export function parseAwsExport(text: string, file: string): ExportLine[] {
  return csvRows(text, file, [
    ['line_item_usage_start_date'],
    ['line_item_usage_type'],
    ['line_item_unblended_cost'],
  ]).flatMap(({ place, get }) => {
    const product = get('line_item_product_code', 'product_servicecode') ?? ''
    const type = get('line_item_usage_type') ?? ''
    const kind = awsKind(type)
    // The report holds the whole account: only Bedrock's lines, and those that count tokens, are ours.
    if (!/bedrock/i.test(product) && kind === undefined) return []
    const charge = get('line_item_line_item_type') ?? 'Usage'
    const key = get('line_item_resource_id', 'resource_tags_user_project')
    const billed = /^(?:Usage|DiscountedUsage)$/i.test(charge)
    const model = billed && kind !== undefined ? awsModel(type) : undefined
    return [
      {
        ...dated(place, get, ['line_item_usage_start_date']),
        ...(model === undefined ? {} : { model }),
        ...(key === undefined ? {} : { key }),
        ...(model === undefined
          ? {}
          : {
              tokens: {
                [kind!]: tokensOf(place, get('line_item_usage_amount'), perUnit(get('pricing_unit') ?? '1K tokens')),
              },
            }),
        picoUsd: dollarsOf(
          place,
          'line_item_unblended_cost',
          get('line_item_unblended_cost'),
          get('line_item_currency_code'),
        ),
        what: billed ? type : `${charge} ${type}`.trim(),
      },
    ]
  })
}

function awsKind(type: string): TokenKind | undefined {
  if (/cache-?read/i.test(type)) return 'cache_read'
  if (/cache-?write/i.test(type)) return 'cache_write'
  if (/input-?token/i.test(type)) return 'input'
  return /output-?token/i.test(type) ? 'output' : undefined
}

/** `USE1-Nova-Micro-input-tokens-batch` → `Nova-Micro`. */
function awsModel(type: string): string {
  return type
    .replace(/^[A-Z]{2,4}\d?-/, '')
    .replace(/-(?:cache-?read|cache-?write|mantle-input|mantle-output|input|output)[-_]?.*$/i, '')
}

/*
 * Azure's cost and usage details (Exports or the portal's download): CSV, a line for each meter and day. The meter's name
 * holds model, snapshot and kind (`gpt 4o 0806 Inp glbl Tokens`, `cchd Inp`, `Outp`), the unit of measure how many
 * tokens one is.
 */
export function parseAzureExport(text: string, file: string): ExportLine[] {
  return csvRows(text, file, [
    ['Date', 'UsageDate'],
    ['MeterName', 'Meter'],
    ['CostInBillingCurrency', 'Cost', 'PreTaxCost'],
  ]).flatMap(({ place, get }) => {
    const meter = get('MeterName', 'Meter') ?? ''
    const category = `${get('MeterCategory') ?? ''} ${get('MeterSubCategory') ?? ''} ${get('ProductName', 'Product') ?? ''}`
    const kind = azureKind(meter)
    if (kind === undefined && !/openai|foundry models|cognitive/i.test(category)) return []
    const key = get('ResourceId', 'InstanceId')
    const usd = get('CostInUsd')
    const currency = usd === undefined ? get('BillingCurrency', 'BillingCurrencyCode', 'Currency') : 'USD'
    const model = kind === undefined ? undefined : azureModel(meter)
    return [
      {
        ...dated(place, get, ['Date', 'UsageDate']),
        ...(model === undefined ? {} : { model }),
        ...(key === undefined ? {} : { key: key.slice(key.lastIndexOf('/') + 1) }),
        ...(kind === undefined
          ? {}
          : {
              tokens: {
                [kind]: tokensOf(
                  place,
                  get('Quantity', 'UsageQuantity'),
                  perUnit(get('UnitOfMeasure', 'Unit') ?? '1K'),
                ),
              },
            }),
        picoUsd: dollarsOf(place, 'Cost', usd ?? get('CostInBillingCurrency', 'Cost', 'PreTaxCost'), currency),
        what: meter,
      },
    ]
  })
}

function azureKind(meter: string): TokenKind | undefined {
  if (/\b(?:cchd|cached)\b/i.test(meter)) return 'cache_read'
  if (/\b(?:inp|input|prompt)\b/i.test(meter)) return 'input'
  return /\b(?:outp|output|opt|completion)\b/i.test(meter) ? 'output' : undefined
}

/** `gpt 4o 0806 Inp glbl Tokens` → `gpt-4o-0806`. */
function azureModel(meter: string): string {
  const words = meter.split(/[\s-]+/)
  const end = words.findIndex((word) =>
    /^(?:cchd|cached|inp|input|prompt|outp|output|opt|completion|glbl|global|regnl|regional|dz|data|batch|tokens?)$/i.test(
      word,
    ),
  )
  return words
    .slice(0, end < 0 ? undefined : end)
    .join('-')
    .toLowerCase()
}

function dated(place: string, get: CsvRow['get'], names: string[]): { day: string } {
  const text = get(...names)
  const day = text === undefined ? undefined : dayOf(text)
  if (day === undefined) throw new ExportError([`${place}: ${names[0]}: not a date (${text})`])
  return { day }
}

/** `1K tokens`, `1M`, `1000`: how many tokens one unit is, as a power of ten. */
function perUnit(unit: string): number {
  if (/\b1?\s*M\b|1,?000,?000/i.test(unit)) return 6
  return /\b1?\s*K\b|1,?000\b/i.test(unit) ? 3 : 0
}

function tokensOf(place: string, amount: string | undefined, places: number): bigint {
  const tokens = amount === undefined ? undefined : scaled(amount, places)
  if (tokens === undefined || tokens < 0n) throw new ExportError([`${place}: quantity: not an amount (${amount})`])
  return tokens
}

function dollarsOf(place: string, name: string, amount: string | undefined, currency: string | undefined): bigint {
  if ((currency ?? 'USD').toUpperCase() !== 'USD')
    throw new ExportError([`${place}: currency: only dollars can be compared (${currency}); export CostInUsd`])
  const picoUsd = amount === undefined ? undefined : picoUsdOf(amount)
  if (picoUsd === undefined) throw new ExportError([`${place}: ${name}: not an amount (${amount})`])
  return picoUsd
}
