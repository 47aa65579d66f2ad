import { type CountryCode, getCountries, getExampleNumber } from 'libphonenumber-js'
import phoneExamples from 'libphonenumber-js/mobile/examples'
import { LOOK_ALIKES } from './second-set-harmless.ts'
import { NATIONAL_IDS } from './second-set-ids.ts'
import { fill, NAMED, PREFIXED } from './second-set-keys.ts'
import { body, LETTERS, luhn, type Source, seeded } from './second-set-numbers.ts'
import { CREDENTIALS, DATES_OF_BIRTH, MACHINES } from './second-set-texts.ts'

/** A set made by a reviewer who had not read the redactor: it names what must go and leaves the finding to the redactor. */
export interface PlantedText {
  readonly group: Group
  readonly name: string
  readonly place: string
  readonly text: string
  /** What must not be readable in the masked text, in any decoding of it. */
  readonly secret: string
}
export type Group =
  | 'e-mail'
  | 'phone'
  | 'iban'
  | 'card'
  | 'national id'
  | 'national id without words'
  | 'date of birth'
  | 'address of a machine'
  | 'credential'
  | 'prefixed key'
  | 'named key'

/** One sentence a language, of 14. */
const SENTENCES = [
  (x: string) => `Please note: ${x} – thanks!`,
  (x: string) => `Bitte notieren Sie ${x}, danke.`,
  (x: string) => `Merci de noter « ${x} » pour le dossier.`,
  (x: string) => `Por favor, anote (${x}) en la ficha.`,
  (x: string) => `Per favore usa ${x}; grazie.`,
  (x: string) => `Anote aí: ${x}.`,
  (x: string) => `Proszę zapisać: "${x}"`,
  (x: string) => `Пожалуйста, запишите ${x} в анкету.`,
  (x: string) => `请记录:${x}。谢谢`,
  (x: string) => `記録してください:${x}、お願いします。`,
  (x: string) => `기록해 주세요: ${x} 입니다.`,
  (x: string) => `يرجى تسجيل ${x} في الملف`,
  (x: string) => `कृपया लिखें: ${x}।`,
  (x: string) => `Lütfen not edin: ${x}.`,
]
const json = (x: string) => JSON.stringify(x).slice(1, -1)
/** Where a text stands. */
const PLACES: readonly (readonly [name: string, put: (x: string) => string])[] = [
  ['line of a JSON string', (x) => `{"text":"see below:\\n${json(x)}\\nend"}`],
  ['tab in a JSON string', (x) => `{"text":"a\\t${json(x)}\\tb"}`],
  ['tool arguments', (x) => JSON.stringify({ query: 'find', filter: { value: x }, limit: 5 })],
  ['JSON in JSON', (x) => JSON.stringify({ arguments: JSON.stringify({ note: x, n: 1 }) })],
  ['base64', (x) => `blob ${Buffer.from(`Here it is: ${x} as you asked, with regards`).toString('base64')} end`],
  ['percent', (x) => `https://acme.example/find?q=${encodeURIComponent(x)}&page=2`],
  ['code block', (x) => `Try this:\n\`\`\`\n${x}\n\`\`\`\nDone.`],
  ['table', (x) => `| name | value |\n|---|---|\n| one | ${x} |`],
  ['list', (x) => `- first\n- ${x}\n- last`],
  ['alone', (x) => x],
  ['CSV', (x) => `7,${x},open`],
  ['markup', (x) => `<td>${x}</td>`],
]

