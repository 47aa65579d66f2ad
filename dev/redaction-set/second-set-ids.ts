/** National ids of the second set: each generator computes its check digits from the published rule, apart from the redactor's own code. */

/** A random source: `int(n)` is in [0, n). */
export interface Source {
  int(n: number): number
}
export function seeded(seed: number): Source {
  let state = seed >>> 0
  return {
    int(n) {
      // Mulberry32.
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) % n
    },
  }
}
export const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
export function body(source: Source, alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[source.int(alphabet.length)]).join('')
}
const digits = (source: Source, length: number) => body(source, '0123456789', length)
const lead = (source: Source, length: number) => String(1 + source.int(9)) + digits(source, length - 1)
const two = (n: number) => String(n).padStart(2, '0')
const date = (source: Source) => ({
  y: two(50 + source.int(48)),
  m: two(1 + source.int(12)),
  d: two(1 + source.int(28)),
})
const sum = (text: string, weights: readonly number[]) =>
  weights.reduce((all, weight, at) => all + weight * Number(text[at]), 0)
const down = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, at) => from - at)
export function luhn(text: string): string {
  let all = 0
  for (let at = text.length - 1, double = true; at >= 0; at--, double = !double) {
    const digit = Number(text[at]) * (double ? 2 : 1)
    all += digit > 9 ? digit - 9 : digit
  }
  return String((10 - (all % 10)) % 10)
}
/** Draws until the check digit exists. */
function until(make: () => string | undefined): string {
  for (;;) {
    const made = make()
    if (made !== undefined) return made
  }
}
function iso7064(text: string): string {
  let product = 10
  for (const digit of text) {
    const step = (Number(digit) + product) % 10 || 10
    product = (step * 2) % 11
  }
  return String((11 - product) % 10)
}
const VERHOEFF_D = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
]
const VERHOEFF_P = [
  '0123456789',
  '1576283094',
  '5803796142',
  '8916043527',
  '9453126870',
  '4286573901',
  '2793806415',
  '7046913258',
]
function verhoeff(text: string): string {
  for (let check = 0; check < 10; check++) {
    let c = 0
    const all = [...text, String(check)].reverse()
    all.forEach((digit, at) => {
      c = Number(VERHOEFF_D[c]?.[Number(VERHOEFF_P[at % 8]?.[Number(digit)])])
    })
    if (c === 0) return String(check)
  }
  throw new Error('no Verhoeff digit')
}

