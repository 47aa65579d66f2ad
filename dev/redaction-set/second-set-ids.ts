import { baltic, codiceFiscale, czech, jmbg, type NationalId, person } from './second-set-id-makers.ts'
import { WORLD_IDS } from './second-set-ids-world.ts'
import { body, date, digits, down, iso7064, lead, luhn, sum, two, until } from './second-set-numbers.ts'

/** National ids of the second set: check digits from the published rules, apart from the redactor's own code. */
export const NATIONAL_IDS: readonly NationalId[] = [
  {
    name: 'ES DNI',
    context: 'mi DNI es',
    distinct: true,
    make: (s) => ((t) => t + 'TRWAGMYFPDXBNJZSQVHLCKE'[Number(t) % 23])(lead(s, 8)),
  },
  {
    name: 'ES NIE',
    context: 'NIE',
    distinct: true,
    make: (s) => ((t) => `Y${t}${'TRWAGMYFPDXBNJZSQVHLCKE'[Number(`1${t}`) % 23]}`)(digits(s, 7)),
  },
  {
    name: 'FR NIR',
    context: 'numéro de sécurité sociale',
    distinct: true,
    make: (s) => {
      const { y, m } = date(s)
      const t = `${1 + s.int(2)}${y}${m}75${two(1 + s.int(98)).padStart(3, '1')}${two(1 + s.int(98)).padStart(3, '0')}`
      return `${t[0]} ${y} ${m} 75 ${t.slice(7, 10)} ${t.slice(10)} ${two(97 - (Number(t) % 97))}`
    },
  },
  { name: 'IT CF', context: 'codice fiscale', distinct: true, make: codiceFiscale },
  {
    name: 'PL PESEL',
    context: 'PESEL',
    make: (s) => ((t) => t + ((10 - (sum(t, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10))(person(s) + digits(s, 4)),
  },
  {
    name: 'PL NIP',
    context: 'NIP',
    make: (s) =>
      until(() => {
        const t = lead(s, 9)
        const c = sum(t, [6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11
        return c === 10 || t[1] === '0' || t[2] === '0'
          ? undefined
          : `${t.slice(0, 3)}-${t.slice(3, 6)}-${t.slice(6, 8)}-${t[8]}${c}`
      }),
  },
  {
    name: 'NL BSN',
    context: 'mijn BSN is',
    make: (s) =>
      until(() => {
        const t = lead(s, 8)
        const c = sum(t, down(9, 2)) % 11
        return c === 10 ? undefined : t + c
      }),
  },
  {
    name: 'BE NN',
    context: 'rijksregisternummer',
    distinct: true,
    make: (s) => {
      const { y, m, d } = date(s)
      const n = two(1 + s.int(99)).padStart(3, '1')
      return `${y}.${m}.${d}-${n}.${two(97 - (Number(y + m + d + n) % 97))}`
    },
  },
  {
    name: 'DE Steuer-ID',
    context: 'Steuer-ID',
    make: (s) => {
      const pool = [...'123456789']
      const picked: string[] = []
      while (picked.length < 9) picked.push(...pool.splice(s.int(pool.length), 1))
      const t = `${picked.join('')}${picked[4]}`
      const text = t + iso7064(t)
      return `${text.slice(0, 2)} ${text.slice(2, 5)} ${text.slice(5, 8)} ${text.slice(8)}`
    },
  },
  {
    name: 'SE PNR',
    context: 'personnummer',
    distinct: true,
    make: (s) => ((t, n) => `${t}-${n}${luhn(t + n)}`)(person(s), digits(s, 3)),
  },
  {
    name: 'NO FNR',
    context: 'fødselsnummer',
    make: (s) =>
      until(() => {
        const { y, m, d } = date(s)
        const t = `${d}${m}${y}${digits(s, 3)}`
        const a = (11 - (sum(t, [3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11)) % 11
        const b = (11 - (sum(`${t}${a}`, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11
        return a === 10 || b === 10 ? undefined : `${t}${a}${b}`
      }),
  },
  {
    name: 'FI HETU',
    context: 'henkilötunnus',
    distinct: true,
    make: (s) => {
      const { y, m, d } = date(s)
      const n = two(2 + s.int(90)).padStart(3, '1')
      return `${d}${m}${y}-${n}${'0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(d + m + y + n) % 31]}`
    },
  },
  { name: 'DK CPR', context: 'CPR-nummer', make: (s) => ((t) => `${t.d}${t.m}${t.y}-${digits(s, 4)}`)(date(s)) },
  {
    name: 'PT NIF',
    context: 'o meu NIF é',
    make: (s) => ((t) => t + ((c) => (c > 9 ? 0 : c))(11 - (sum(t, down(9, 2)) % 11)))(`2${digits(s, 7)}`),
  },
  { name: 'CZ RC', context: 'rodné číslo', distinct: true, make: czech },
  {
    name: 'RO CNP',
    context: 'CNP',
    make: (s) =>
      ((t) => t + ((c) => (c === 10 ? 1 : c))(sum(t, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11))(
        `${1 + s.int(2)}${person(s)}12${two(1 + s.int(98)).padStart(3, '1')}`,
      ),
  },
  {
    name: 'BG EGN',
    context: 'ЕГН',
    make: (s) => ((t) => t + ((sum(t, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11) % 10))(person(s) + digits(s, 3)),
  },
  {
    name: 'GR AFM',
    context: 'ΑΦΜ',
    make: (s) => ((t) => t + ((sum(t, [256, 128, 64, 32, 16, 8, 4, 2]) % 11) % 10))(`1${digits(s, 7)}`),
  },
  {
    name: 'GR AMKA',
    context: 'AMKA',
    make: (s) => ((t) => t + luhn(t))(((x) => `${x.d}${x.m}${x.y}`)(date(s)) + digits(s, 4)),
  },
  { name: 'EE IK', context: 'isikukood', make: baltic },
  { name: 'LT AK', context: 'asmens kodas', make: baltic },
  {
    name: 'LV PK',
    context: 'personas kods',
    make: (s) =>
      until(() => {
        const { y, m, d } = date(s)
        const t = `${d}${m}${y}1${digits(s, 3)}`
        const c = (1101 - sum(t, [1, 6, 3, 7, 9, 10, 5, 8, 4, 2])) % 11
        return c === 10 ? undefined : `${t.slice(0, 6)}-${t.slice(6)}${c}`
      }),
  },
  { name: 'HR OIB', context: 'OIB', make: (s) => ((t) => t + iso7064(t))(lead(s, 10)) },
  { name: 'SI EMSO', context: 'EMŠO', make: (s) => jmbg(s, '50') },
  { name: 'RS JMBG', context: 'JMBG', make: (s) => jmbg(s, '71') },
  {
    name: 'CH AHV',
    context: 'AHV-Nummer',
    distinct: true,
    make: (s) =>
      ((t) =>
        `${t.slice(0, 3)}.${t.slice(3, 7)}.${t.slice(7, 11)}.${t.slice(11)}${(10 - (sum(t, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10)) % 10}`)(
        `756${digits(s, 9)}`,
      ),
  },
  {
    name: 'AT SVNR',
    context: 'Sozialversicherungsnummer',
    make: (s) =>
      until(() => {
        const { y, m, d } = date(s)
        const n = lead(s, 3)
        const c = sum(n + d + m + y, [3, 7, 9, 5, 8, 4, 2, 1, 6]) % 11
        return c === 10 ? undefined : `${n}${c} ${d}${m}${y}`
      }),
  },
  {
    name: 'UK NHS',
    context: 'NHS number',
    make: (s) =>
      until(() => {
        const t = `4${digits(s, 8)}`
        const c = (11 - (sum(t, down(10, 2)) % 11)) % 11
        return c === 10 ? undefined : `${t.slice(0, 3)} ${t.slice(3, 6)} ${t.slice(6)}${c}`
      }),
  },
  {
    name: 'UK NINO',
    context: 'National Insurance number',
    distinct: true,
    make: (s) =>
      `${body(s, 'ABCEHJ', 1)}${body(s, 'ABCEHJ', 1)} ${digits(s, 2)} ${digits(s, 2)} ${digits(s, 2)} ${body(s, 'ABCD', 1)}`,
  },
  {
    name: 'HU TAJ',
    context: 'TAJ szám',
    make: (s) =>
      ((t) => `${t.slice(0, 3)} ${t.slice(3, 6)} ${t.slice(6)}${sum(t, [3, 7, 3, 7, 3, 7, 3, 7]) % 10}`)(lead(s, 8)),
  },
  {
    name: 'IS KT',
    context: 'kennitala',
    distinct: true,
    make: (s) =>
      until(() => {
        const { y, m, d } = date(s)
        const t = `${d}${m}${y}${two(20 + s.int(79))}`
        const c = (11 - (sum(t, [3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11
        return c === 10 ? undefined : `${t.slice(0, 6)}-${t.slice(6)}${c}9`
      }),
  },
  {
    name: 'UA RNOKPP',
    context: 'РНОКПП',
    make: (s) => ((t) => t + ((((sum(t, [-1, 5, 7, 9, 4, 6, 10, 5, 7]) % 11) + 11) % 11) % 10))(`2${digits(s, 8)}`),
  },
  ...WORLD_IDS,
]