const EMAILS: readonly string[] = [
  'anna.schmidt@mail.acme.example',
  'j.o+tag-1@sub.domain.co.uk',
  "o'brien_77@irish-firm.ie",
  'josé.garcía@correo.es',
  'müller@büro-köln.de',
  'иван.петров@почта.рф',
  '用户@例子.公司',
  'χρήστης@παράδειγμα.ελ',
  'x@y.io',
  'UPPER.CASE@ACME.COM',
  '"john doe"@acme.com',
  '"a..b"@acme.org',
  'jane[at]acme.com',
  'jane [at] acme [dot] com',
  'jane(at)acme(dot)org',
  'jane.roe (at) acme.de',
  'jane AT acme DOT com',
  'jane%40acme.com',
  'first.last%40sub.acme.co.jp',
  'mailto:peter@acme.museum',
  '<peter.pan@never.land>',
  'user@xn--bcher-kva.example',
  'very.common.name.with.many.dots@acme-corp.travel',
  'disposable.style.email.with+symbol@acme.com',
  '12345678@qq.com',
  '_leading@acme.net',
  'user@[192.168.2.1]',
  'dev&ops@acme.com',
]

/** BBAN structures of the IBAN registry: n digits, a capitals, c both. */
const IBANS =
  'AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BI23n BR23n1a1c BY4c4n16c CH5n12c CR18n CY8n16c CZ20n DE18n DJ23n DK14n DO4c20n EE16n EG25n ES20n FI14n FK2a12n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n GR7n16c GT4c20c HN4a20n HR17n HU24n IE4a14n IL19n IQ4a15n IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c LC4a24c LI5n12c LT16n LU3n13c LV4a13c LY21n MC10n11c2n MD2c18c ME18n MK3n10c2n MN16n MR23n MT4a5n18c MU4a19n3a NI4a20n NL4a10n NO11n OM3n16c PK4a16c PL24n PS4a21c PT21n QA4a21c RO4a16c RS18n RU14n15c SA2n18c SC4a20n3a SD14n SE20n SI15n SK20n SM1a10n12c SO19n ST21n SV4a20n TL19n TN20n TR5n1n16c UA6n19c VA18n VG4a16n XK16n YE4a4n18c'.split(
    ' ',
  )
function iban(structure: string, source: Source): string {
  const country = structure.slice(0, 2)
  const alphabets: Record<string, string> = { n: '0123456789', a: LETTERS, c: `${LETTERS}0123456789` }
  const bban = structure
    .slice(2)
    .replace(/(\d+)([nac])/g, (_, length: string, kind: string) =>
      body(source, alphabets[kind] as string, Number(length)),
    )
  const number = [...`${bban}${country}00`].map((c) => (c >= 'A' ? String(c.charCodeAt(0) - 55) : c)).join('')
  return `${country}${String(98n - (BigInt(number) % 97n)).padStart(2, '0')}${bban}`
}
const grouped = (text: string, size: number, by: string) =>
  (text.match(new RegExp(`.{1,${size}}`, 'gu')) ?? []).join(by)
const IBAN_FORMS: readonly ((x: string) => string)[] = [
  (x) => x,
  (x) => grouped(x, 4, ' '),
  (x) => x.toLowerCase(),
  (x) => grouped(x, 4, '-'),
  (x) => grouped(x.toLowerCase(), 4, ' '),
  (x) => `${x.slice(0, 4)} ${grouped(x.slice(4), 3, ' ')}`,
  (x) => grouped(x, 4, '\u00a0'),
  (x) => grouped(x, 5, ' '),
  (x) => grouped(x, 4, '.'),
  (x) => `${x.slice(0, 2)} ${x.slice(2, 4)} ${x.slice(4, 12)} ${x.slice(12)}`,
]
const CARDS = [
  '4|15',
  '51|13',
  '55|13',
  '2221|11',
  '34|12',
  '37|12',
  '6011|11',
  '65|13',
  '3528|11',
  '3055|9',
  '36|11',
  '62|13',
  '5018|11',
  '2200|11',
  '4|12',
] as const
const CARD_FORMS: readonly ((x: string) => string)[] = [
  (x) => x,
  (x) => grouped(x, 4, ' '),
  (x) => grouped(x, 4, '-'),
  (x) => `${x.slice(0, 4)} ${x.slice(4, 10)} ${x.slice(10)}`,
  (x) => grouped(x, 4, '.'),
  (x) => grouped(x, 4, '\u00a0'),
  (x) => grouped(x, 2, ' '),
  (x) => grouped(x, 4, '  '),
  (x) => `${x.slice(0, 6)} ${x.slice(6)}`,
]

