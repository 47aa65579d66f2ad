import { cpfDigits, curp, hongKong, type NationalId, nric, person, taiwan } from './second-set-id-makers.ts'
import { body, digits, down, LETTERS, lead, luhn, sum, two, until, verhoeff } from './second-set-numbers.ts'

/** National ids outside Europe of the second set: check digits from the published rules, apart from the redactor's own code. */
export const WORLD_IDS: readonly NationalId[] = [
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
