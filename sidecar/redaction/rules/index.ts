import countries from 'libphonenumber-js/examples.mobile.json'
import metadata from 'libphonenumber-js/metadata.max.json'
import { ibanRemainder, passesLuhn } from '../checksums.ts'
import { CODE_RULES } from '../find-codes.ts'
import { NUMBER_RULES } from '../find-in-digits.ts'
import { TOKEN_RULES } from '../find-tokens.ts'
import type { Kind } from '../rule.ts'
import { sample } from '../sample.ts'
import { CARD_SCHEMES, IBAN_LENGTHS } from './financial.ts'

/** One row of any family, with what makes a value of it. */
export interface Example {
  rule: string
  kind: Kind
  /** A new value from the random numbers. */
  make: (random: () => number) => string
}

/** Every row's examples, as makers of values. */
export function allExamples(): Example[] {
  const examples: Example[] = []
  for (const rule of TOKEN_RULES)
    for (const template of rule.examples)
      examples.push({
        rule: rule.id,
        kind: rule.kind,
        make: (random) =>
          sample(template, random, (text) => rule.check === undefined || rule.check(tokenOf(text, rule.pattern))),
      })
  for (const rule of NUMBER_RULES)
    for (const template of rule.examples)
      examples.push({
        rule: rule.id,
        kind: rule.kind,
        make: (random) => sample(template, random, (text) => rule.check(text.replace(/\D/g, ''))),
      })
  for (const rule of CODE_RULES) {
    const pattern = new RegExp(rule.pattern, 'i')
    for (const template of rule.examples)
      examples.push({
        rule: rule.id,
        kind: rule.kind,
        make: (random) =>
          sample(template, random, (text) => {
            const match = pattern.exec(text)
            return match !== null && (rule.check === undefined || rule.check(match[0]))
          }),
      })
  }
  for (const scheme of CARD_SCHEMES)
    examples.push({
      rule: scheme.id,
      kind: 'credit_card',
      make: (random) => (scheme.needsWord === true ? 'card ' : '') + sample(scheme.example, random, passesLuhn),
    })
  for (const [country, length] of Object.entries(IBAN_LENGTHS))
    examples.push({
      rule: `iban-${country.toLowerCase()}`,
      kind: 'iban',
      make: (random) => makeIban(country, length, random),
    })
  for (const [country, national] of Object.entries(countries as Record<string, string>)) {
    const code = (metadata.countries as unknown as Record<string, [string]>)[country]![0]
    examples.push({
      rule: `phone-${country.toLowerCase()}`,
      kind: 'phone',
      make: (random) => `+${code}${mutate(national, random)}`,
    })
  }
  return examples
}

function tokenOf(text: string, pattern: string): string {
  return new RegExp(`(?<![A-Za-z0-9])(?:${pattern})`).exec(text)?.[0] ?? ''
}

function makeIban(country: string, length: number, random: () => number): string {
  // Letters stand in the accounts of some countries only: a bank's code of four letters serves for all.
  const letters = ['GB', 'NL', 'IE', 'LV', 'BG', 'RO', 'GI', 'BH', 'QA', 'KW', 'JO', 'PS'].includes(country)
  let account = ''
  for (let at = 0; at < length - 4; at++)
    account += letters && at < 4 ? 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[Math.floor(random() * 26)] : Math.floor(random() * 10)
  const check = 98 - ibanRemainder(`${country}00${account}`)
  return `${country}${String(check).padStart(2, '0')}${account}`
}

/** The last three digits of an example number by chance. */
function mutate(national: string, random: () => number): string {
  return national.slice(0, -3) + String(Math.floor(random() * 1000)).padStart(3, '0')
}