const PHONE_COUNTRIES: readonly CountryCode[] = getCountries().filter((_, at) => at % 3 === 0)
const BIG: readonly CountryCode[] =
  'US GB DE FR ES IT PT BR MX AR CO CL PE IN CN JP KR TR RU UA PL NL BE AT CH SE NO DK FI CZ HU RO BG GR IE IL ZA NG EG KE SA AE PK BD ID MY SG TH VN PH AU NZ CA'.split(
    ' ',
  ) as CountryCode[]
const PHONE_WORDS: Readonly<Record<string, string>> = {
  DE: 'Handy',
  AT: 'Mobil',
  CH: 'Tel.',
  FR: 'Téléphone',
  BE: 'GSM',
  ES: 'móvil',
  MX: 'teléfono',
  AR: 'celular',
  CO: 'celular',
  CL: 'fono',
  PE: 'celular',
  IT: 'cellulare',
  PT: 'telemóvel',
  BR: 'telefone',
  PL: 'telefon',
  RU: 'телефон',
  UA: 'телефон',
  CN: '电话',
  JP: '電話',
  KR: '전화',
  TR: 'telefon',
  IN: 'मोबाइल',
  SA: 'هاتف',
  AE: 'جوال',
  EG: 'هاتف',
  IL: 'טלפון',
  GR: 'τηλέφωνο',
  BG: 'телефон',
  TH: 'โทร',
  VN: 'điện thoại',
  SE: 'mobil',
  NO: 'mobil',
  DK: 'mobil',
  FI: 'puhelin',
  CZ: 'telefon',
  HU: 'telefon',
  RO: 'telefon',
  NL: 'telefoon',
}

