import metadata from 'libphonenumber-js/metadata.max.json'

/** Numbering plans of all countries: libphonenumber's metadata, compiled once. */
interface Plan {
  country: string
  pattern: RegExp
  /** What is dialled before a national number inside of the country: `0`, `8`, `1`, or nothing. */
  trunk: string
  /** Group lengths in which the country writes its numbers: `3-3-4`. */
  groupings: ReadonlySet<string>
}

type Row = [string, unknown, string, number[], [string, string][] | 0, string | 0, ...unknown[]]
const plansByCode = new Map<string, Plan[]>()
const allPlans: Plan[] = []

function load(): void {
  if (allPlans.length > 0) return
  const rows: [string, Row][] = [
    ...(Object.entries(metadata.countries) as unknown as [string, Row][]),
    ...(Object.entries(metadata.nonGeographic) as unknown as [string, Row][]),
  ]
  for (const [country, row] of rows) {
    const [code, , pattern, , formats, trunk] = row
    const plan: Plan = {
      country,
      pattern: new RegExp(`^(?:${pattern})$`),
      trunk: typeof trunk === 'string' ? trunk : '',
      groupings: new Set((formats === 0 || formats === undefined ? [] : formats).map(([format]) => groupingOf(format))),
    }
    allPlans.push(plan)
    plansByCode.set(code, [...(plansByCode.get(code) ?? []), plan])
  }
  // Countries that share a code share the formats of the first.
  for (const plans of plansByCode.values()) {
    const main = plans.find(({ groupings }) => groupings.size > 0)
    if (main !== undefined)
      for (const plan of plans)
        if (plan.groupings.size === 0) (plan as { groupings: ReadonlySet<string> }).groupings = main.groupings
  }
}

/** `(\d{2})(\d{3,4})(\d{4})` → `2-3-4` (of a range the lower end). */
function groupingOf(format: string): string {
  return [...format.matchAll(/\((.*?)\)/g)]
    .map(([, inner]) => {
      let length = 0
      for (const piece of inner!.matchAll(/(?:\\d|\[[^\]]*\]|\d)(?:\{(\d+)(?:,\d+)?\})?/g))
        length += Number(piece[1] ?? 1)
      return length
    })
    .join('-')
}

/** After `+` or an international prefix: is there such a number? `digits` begins with the country's code. */
export function isInternational(digits: string): boolean {
  load()
  for (let length = 1; length <= 3; length++) {
    const plans = plansByCode.get(digits.slice(0, length))
    if (plans === undefined) continue
    const national = digits.slice(length)
    if (plans.some(({ pattern }) => pattern.test(national))) return true
    // `+39 06…` keeps its zero; `+49 (0)30…` has one too many.
    if (national[0] === '0' && plans.some(({ pattern }) => pattern.test(national.slice(1)))) return true
  }
  return false
}

/** Does a country have this code at all? */
export function hasCountryCode(digits: string): boolean {
  load()
  return (
    plansByCode.has(digits.slice(0, 1)) || plansByCode.has(digits.slice(0, 2)) || plansByCode.has(digits.slice(0, 3))
  )
}

/** Of how many countries this is a number as it is dialled at home. */
export function isNational(digits: string): boolean {
  load()
  for (const { pattern, trunk } of allPlans) {
    if (trunk !== '' && digits.startsWith(trunk) && pattern.test(digits.slice(trunk.length))) return true
    if (pattern.test(digits)) return true
  }
  return false
}

/** Dialled with a leading 0 somewhere, in groups as that country writes them; the first group may hold the zero. */
export function isTrunkNumber(digits: string): boolean {
  load()
  const national = digits.slice(1)
  for (const { pattern, trunk } of allPlans) {
    if (trunk === '0' && pattern.test(national)) return true
    if (trunk === '' && pattern.test(digits)) return true
  }
  return false
}

/** For tests and the labelled set: the country codes that there are. */
export function countryCodes(): string[] {
  load()
  return [...plansByCode.keys()]
}
