import countries from 'libphonenumber-js/examples.mobile.json'
import metadata from 'libphonenumber-js/metadata.max.json'
import { ibanRemainder, passesLuhn } from '../../sidecar/redaction/checksums.ts'
import { CODE_RULES } from '../../sidecar/redaction/find-codes.ts'
import { NUMBER_RULES } from '../../sidecar/redaction/find-in-digits.ts'
import { TOKEN_RULES } from '../../sidecar/redaction/find-tokens.ts'
import type { Kind } from '../../sidecar/redaction/rule.ts'
import { CARD_SCHEMES, IBAN_LENGTHS } from '../../sidecar/redaction/rules/financial.ts'
import { sample } from '../../sidecar/redaction/sample.ts'

/** One example of one row. */
export interface Example {
  rule: string
  kind: Kind
  /** How sure the finding has to be: `all` (check digits, or a beginning of its own) or `most`. */
  promise: 'all' | 'most'
  /** A new value from the random numbers; `secret` is the part of it that nobody may read. */
  make: (random: () => number) => { text: string; secret: string }
}

/** Every row's examples, as makers of values. */
export function allExamples(): Example[] {
  const examples: Example[] = []
  for (const rule of TOKEN_RULES)
    for (const template of rule.examples)
      examples.push({
        rule: rule.id,
        kind: rule.kind,
        promise: rule.near === undefined || rule.near.length === 0 ? 'all' : 'most',
        make: (random) => {
          const text = sample(template, random, (each) => rule.check?.(tokenOf(each, rule.pattern)) ?? true)
          return { text, secret: tokenOf(text, rule.pattern) || text }
        },
      })
  for (const rule of NUMBER_RULES)
    for (const template of rule.examples)
      examples.push({
        rule: rule.id,
        kind: rule.kind,
        promise: 'all',
        make: (random) => {
          const text = sample(template, random, (each) => rule.check(each.replace(/\D/g, '')))
          return { text, secret: text.replace(/^\D*/, '') }
        },
      })
  for (const rule of CODE_RULES) {
    const pattern = new RegExp(`(?<![A-Z0-9])(?:${rule.pattern})`, 'iu')
    for (const template of rule.examples)
      examples.push({
        rule: rule.id,
        kind: rule.kind,
        promise: rule.check === undefined ? 'most' : 'all',
        make: (random) => {
          const text = sample(template, random, (each) => {
            const match = pattern.exec(each)
            return match !== null && (rule.check?.(match[0]) ?? true)
          })
          return { text, secret: pattern.exec(text)![0] }
        },
      })
  }
  for (const scheme of CARD_SCHEMES)
    examples.push({
      rule: scheme.id,
      kind: 'credit_card',
      promise: 'all',
      make: (random) => {
        const secret = grouped(sample(scheme.example, random, passesLuhn), random, CARD_GROUPS)
        return { text: scheme.needsWord === true ? `card ${secret}` : secret, secret }
      },
    })
  for (const [country, length] of Object.entries(IBAN_LENGTHS))
    examples.push({
      rule: `iban-${country.toLowerCase()}`,
      kind: 'iban',
      promise: 'all',
      make: (random) => {
        const iban = makeIban(country, length, random)
        const secret = grouped(random() < 0.25 ? iban.toLowerCase() : iban, random, IBAN_GROUPS)
        return { text: random() < 0.15 ? `NO12 ${secret}` : secret, secret }
      },
    })
  for (const [country, national] of Object.entries(countries as Record<string, string>)) {
    const code = (metadata.countries as unknown as Record<string, [string]>)[country]![0]
    examples.push({
      rule: `phone-${country.toLowerCase()}`,
      kind: 'phone',
      promise: 'most',
      make: (random) => {
        const secret = `${pick(['+', '+', '00'], random)}${code}${pick([' ', '-', '', '\u00a0', ' (0) '], random)}${spread(national.slice(0, -2) + digits(2, random), random)}`
        return { text: secret.startsWith('00') ? `tel. ${secret}` : secret, secret }
      },
    })
  }
  for (const form of NATIONAL_PHONES)
    examples.push({
      rule: 'phone-national',
      kind: 'phone',
      promise: 'most',
      make: (random) => whole(form.replace(/#/g, () => digits(1, random))),
    })
  for (const form of EMAILS)
    examples.push({ rule: 'email', kind: 'email', promise: 'most', make: (random) => whole(emailOf(form, random)) })
  examples.push(...CREDENTIALS, ...NETWORK)
  return examples
}

const whole = (text: string) => ({ text, secret: text })

/** As people write them at home, # for a digit. */
const NATIONAL_PHONES = [
  '06 12 34 ## ##',
  '01.42.68.##.##',
  '0612-34##-##',
  '06-12345###',
  '020 1234 ###',
  '03-1234-5###',
  '090-1234-5###',
  '0412 345 ###',
  '(02) 9374 4###',
  '070-123 4# ##',
  '08-123 4# ##',
  '030 9018 2###',
  '0171 12345##',
  '(030) 9018-2##',
  '020 7946 0###',
  '07911 123###',
  '(415) 555-0###',
  '415-555-0###',
  '212.555.0###',
  '1-800-555-0###',
  '06 1234 5###',
  '8 (912) 345-##-##',
  '(11) 91234-5###',
  '010-1234-5###',
  '0532 123 4# ##',
  '011 2345 6###',
]

const EMAILS = [
  '{n}@example.{t}',
  '{n}.{n}@mail.{n}.co.uk',
  '{n}+{n}@{n}.{t}',
  '"{n} {n}"@example.{t}',
  '{n}%40example.{t}',
  '{n} [at] example [dot] {t}',
  '{n}(at)example.{t}',
  '{n} at example dot {t}',
  'josé.{n}@exämple.{t}',
  '{N}@EXAMPLE.{t}',
  '<{n}@{n}-shop.{t}>',
  '{n}_{n}@sub.example.{t}',
]

function emailOf(form: string, random: () => number): string {
  return form
    .replace(
      /\{n\}/g,
      () => pick(['anna', 'ben', 'carla', 'dmitri', 'eva', 'farid', 'gosia', 'hiro'], random) + digits(2, random),
    )
    .replace(/\{N\}/g, () => pick(['ANNA', 'BEN', 'CARLA'], random))
    .replace(/\{t\}/g, () => pick(['com', 'org', 'de', 'fr', 'io', 'museum'], random))
}

const password = (random: () => number) =>
  sample(pick(['S3cr{w6}!', 'hunter{d3}', 'P@ss{w5}', '{w12}', 'Tr0ub4dor&{d2}'], random), random)
const credential = (rule: string, kind: Kind, form: (value: string) => string, make = password): Example => ({
  rule,
  kind,
  promise: 'most',
  make: (random) => {
    const secret = make(random)
    return { text: form(secret), secret }
  },
})
const long = (random: () => number) => sample('{w32}', random)
const CREDENTIALS: Example[] = [
  credential('password-pair', 'password', (value) => `password=${value}`),
  credential('password-pair', 'password', (value) => `DB_PASSWORD: ${value}`),
  credential('password-pair', 'password', (value) => `Passwort: ${value}`),
  credential('password-pair', 'password', (value) => `mot de passe : ${value}`),
  credential('password-pair', 'password', (value) => `contraseña: ${value}`),
  credential('password-pair', 'password', (value) => `пароль: ${value}`),
  credential('password-pair', 'password', (value) => `パスワード：${value}`),
  credential('password-pair', 'password', (value) => `密码：${value}`),
  credential('password-word', 'password', (value) => `the password is ${value}`),
  credential('secret-pair', 'token', (value) => `client_secret=${value}`, long),
  credential('secret-pair', 'token', (value) => `"apiKey": "${value}"`, long),
  credential('secret-pair', 'token', (value) => `x-api-key: ${value}`, long),
  credential('bearer', 'token', (value) => `Authorization: Bearer ${value}`, long),
  credential(
    'basic',
    'token',
    (value) => `Authorization: Basic ${value}`,
    (random) => Buffer.from(`anna:${password(random)}`).toString('base64'),
  ),
  credential(
    'url-credentials',
    'credentials',
    (value) => `postgres://app:${value}@db.internal:5432/app`,
    (random) => sample('{w14}', random),
  ),
  credential(
    'url-credentials',
    'credentials',
    (value) => `mongodb+srv://app:${value}@cluster0.mongodb.net/test`,
    (random) => sample('{w14}', random),
  ),
  credential(
    'url-credentials',
    'credentials',
    (value) => `https://bot:${value}@git.example.org/x.git`,
    (random) => sample('{w14}', random),
  ),
  credential(
    'connection-string',
    'password',
    (value) => `Server=db;Database=app;User Id=sa;Password=${value};Encrypt=true`,
    (random) => sample('{w14}', random),
  ),
  credential(
    'connection-string',
    'token',
    (value) => `Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=${value}`,
    (random) => sample('{w43}=', random),
  ),
  {
    rule: 'private-key',
    kind: 'private_key',
    promise: 'all',
    make: (random) => {
      const kind = pick(['RSA ', 'EC ', 'OPENSSH ', '', 'ENCRYPTED '], random)
      const secret = sample('{w64}\n{w64}\n{w40}', random)
      return { text: `-----BEGIN ${kind}PRIVATE KEY-----\n${secret}\n-----END ${kind}PRIVATE KEY-----`, secret }
    },
  },
]

const octet = (random: () => number) => 1 + Math.floor(random() * 253)
const NETWORK: Example[] = [
  {
    rule: 'ipv4',
    kind: 'ip',
    promise: 'most',
    make: (random) => whole(`203.${octet(random)}.${octet(random)}.${octet(random)}`),
  },
  { rule: 'ipv6', kind: 'ip', promise: 'most', make: (random) => whole(sample('2001:db8:{h4}:{h4}::{h4}', random)) },
  {
    rule: 'mac',
    kind: 'mac',
    promise: 'most',
    make: (random) =>
      whole(
        sample(
          pick(['{h2}:{h2}:{h2}:{h2}:{h2}:a{h1}', '{h2}-{h2}-{h2}-{h2}-{h2}-b{h1}', '{h4}.{h3}c.{h4}'], random),
          random,
        ),
      ),
  },
  {
    rule: 'birth-date',
    kind: 'birth_date',
    promise: 'most',
    make: (random) => {
      const secret = sample(
        pick(['{dd}.{mm}.{yyyy}', '{yyyy}-{mm}-{dd}', '{dd}/{mm}/{yyyy}', '{dd} March {yyyy}'], random),
        random,
      )
      return {
        text: `${pick(['born', 'date of birth:', 'geboren am', 'né le', 'fecha de nacimiento:', 'дата рождения', '生年月日：', '出生日期：'], random)} ${secret}`,
        secret,
      }
    },
  },
  {
    rule: 'mrz',
    kind: 'passport',
    promise: 'all',
    make: (random) => {
      const secret = sample('P<UTO{U8}<<{U4}<{U5}<<<<<<<<<<<<<<<<<<<<', random).padEnd(44, '<').slice(0, 44)
      return whole(secret)
    },
  },
]

const CARD_GROUPS = ['', ' ', '-', '.', '\u00a0', '\u2013', '\u202f', '/', ' - ']
const IBAN_GROUPS = ['', ' ', '-', '.', '\u00a0', '\u2013', '\u202f']

/** In fours, or unevenly, with one kind of separator. */
function grouped(text: string, random: () => number, separators: readonly string[]): string {
  const separator = pick(separators, random)
  if (separator === '') return text
  const even = random() < 0.7
  const groups: string[] = []
  for (let at = 0; at < text.length; ) {
    const size = even ? 4 : 2 + Math.floor(random() * 5)
    groups.push(text.slice(at, at + size))
    at += size
  }
  return groups.join(separator)
}

function spread(text: string, random: () => number): string {
  const separator = pick([' ', '-', '.', '', '\u00a0'], random)
  if (separator === '') return text
  const size = 2 + Math.floor(random() * 2)
  const first = text.length % size === 1 && random() < 0.5 ? 1 : size
  const groups = [text.slice(0, first)]
  for (let at = first; at < text.length; at += size) groups.push(text.slice(at, at + size))
  return groups.join(separator)
}

function tokenOf(text: string, pattern: string): string {
  return new RegExp(`(?<![A-Za-z0-9])(?:${pattern})`).exec(text)?.[0] ?? ''
}

function makeIban(country: string, length: number, random: () => number): string {
  const hasLetters = ['GB', 'NL', 'IE', 'LV', 'BG', 'RO', 'GI', 'BH', 'QA', 'KW', 'JO', 'PS'].includes(country)
  let account = ''
  for (let at = 0; at < length - 4; at++)
    account += hasLetters && at < 4 ? pick([...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'], random) : digits(1, random)
  const check = 98 - ibanRemainder(`${country}00${account}`)
  return `${country}${String(check).padStart(2, '0')}${account}`
}

function digits(count: number, random: () => number): string {
  return sample(`{d${count}}`, random)
}

export function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)]!
}
