import { formatUsd } from './pico-usd.ts'

export interface TenantNumbers {
  calls: number
  tokens: number
  picoUsd: bigint
}

/** What one source says, read from that source alone. */
export interface Column {
  name: string
  perTenant: ReadonlyMap<string, TenantNumbers>
}

/** One source's numbers for one tenant, and how they differ from the first source's. */
export interface Cell extends TenantNumbers {
  difference: TenantNumbers
}

export interface Row {
  tenant: string
  /** One for each column, in their order. */
  cells: Cell[]
}

export interface Reconciliation {
  /** Names of the columns; all are compared with the first. */
  names: string[]
  rows: Row[]
  /** Over all tenants. */
  total: Row
  /** The first column's sum. */
  totals: TenantNumbers
  /** Whether any number of any column differs for any tenant. */
  different: boolean
}

const NONE: TenantNumbers = { calls: 0, tokens: 0, picoUsd: 0n }
const ALL = 'all'

/** Puts the columns side by side, tenant by tenant. A tenant that a column does not know has 0 there. */
export function reconcile(columns: readonly Column[]): Reconciliation {
  if (columns.length === 0) throw new RangeError('reconcile needs at least one column')
  const tenants = [...new Set(columns.flatMap((column) => [...column.perTenant.keys()]))].sort()
  const rows = tenants.map((tenant) =>
    rowOf(
      tenant,
      columns.map((column) => column.perTenant.get(tenant) ?? NONE),
    ),
  )
  const total = rowOf(
    ALL,
    columns.map((column) => [...column.perTenant.values()].reduce(add, NONE)),
  )
  return {
    names: columns.map((column) => column.name),
    rows,
    total,
    totals: numbersOf(total.cells[0]!),
    different: [...rows, total].some((row) => row.cells.some(({ difference }) => differs(difference))),
  }
}

/** For a terminal of 120 columns. Differences are short in the table and spelled out below it. */
export function renderTable({ names, rows, total }: Reconciliation): string {
  const [first, ...others] = names
  const lines = [...rows, total].map((row) => [
    short(row.tenant, 16),
    grouped(row.cells[0]!.calls),
    grouped(row.cells[0]!.tokens),
    formatUsd(row.cells[0]!.picoUsd),
    ...row.cells.slice(1).map(({ difference }) => shortDifference(difference)),
  ])
  const header = ['tenant', 'calls', 'tokens', 'cost USD', ...others.map((name) => short(name, 12))]
  const widths = header.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd()
  const ofFirst = widths.slice(0, 4).reduce((sum, width) => sum + width + 2, 0)
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2))
  const text = [
    `${short(first!, ofFirst - 2).padEnd(ofFirst)}${others.length > 0 ? 'difference to it' : ''}`.trimEnd(),
    line(header),
    rule,
    ...lines.slice(0, -1).map(line),
    rule,
    line(lines.at(-1)!),
  ]
  const spelledOut = [...rows, total].flatMap((row) =>
    row.cells.flatMap(({ difference }, column) =>
      differs(difference)
        ? [
            `  ${row.tenant}, ${names[column]}: calls ${signed(difference.calls)}, tokens ${signed(difference.tokens)}, USD ${signedUsd(difference.picoUsd)}`,
          ]
        : [],
    ),
  )
  if (spelledOut.length > 0) text.push('', `Differences to ${first}:`, ...spelledOut)
  return `${text.join('\n')}\n`
}

function rowOf(tenant: string, numbers: readonly TenantNumbers[]): Row {
  const first = numbers[0]!
  return {
    tenant,
    cells: numbers.map((own) => ({
      ...numbersOf(own),
      difference: {
        calls: own.calls - first.calls,
        tokens: own.tokens - first.tokens,
        picoUsd: own.picoUsd - first.picoUsd,
      },
    })),
  }
}

function numbersOf({ calls, tokens, picoUsd }: TenantNumbers): TenantNumbers {
  return { calls, tokens, picoUsd }
}

function add(a: TenantNumbers, b: TenantNumbers): TenantNumbers {
  return { calls: a.calls + b.calls, tokens: a.tokens + b.tokens, picoUsd: a.picoUsd + b.picoUsd }
}

/** Written so that a number which is none (NaN) counts as a difference. */
function differs({ calls, tokens, picoUsd }: TenantNumbers): boolean {
  return !(calls === 0 && tokens === 0 && picoUsd === 0n)
}

function shortDifference(difference: TenantNumbers): string {
  if (!differs(difference)) return '0'
  if (difference.calls !== 0) return `${signed(difference.calls)} calls`
  if (difference.tokens !== 0) return `${signed(difference.tokens)} tok`
  return `${difference.picoUsd > 0n ? '+' : '-'} USD`
}

function signed(number: number): string {
  return number > 0 ? `+${grouped(number)}` : grouped(number)
}

function signedUsd(picoUsd: bigint): string {
  return picoUsd > 0n ? `+${formatUsd(picoUsd)}` : formatUsd(picoUsd)
}

function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',')
}

function short(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}
