import { decimalUsd } from '../call.ts'
import type { Amounts, Comparison, Reconciliation } from './compare.ts'
import { TOKEN_KINDS } from './export-line.ts'

/** How far apart the totals are, as a share of theirs: by dollars where the export has them, else by tokens. */
export function distance({ total, hasDollars }: Reconciliation): number {
  const amount = ({ picoUsd, tokens }: Amounts) =>
    hasDollars ? (picoUsd ?? 0n) : TOKEN_KINDS.reduce((sum, kind) => sum + tokens[kind], 0n)
  const [theirs, ours] = [amount(total.theirs), amount(total.ours)]
  if (theirs === ours) return 0
  return theirs === 0n ? 1 : Math.abs(Number(((theirs - ours) * 1_000_000n) / theirs)) / 1_000_000
}

/** For a person: a line for each day and model, what both say and where the difference comes from. */
export function reportText(result: Reconciliation): string {
  const { rows, others, total, hasTokens, hasDollars } = result
  const header = ['day', 'model', ...(rows.some(({ tenant }) => tenant !== '*') ? ['tenant'] : [])]
  const columns = [
    ...header,
    ...(hasTokens ? ['in theirs', 'in ours', 'out theirs', 'out ours'] : []),
    ...(hasDollars ? ['USD theirs', 'USD ours', 'difference'] : []),
    'comes from',
  ]
  const prompt = ({ tokens }: Amounts) => tokens.input + tokens.cache_read + tokens.cache_write
  const amounts = (theirs: Amounts, ours: Amounts) => [
    ...(hasTokens ? [prompt(theirs), prompt(ours), theirs.tokens.output, ours.tokens.output].map(String) : []),
    ...(hasDollars
      ? [cents(theirs.picoUsd ?? 0n), cents(ours.picoUsd ?? 0n), cents((theirs.picoUsd ?? 0n) - (ours.picoUsd ?? 0n))]
      : []),
  ]
  const lines = rows.map(({ day, model, tenant, theirs, ours, causes }) => [
    day,
    model,
    ...(header.length > 2 ? [tenant] : []),
    ...amounts(theirs, ours),
    causes.join(', '),
  ])
  const sum = ['total', '', ...(header.length > 2 ? [''] : []), ...amounts(total.theirs, total.ours), '']
  const table = [columns, ...lines, sum]
  const widths = columns.map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)))
  const text = table.map((row) =>
    row
      .map((cell, column) =>
        column < header.length || column === columns.length - 1
          ? cell.padEnd(widths[column]!)
          : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  )
  const rest = others.map(({ day, what, picoUsd }) => `  ${day}  ${cents(picoUsd)} USD  ${what}`)
  return `${text.join('\n')}\n${rest.length > 0 ? `\nlines of no model (taxes, credits, tools), not compared:\n${rest.join('\n')}\n` : ''}`
}

/** Dollars to a ten-thousandth, for people; the JSON has all of it. */
function cents(picoUsd: bigint): string {
  const sign = picoUsd < 0n ? '-' : ''
  const units = ((picoUsd < 0n ? -picoUsd : picoUsd) + 50_000_000n) / 100_000_000n
  const digits = units.toString().padStart(5, '0')
  return `${sign}${digits.slice(0, -4)}.${digits.slice(-4)}`
}

/** For a program: every number as exact text. */
export function reportJson(result: Reconciliation): string {
  const amounts = ({ tokens, requests, picoUsd }: Amounts) => ({
    tokens: Object.fromEntries(TOKEN_KINDS.map((kind) => [kind, tokens[kind].toString()])),
    requests: requests?.toString() ?? null,
    usd: picoUsd === undefined ? null : decimalUsd(picoUsd),
  })
  const row = ({ day, model, tenant, theirs, ours, causes }: Comparison) => ({
    day,
    model,
    tenant: tenant === '*' ? null : tenant,
    theirs: amounts(theirs),
    ours: amounts(ours),
    causes,
  })
  return `${JSON.stringify(
    {
      rows: result.rows.map(row),
      others: result.others.map(({ day, what, picoUsd }) => ({ day, what, usd: decimalUsd(picoUsd) })),
      total: { theirs: amounts(result.total.theirs), ours: amounts(result.total.ours) },
      distance: distance(result),
    },
    null,
    2,
  )}\n`
}
