/** What a rule finds. The kind names what stands in the place of a match: `email` → `[EMAIL]`. */
export const KINDS = [
  'email',
  'phone',
  'credit_card',
  'iban',
  'national_id',
  'ssn',
  'passport',
  'birth_date',
  'ip',
  'mac',
  'password',
  'credentials',
  'token',
  'jwt',
  'private_key',
  'api_key',
] as const
export type Kind = (typeof KINDS)[number]

/** Kinds that open something. They are masked everywhere and never become a pseudonym. */
export const SECRET_KINDS: ReadonlySet<string> = new Set([
  'password',
  'credentials',
  'token',
  'jwt',
  'private_key',
  'api_key',
] satisfies Kind[])

interface Row {
  id: string
  kind: Kind
  /** Templates (sample.ts) of what is found. Templates, so that no scanner of repositories takes one for a credential. */
  examples: readonly string[]
  /** Texts in which nothing is found. */
  counterExamples?: readonly string[]
  /** Where the format is documented. */
  source: string
  /** The day on which the row was written or last checked. */
  added: string
}

/** A token with a fixed beginning, or one whose vendor is named near it. */
export interface TokenRule extends Row {
  /** Matched at the beginning of a token. Linear: the test proves each. */
  pattern: string
  /** The pattern begins with these letters (any one of them). Absent: the vendor's words must stand before the token. */
  starts?: readonly string[]
  /** Words in lower case; one must stand in the 80 characters before the token. */
  near?: readonly string[]
  /** Also a word for a key or an assignment must stand there, because the token's form alone says little. */
  named?: boolean
  check?: (match: string) => boolean
}

/** A number with check digits: `length` digits in any grouping. */
export interface NumberRule extends Row {
  country: string
  length: number
  check: (digits: string) => boolean
  /** true: so few numbers pass the check that no word is needed (1 of 300 or fewer). */
  strong?: boolean
  /** Found without a word where it is written so. */
  format?: RegExp
  /** Words in lower case that stand before or shortly after it. */
  near: string
}

/** A code of letters and digits, matched at the beginning of a word. */
export interface CodeRule extends Row {
  country: string
  pattern: string
  check?: (match: string) => boolean
  /** Where present, one must stand before or shortly after it. */
  near?: string
}