export interface NationalId {
  readonly name: string
  /** Words before the number, in the country's language. */
  readonly context: string
  /** The form is enough without words. */
  readonly distinct?: true
  make(source: Source): string
}
const BALTIC_1 = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1]
const BALTIC_2 = [3, 4, 5, 6, 7, 8, 9, 1, 2, 3]
function baltic(s: Source): string {
  const { y, m, d } = date(s)
  const text = `${3 + s.int(2)}${y}${m}${d}${digits(s, 3)}`
  const first = sum(text, BALTIC_1) % 11
  const second = sum(text, BALTIC_2) % 11
  return text + (first < 10 ? first : second % 10)
}
function jmbg(s: Source, region: string): string {
  return until(() => {
    const { y, m, d } = date(s)
    const text = `${d}${m}9${y}${region}${digits(s, 3)}`
    const check = 11 - (sum(text, [7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)
    return check === 10 ? undefined : text + (check === 11 ? 0 : check)
  })
}
function czech(s: Source): string {
  return until(() => {
    const { y, m, d } = date(s)
    const start = `${y}${m}${d}`
    const tail = digits(s, 3)
    const rest = Number(start + tail) % 11
    return rest === 10 ? undefined : `${start}/${tail}${rest}`
  })
}
function cpfDigits(text: string): string {
  const a = ((sum(text, down(10, 2)) * 10) % 11) % 10
  const b = ((sum(text + a, down(11, 2)) * 10) % 11) % 10
  return `${a}${b}`
}
function codiceFiscale(s: Source): string {
  const odd: Record<string, number> = {}
  const values = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
  values.forEach((value, at) => {
    odd[LETTERS[at] as string] = value
    if (at < 10) odd[String(at)] = value
  })
  const { y, d } = date(s)
  const text = `${body(s, 'BCDFGLMNPRST', 6)}${y}${body(s, 'ABCDEHLMPRST', 1)}${d}${body(s, 'ABCDEFGHIL', 1)}${digits(s, 3)}`
  let all = 0
  ;[...text].forEach((c, at) => {
    all += at % 2 === 0 ? (odd[c] as number) : /\d/.test(c) ? Number(c) : LETTERS.indexOf(c)
  })
  return text + LETTERS[all % 26]
}
function curp(s: Source): string {
  const { y, m, d } = date(s)
  const text = `${body(s, 'GHLMR', 1)}${body(s, 'AEIOU', 1)}${body(s, 'CDFGLMP', 2)}${y}${m}${d}${body(s, 'HM', 1)}DF${body(s, 'BCDFGLMNPRST', 3)}0`
  const order = '0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ'
  const all = [...text].reduce((sum, c, at) => sum + order.indexOf(c) * (18 - at), 0)
  return text + ((10 - (all % 10)) % 10)
}
function taiwan(s: Source): string {
  const order = 'ABCDEFGHJKLMNPQRSTUVXYWZIO'
  const letter = LETTERS[s.int(26)] as string
  const value = order.indexOf(letter) + 10
  const text = `${1 + s.int(2)}${digits(s, 7)}`
  const all = Math.floor(value / 10) + (value % 10) * 9 + sum(text, down(8, 1))
  return `${letter}${text}${(10 - (all % 10)) % 10}`
}
function nric(s: Source): string {
  const text = digits(s, 7)
  return `S${text}${'JZIHGFEDCBA'[sum(text, [2, 7, 6, 5, 4, 3, 2]) % 11]}`
}
function hongKong(s: Source): string {
  const letter = body(s, LETTERS, 1)
  const text = digits(s, 6)
  const all = 36 * 9 + (LETTERS.indexOf(letter) + 10) * 8 + sum(text, down(7, 2))
  const check = (11 - (all % 11)) % 11
  return `${letter}${text}(${check === 10 ? 'A' : check})`
}
const person = (s: Source) => {
  const { y, m, d } = date(s)
  return `${y}${m}${d}`
}

export const NATIONAL_IDS: readonly NationalId[] = [
  {
    name: 'BR CPF',
    context: 'CPF',
    distinct: true,
    make: (s) => {
      const t = digits(s, 9)
      return `${t.slice(0, 3)}.${t.slice(3, 6)}.${t.slice(6)}-${cpfDigits(t)}`
    },
  },
  { name: 'BR CPF bare', context: 'meu CPF é', make: (s) => ((t) => t + cpfDigits(t))(digits(s, 9)) },
  {
    name: 'BR CNPJ',
    context: 'CNPJ',
    distinct: true,
    make: (s) => {
      const t = `${digits(s, 8)}0001`
      const check = (x: string, w: number[]) => ((r) => (r < 2 ? 0 : 11 - r))(sum(x, w) % 11)
      const a = check(t, [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
      const b = check(t + a, [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
      return `${t.slice(0, 2)}.${t.slice(2, 5)}.${t.slice(5, 8)}/0001-${a}${b}`
    },
  },
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
  {
    name: 'TR TC',
    context: 'TC kimlik no',
    make: (s) => {
      const t = lead(s, 9)
      const n = [...t].map(Number) as [number, number, number, number, number, number, number, number, number]
      const odd = n[0] + n[2] + n[4] + n[6] + n[8]
      const even = n[1] + n[3] + n[5] + n[7]
      const a = (((odd * 7 - even) % 10) + 10) % 10
      return `${t}${a}${(odd + even + a) % 10}`
    },
  },
  { name: 'IL TZ', context: 'תעודת זהות', make: (s) => ((t) => t + luhn(t))(`3${digits(s, 7)}`) },
  {
    name: 'ZA ID',
    context: 'ID number',
    make: (s) => ((t) => t + luhn(t))(`${person(s)}${5 + s.int(5)}${digits(s, 3)}08`),
  },
  {
    name: 'IN Aadhaar',
    context: 'आधार',
    make: (s) =>
      ((t) => ((x) => `${x.slice(0, 4)} ${x.slice(4, 8)} ${x.slice(8)}`)(t + verhoeff(t)))(
        `${2 + s.int(8)}${digits(s, 10)}`,
      ),
  },
  {
    name: 'IN PAN',
    context: 'PAN',
    make: (s) => `${body(s, LETTERS, 3)}P${body(s, LETTERS, 1)}${lead(s, 4)}${body(s, LETTERS, 1)}`,
  },
  {
    name: 'CN ID',
    context: '身份证号',
    distinct: true,
    make: (s) => {
      const t = `11010119${person(s)}${digits(s, 3)}`
      return t + '10X98765432'[sum(t, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11]
    },
  },
  { name: 'TW ID', context: '身分證字號', distinct: true, make: taiwan },
  { name: 'HK ID', context: 'HKID', distinct: true, make: hongKong },
  { name: 'SG NRIC', context: 'NRIC', distinct: true, make: nric },
  {
    name: 'KR RRN',
    context: '주민등록번호',
    distinct: true,
    make: (s) =>
      ((t) => `${t.slice(0, 6)}-${t.slice(6)}${(11 - (sum(t, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11)) % 10}`)(
        `${person(s)}${1 + s.int(2)}${digits(s, 5)}`,
      ),
  },
  {
    name: 'JP My Number',
    context: 'マイナンバー',
    make: (s) =>
      ((t) =>
        ((r) => `${t.slice(0, 4)} ${t.slice(4, 8)} ${t.slice(8)}${r <= 1 ? 0 : 11 - r}`)(
          sum(t, [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11,
        ))(lead(s, 11)),
  },
  {
    name: 'AU TFN',
    context: 'tax file number',
    make: (s) =>
      until(() => {
        const t = lead(s, 9)
        return sum(t, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0
          ? `${t.slice(0, 3)} ${t.slice(3, 6)} ${t.slice(6)}`
          : undefined
      }),
  },
  {
    name: 'AU Medicare',
    context: 'Medicare number',
    make: (s) =>
      ((t) => `${t.slice(0, 4)} ${t.slice(4)}${sum(t, [1, 3, 7, 9, 1, 3, 7, 9]) % 10} 1`)(`2${digits(s, 7)}`),
  },
  {
    name: 'NZ IRD',
    context: 'IRD number',
    make: (s) =>
      until(() => {
        const t = `0${4 + s.int(6)}${digits(s, 6)}`
        const r = sum(t, [3, 2, 7, 6, 5, 4, 3, 2]) % 11
        const c = r === 0 ? 0 : 11 - r
        return c === 10 ? undefined : `${t.slice(1, 3)}-${t.slice(3, 6)}-${t.slice(6)}${c}`
      }),
  },
  {
    name: 'CA SIN',
    context: 'SIN',
    make: (s) =>
      ((t) => ((x) => `${x.slice(0, 3)}-${x.slice(3, 6)}-${x.slice(6)}`)(t + luhn(t)))(
        `${1 + s.int(7)}${digits(s, 7)}`,
      ),
  },
  { name: 'MX CURP', context: 'CURP', distinct: true, make: curp },
  {
    name: 'CL RUT',
    context: 'RUT',
    distinct: true,
    make: (s) => {
      const t = `1${digits(s, 7)}`
      const c = 11 - (sum(t, [3, 2, 7, 6, 5, 4, 3, 2]) % 11)
      return `${t.slice(0, 2)}.${t.slice(2, 5)}.${t.slice(5)}-${c === 11 ? 0 : c === 10 ? 'K' : c}`
    },
  },
  {
    name: 'AR CUIT',
    context: 'CUIT',
    distinct: true,
    make: (s) =>
      until(() => {
        const t = `20${lead(s, 8)}`
        const c = (11 - (sum(t, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11
        return c === 10 ? undefined : `20-${t.slice(2)}-${c}`
      }),
  },
  {
    name: 'CO NIT',
    context: 'NIT',
    make: (s) =>
      ((t) =>
        ((r) => `${t.slice(0, 3)}.${t.slice(3, 6)}.${t.slice(6)}-${r > 1 ? 11 - r : r}`)(
          sum(t, [41, 37, 29, 23, 19, 17, 13, 7, 3]) % 11,
        ))(`9${digits(s, 8)}`),
  },
  {
    name: 'UY CI',
    context: 'cédula de identidad',
    make: (s) =>
      ((t) => `${t[0]}.${t.slice(1, 4)}.${t.slice(4)}-${(10 - (sum(t, [2, 9, 8, 7, 6, 3, 4]) % 10)) % 10}`)(lead(s, 7)),
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
    name: 'US SSN',
    context: 'SSN',
    distinct: true,
    make: (s) => `${two(1 + s.int(98)).padStart(3, '4')}-${two(1 + s.int(98))}-${lead(s, 4)}`,
  },
  {
    name: 'TH ID',
    context: 'เลขประจำตัวประชาชน',
    distinct: true,
    make: (s) =>
      ((t) => `${t[0]}-${t.slice(1, 5)}-${t.slice(5, 10)}-${t.slice(10)}-${(11 - (sum(t, down(13, 2)) % 11)) % 10}`)(
        `${1 + s.int(8)}${digits(s, 11)}`,
      ),
  },
  { name: 'MY NRIC', context: 'MyKad', make: (s) => `${person(s)}-14-${lead(s, 4)}` },
  {
    name: 'IE PPS',
    context: 'PPS number',
    distinct: true,
    make: (s) => ((t) => t + 'WABCDEFGHIJKLMNOPQRSTUV'[sum(t, down(8, 2)) % 23])(lead(s, 7)),
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
  {
    name: 'RU INN',
    context: 'ИНН',
    make: (s) => {
      const t = `77${digits(s, 8)}`
      const a = (sum(t, [7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11) % 10
      return `${t}${a}${(sum(`${t}${a}`, [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11) % 10}`
    },
  },
  {
    name: 'RU SNILS',
    context: 'СНИЛС',
    distinct: true,
    make: (s) =>
      ((t) => `${t.slice(0, 3)}-${t.slice(3, 6)}-${t.slice(6)} ${two((sum(t, down(9, 1)) % 101) % 100)}`)(lead(s, 9)),
  },
  {
    name: 'KZ IIN',
    context: 'ИИН',
    make: (s) =>
      until(() => {
        const t = `${person(s)}3${digits(s, 4)}`
        const a = sum(t, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) % 11
        const b = sum(t, [3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]) % 11
        return a < 10 ? `${t}${a}` : b < 10 ? `${t}${b}` : undefined
      }),
  },
  { name: 'EC CI', context: 'cédula', make: (s) => ((t) => t + luhn(t))(`17${s.int(6)}${digits(s, 6)}`) },
]
