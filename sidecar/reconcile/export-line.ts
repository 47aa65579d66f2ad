/** One line of a provider's own export, in our terms. What the export does not say is absent. */
export interface ExportLine {
  /** UTC, `2026-11-01`. */
  day: string
  /** As the export names it; absent for taxes, credits and what belongs to no model. */
  model?: string
  /** The provider's key, project, workspace or resource. */
  key?: string
  tokens?: Partial<Record<TokenKind, bigint>>
  requests?: bigint
  picoUsd?: bigint
  /** What the line is for, in the export's words. */
  what: string
}

/** Kinds that every provider tells apart; they do not overlap. */
export const TOKEN_KINDS = ['input', 'cache_read', 'cache_write', 'output'] as const
export type TokenKind = (typeof TOKEN_KINDS)[number]

/** What is wrong with a file, each with its place. */
export class ExportError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ExportError'
    this.problems = problems
  }
}

const DECIMAL = /^([+-]?)(\d{1,15})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,2}))?$/

/** Decimal text times 10^places, rounded half away from zero. Undefined for what is no number. */
export function scaled(text: string, places: number): bigint | undefined {
  const found = DECIMAL.exec(text.trim())
  if (found === null) return undefined
  const [, sign, whole = '0', fraction = '', exponent = '0'] = found
  const shift = places + Number(exponent) - fraction.length
  const digits = BigInt(whole + fraction)
  const amount = shift >= 0 ? digits * 10n ** BigInt(shift) : rounded(digits, 10n ** BigInt(-shift))
  return sign === '-' ? -amount : amount
}

function rounded(amount: bigint, divisor: bigint): bigint {
  return (amount + divisor / 2n) / divisor
}

/** Dollars, as decimal text, in pico-USD. */
export function picoUsdOf(dollars: string): bigint | undefined {
  return scaled(dollars, 12)
}

/** A whole number of something. */
export function countOf(text: string): bigint | undefined {
  return /^\d{1,18}(?:\.0+)?$/.test(text.trim()) ? BigInt(text.trim().split('.')[0]!) : undefined
}

/** `2026-11-01` of an ISO time, a date, or seconds since 1970. */
export function dayOf(text: string): string | undefined {
  const time = /^\d{9,10}$/.test(text) ? Number(text) * 1000 : Date.parse(isoText(text.trim()))
  return Number.isNaN(time) ? undefined : new Date(time).toISOString().slice(0, 10)
}

/** American dates (Azure) and times without a zone are UTC. */
function isoText(text: string): string {
  const american = /^(\d\d?)\/(\d\d?)\/(\d{4})/.exec(text)
  if (american !== null) return `${american[3]}-${american[1]!.padStart(2, '0')}-${american[2]!.padStart(2, '0')}`
  return /T\d\d:\d\d(?::\d\d(?:\.\d+)?)?$/.test(text) ? `${text}Z` : text
}