function pem(label: string, source: Source): string {
  const lines = Array.from({ length: 12 }, () => body(source, `${LETTERS}abcdefghijklmnopqrstuvwxyz0123456789+/`, 64))
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----`
}

/** The planted texts; the same for a seed. */
export function plantedTexts(seed = 20261129): PlantedText[] {
  const source = seeded(seed)
  const all: PlantedText[] = []
  let turn = 0
  /** A sentence in one language, and the text itself in three places. */
  const put = (group: Group, name: string, text: string, secret = text) => {
    const sentence = turn % SENTENCES.length
    all.push({
      group,
      name,
      place: `sentence ${sentence}`,
      text: (SENTENCES[sentence] as (x: string) => string)(text),
      secret,
    })
    for (const step of [0, 5, 7]) {
      const [place, wrap] = PLACES[(turn + step) % PLACES.length] as (typeof PLACES)[number]
      // A line break is no part of a CSV cell, a table or a list.
      if (text.includes('\n') && ['CSV', 'table', 'list'].includes(place)) continue
      all.push({ group, name, place, text: wrap(text), secret })
    }
    turn++
  }
  for (const text of EMAILS) put('e-mail', text, text, text.replace(/^mailto:|[<>]/g, ''))
  for (const [at, country] of [...BIG, ...PHONE_COUNTRIES].entries()) {
    const number = getExampleNumber(country, phoneExamples)
    if (number === undefined) continue
    const digits = String(number.countryCallingCode)
    const national = String(number.nationalNumber)
    const forms = [
      number.formatInternational(),
      number.number,
      number.formatInternational().replaceAll(' ', '-'),
      number.formatInternational().replaceAll(' ', '.'),
      `00${digits} ${national}`,
      `+${digits} (0) ${grouped(national, 3, ' ')}`,
      `+${digits}/${grouped(national, 4, ' ')}`,
      `(+${digits}) ${grouped(national, 3, '-')}`,
      `+${digits}\u00a0${grouped(national, 2, '\u00a0')}`,
      `tel:+${digits}-${national}`,
    ]
    put('phone', `${country} international`, forms[at % forms.length] as string)
    put('phone', `${country} international`, forms[(at + 3) % forms.length] as string)
    if (at < BIG.length) {
      const word = PHONE_WORDS[country] ?? 'phone'
      put('phone', `${country} national`, `${word}: ${number.formatNational()}`, number.formatNational())
    }
  }
  for (const [at, structure] of IBANS.entries()) {
    for (const step of [0, 3]) {
      const text = (IBAN_FORMS[(at + step) % IBAN_FORMS.length] as (x: string) => string)(iban(structure, source))
      put('iban', structure.slice(0, 2), text)
    }
  }
  for (const card of CARDS) {
    const [start, length] = card.split('|') as [string, string]
    for (let at = 0; at < 4; at++) {
      const first = start + body(source, '0123456789', Number(length) - (start === '4' ? 1 : 0))
      const number = first + luhn(first)
      const written = (CARD_FORMS[(turn + at) % CARD_FORMS.length] as (x: string) => string)(number)
      // 13 digits in other groups are an EAN as well: only the word makes them a card.
      put('card', start, number.length === 13 ? `Visa ${written}` : written, written)
    }
  }
  for (const id of NATIONAL_IDS) {
    for (let at = 0; at < 2; at++) {
      const number = id.make(source)
      put('national id', id.name, `${id.context}: ${number}`, number)
    }
    if (id.distinct) put('national id without words', id.name, id.make(source))
  }
  for (const [text, secret] of DATES_OF_BIRTH) put('date of birth', text, text, secret)
  for (const text of MACHINES) put('address of a machine', text, text)
  for (const [name, text, secret] of CREDENTIALS) put('credential', name, text, secret)
  for (const label of [
    'RSA PRIVATE KEY',
    'PRIVATE KEY',
    'EC PRIVATE KEY',
    'OPENSSH PRIVATE KEY',
    'ENCRYPTED PRIVATE KEY',
    'PGP PRIVATE KEY BLOCK',
  ]) {
    const text = pem(label, source)
    put('credential', label, text, text.split('\n')[5] as string)
  }
  for (const [name, form] of PREFIXED) put('prefixed key', name, fill(form, source))
  for (const [name, before, form] of NAMED) {
    const value = fill(form, source)
    put('named key', name, before + value, value)
  }
  return all
}

/** Texts of which every sign must stay, at least `count`. */
export function harmlessTexts(count: number, seed = 20261130): string[] {
  const source = seeded(seed)
  const all = new Set<string>()
  for (let round = 0; all.size < count; round++) {
    for (const make of LOOK_ALIKES) {
      const text = make(source)
      const sentence = SENTENCES[(round * 5 + all.size) % SENTENCES.length] as (x: string) => string
      if (round % 3 === 0) all.add(text)
      else if (round % 3 === 1) all.add(JSON.stringify({ content: `first\n${text}\tlast` }))
      else all.add(sentence(text))
      // Texts without a random part come again: they stand in every sentence at most.
      if (all.size >= count) break
    }
  }
  return [...all]
}

/** Every reading of a text: as it is, JSON undone, percent undone, base64 undone. */
export function readings(text: string): string[] {
  const all = [text]
  let undone = text
  for (let at = 0; at < 2; at++) {
    undone = undone.replace(/\\(u[0-9a-f]{4}|.)/gi, (_, c: string) =>
      c === 'n' ? '\n' : c === 't' ? '\t' : c.length > 1 ? String.fromCharCode(Number.parseInt(c.slice(1), 16)) : c,
    )
    all.push(undone)
  }
  all.push(
    text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
      try {
        return decodeURIComponent(run)
      } catch {
        return run
      }
    }),
  )
  for (const [run] of text.matchAll(/[A-Za-z0-9+/]{24,}={0,2}/g)) all.push(Buffer.from(run, 'base64').toString('utf8'))
  return all
}
/** Can the secret be read in any of the readings? */
export function leaks(masked: string, secret: string): boolean {
  return readings(masked).some((reading) => reading.includes(secret))
}
