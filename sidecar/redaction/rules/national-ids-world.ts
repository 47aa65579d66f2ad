import {
  isDate,
  isOneDigit,
  lastIs11Minus,
  mrzCheck,
  passesLuhn,
  passesMod11_2,
  passesVerhoeff,
  weightedSum,
} from '../checksums.ts'
import type { CodeRule, NumberRule } from '../rule.ts'

const ADDED = '2026-11-28'
const kind = 'national_id' as const
const OECD = 'https://www.oecd.org/tax/automatic-exchange/crs-implementation-and-assistance/tax-identification-numbers/'
const IDENTITY = 'identity|identi|national id|id[ -]?(?:number|no|card|num)|tax|social|citizen'

function isCpf(digits: string): boolean {
  const check = (weights: readonly number[]) => ((weightedSum(digits, weights) * 10) % 11) % 10
  return (
    !isOneDigit(digits) &&
    check([10, 9, 8, 7, 6, 5, 4, 3, 2]) === digits.charCodeAt(9) - 48 &&
    check([11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) === digits.charCodeAt(10) - 48
  )
}

function isCnpj(digits: string): boolean {
  const check = (weights: readonly number[]) => {
    const rest = weightedSum(digits, weights) % 11
    return rest < 2 ? 0 : 11 - rest
  }
  return (
    !isOneDigit(digits) &&
    check([5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) === digits.charCodeAt(12) - 48 &&
    check([6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) === digits.charCodeAt(13) - 48
  )
}

function isMyNumber(digits: string): boolean {
  const rest = weightedSum(digits, [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11
  return !isOneDigit(digits) && (rest < 2 ? 0 : 11 - rest) === digits.charCodeAt(11) - 48
}

function isNit(digits: string): boolean {
  const rest = weightedSum(digits, [41, 37, 29, 23, 19, 17, 13, 7, 3]) % 11
  return (rest < 2 ? rest : 11 - rest) === digits.charCodeAt(9) - 48
}

function isIrd(digits: string): boolean {
  const number = digits.padStart(9, '0')
  const check = (weights: readonly number[]) => {
    const rest = weightedSum(number, weights) % 11
    return rest === 0 ? 0 : 11 - rest
  }
  let expected = check([3, 2, 7, 6, 5, 4, 3, 2])
  if (expected === 10) expected = check([7, 4, 3, 2, 5, 2, 7, 6])
  const value = Number(digits)
  return value >= 10_000_000 && value <= 150_000_000 && expected === number.charCodeAt(8) - 48
}

const SSN_AREA = /^(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}$/
const ITIN = /^9\d\d(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])\d{4}$/

// biome-ignore format: one row a line
export const WORLD_NUMBERS: readonly NumberRule[] = [
  {
    id: 'us-ssn',
    kind: 'ssn',
    country: 'US',
    length: 9,
    check: (d) => (SSN_AREA.test(d) || ITIN.test(d)) && d !== '078051120',
    format: /^\d{3}([-–.])\d{2}[-–.]\d{4}$/,
    near: 'ssn|social sec|itin|taxpayer|s\\.s\\.n|tax id|sozialversicherung',
    examples: ['123-45-{d3}7', '219-09-{d3}1', 'SSN 219 09 {d3}1', 'social security number: 21909{d3}1', '912-70-{d3}2'],
    counterExamples: ['000-12-3456', '666-12-3456', '123-00-4567'],
    source: 'https://www.ssa.gov/employer/randomization.html',
    added: ADDED,
  },
  {
    id: 'ca-sin',
    kind,
    country: 'CA',
    length: 9,
    check: (d) => /^[1-79]/.test(d) && passesLuhn(d) && !isOneDigit(d),
    format: /^\d{3}-\d{3}-\d{3}$/,
    near: 'sin\\b|social insurance|assurance sociale|nas\\b',
    examples: ['SIN {d3} {d3} {d2}{?1}', '7{d2}-{d3}-{d2}{?1}'],
    source: 'https://www.canada.ca (social insurance number)',
    added: ADDED,
  },
  { id: 'br-cpf', kind, country: 'BR', length: 11, check: isCpf, strong: true, near: 'cpf', examples: ['{d3}.{d3}.{d3}-{?2}', '{d9}{?2}'], source: 'https://www.gov.br/receitafederal (CPF)', added: ADDED },
  { id: 'br-cnpj', kind, country: 'BR', length: 14, check: isCnpj, strong: true, near: 'cnpj', examples: ['{d2}.{d3}.{d3}/0001-{?2}', '{d8}0001{?2}'], source: 'https://www.gov.br/receitafederal (CNPJ)', added: ADDED },
  { id: 'ar-cuit', kind, country: 'AR', length: 11, check: (d) => /^(?:20|2[347]|3[034])/.test(d) && lastIs11Minus(d, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2], 9), strong: true, near: 'cui[tl]|dni', examples: ['20-{d8}-{?1}', '27{d8}{?1}'], source: OECD, added: ADDED },
  { id: 'pe-ruc', kind, country: 'PE', length: 11, check: (d) => /^(?:1[0567]|20)/.test(d) && (11 - (weightedSum(d, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 10 === d.charCodeAt(10) - 48, strong: true, near: 'ruc', examples: ['10{d8}{?1}'], source: OECD, added: ADDED },
  { id: 'co-nit', kind, country: 'CO', length: 10, check: isNit, format: /^\d{3}\.\d{3}\.\d{3}-\d$/, near: 'nit\\b', examples: ['NIT {d9}-{?1}', '{d3}.{d3}.{d3}-{?1}'], source: OECD, added: ADDED },
  { id: 'ec-cedula', kind, country: 'EC', length: 10, check: (d) => /^(?:0[1-9]|1\d|2[0-4])[0-5]/.test(d) && passesLuhn(d), near: 'c[ée]dula|ruc', examples: ['cédula 17{d1}0{d5}{?1}'], source: 'https://www.registrocivil.gob.ec', added: ADDED },
  { id: 'uy-ci', kind, country: 'UY', length: 8, check: (d) => (10 - (weightedSum(d, [2, 9, 8, 7, 6, 3, 4]) % 10)) % 10 === d.charCodeAt(7) - 48, format: /^\d\.\d{3}\.\d{3}-\d$/, near: 'c[ée]dula|c\\.i\\.', examples: ['{d1}.{d3}.{d3}-{?1}', 'cédula {d7}{?1}'], source: OECD, added: ADDED },
  { id: 'do-cedula', kind, country: 'DO', length: 11, check: passesLuhn, format: /^\d{3}-\d{7}-\d$/, near: 'c[ée]dula', examples: ['{d3}-{d7}-{?1}', 'cédula {d10}{?1}'], source: 'https://jce.gob.do', added: ADDED },
  { id: 'za-id', kind, country: 'ZA', length: 13, check: (d) => isDate(d, 2, 4) && /^\d{10}[012]/.test(d) && passesLuhn(d), strong: true, near: IDENTITY, examples: ['{yy}{mm}{dd}{d4}08{?1}', '{yy}{mm}{dd} {d4} 08{?1}'], source: 'https://www.dha.gov.za', added: ADDED },
  { id: 'il-id', kind, country: 'IL', length: 9, check: (d) => passesLuhn(d) && !isOneDigit(d), near: `teudat|ת\\.?ז|תעודת|${IDENTITY}`, examples: ['Teudat Zehut {d8}{?1}', 'ת.ז. {d8}{?1}'], source: OECD, added: ADDED },
  { id: 'in-aadhaar', kind, country: 'IN', length: 12, check: (d) => /^[2-9]/.test(d) && passesVerhoeff(d) && !isOneDigit(d), format: /^\d{4}([ -])\d{4}[ -]\d{4}$/, near: 'aadhaar|aadhar|आधार|uid', examples: ['4{d3} {d4} {d3}{?1}', 'Aadhaar 5{d10}{?1}'], source: 'https://uidai.gov.in (Verhoeff)', added: ADDED },
  { id: 'kr-rrn', kind, country: 'KR', length: 13, check: (d) => isDate(d, 2, 4) && /^\d{6}[1-8]/.test(d), format: /^\d{6}-\d{7}$/, near: '주민|외국인|resident|rrn', examples: ['{yy}{mm}{dd}-1{d6}', '주민등록번호 {yy}{mm}{dd}2{d6}'], source: 'https://www.mois.go.kr (no check digit since October 2020)', added: ADDED },
  {
    id: 'kr-rrn-checked',
    kind,
    country: 'KR',
    length: 13,
    check: (d) => isDate(d, 2, 4) && /^\d{6}[1-8]/.test(d) && (11 - (weightedSum(d, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11)) % 10 === d.charCodeAt(12) - 48,
    strong: true,
    near: '주민|외국인|resident|rrn',
    examples: ['{yy}{mm}{dd}1{d5}{?1}'],
    source: 'https://www.mois.go.kr',
    added: ADDED,
  },
  {
    id: 'jp-my-number',
    kind,
    country: 'JP',
    length: 12,
    check: isMyNumber,
    near: 'マイナンバー|個人番号|my ?number|individual number',
    examples: ['マイナンバー {d4} {d4} {d3}{?1}', '個人番号：{d11}{?1}', 'My Number {d4}-{d4}-{d3}{?1}'],
    source: 'https://www.soumu.go.jp (個人番号, 平成26年総務省令第85号)',
    added: ADDED,
  },
  {
    id: 'th-id',
    kind,
    country: 'TH',
    length: 13,
    check: (d) => /^[1-8]/.test(d) && (11 - (weightedSum(d, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 10 === d.charCodeAt(12) - 48,
    format: /^\d[ -]\d{4}[ -]\d{5}[ -]\d{2}[ -]\d$/,
    near: `บัตรประชาชน|ประจำตัว|${IDENTITY}`,
    examples: ['1-{d4}-{d5}-{d2}-{?1}', 'Thai ID card 3{d11}{?1}'],
    source: 'https://www.bora.dopa.go.th',
    added: ADDED,
  },
  { id: 'my-mykad', kind, country: 'MY', length: 12, check: (d) => isDate(d, 2, 4), format: /^\d{6}-\d{2}-\d{4}$/, near: 'mykad|nric|kad pengenalan', examples: ['{yy}{mm}{dd}-14-{d4}', 'MyKad {yy}{mm}{dd}14{d4}'], source: 'https://www.jpn.gov.my (no check digit)', added: ADDED },
  { id: 'id-nik', kind, country: 'ID', length: 16, check: (d) => isDate(d, 8, 6, [0], [0, 40]), near: 'nik\\b|ktp', examples: ['NIK 3174{d2}{dd}{mm}{yy}{d4}'], source: 'https://dukcapil.kemendagri.go.id (no check digit)', added: ADDED },
  { id: 'sa-id', kind, country: 'SA', length: 10, check: (d) => /^[12]/.test(d) && passesLuhn(d), near: `هوية|إقامة|iqama|${IDENTITY}`, examples: ['رقم الهوية 1{d8}{?1}', 'Iqama 2{d8}{?1}'], source: 'https://www.absher.sa', added: ADDED },
  { id: 'ae-id', kind, country: 'AE', length: 15, check: (d) => d.startsWith('784') && passesLuhn(d), strong: true, near: `emirates|هوية|${IDENTITY}`, examples: ['784-19{yy}-{d7}-{?1}', '78419{yy}{d7}{?1}'], source: 'https://icp.gov.ae', added: ADDED },
  { id: 'eg-id', kind, country: 'EG', length: 14, check: (d) => /^[23]/.test(d) && isDate(d, 3, 5), near: `قومي|هوية|${IDENTITY}`, examples: ['الرقم القومي 2{yy}{mm}{dd}01{d5}'], source: 'https://moi.gov.eg (check digit not published)', added: ADDED },
  {
    id: 'ir-id',
    kind,
    country: 'IR',
    length: 10,
    check: (d) => {
      const rest = weightedSum(d, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11
      return !isOneDigit(d) && (rest < 2 ? rest : 11 - rest) === d.charCodeAt(9) - 48
    },
    near: `کد ملی|ملی|melli|${IDENTITY}`,
    examples: ['کد ملی {d9}{?1}'],
    source: 'https://www.sabteahval.ir',
    added: ADDED,
  },
  { id: 'pk-cnic', kind, country: 'PK', length: 13, check: (d) => /^[1-7]/.test(d), format: /^\d{5}-\d{7}-\d$/, near: 'cnic|nicop', examples: ['4{d4}-{d7}-{d1}', 'CNIC 3{d12}'], source: 'https://www.nadra.gov.pk (no check digit)', added: ADDED },
  { id: 'au-tfn', kind, country: 'AU', length: 9, check: (d) => !isOneDigit(d) && weightedSum(d, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0, near: 'tfn|tax file', examples: ['TFN {d3} {d3} {d2}{?1}', 'tax file number: {d8}{?1}'], source: 'https://www.ato.gov.au', added: ADDED },
  { id: 'au-medicare', kind, country: 'AU', length: 10, check: (d) => /^[2-6]/.test(d) && weightedSum(d, [1, 3, 7, 9, 1, 3, 7, 9]) % 10 === d.charCodeAt(8) - 48, near: 'medicare', examples: ['Medicare 2{d3} {d4}{?1} 1', 'medicare number 3{d7}{?1}1'], source: 'https://www.servicesaustralia.gov.au', added: ADDED },
  { id: 'nz-ird', kind, country: 'NZ', length: 9, check: isIrd, near: 'ird\\b|inland revenue', examples: ['IRD 10{d1}-{d3}-{d2}{?1}', 'IRD number 12{d6}{?1}'], source: 'https://www.ird.govt.nz', added: ADDED },
  { id: 'nz-ird-8', kind, country: 'NZ', length: 8, check: isIrd, near: 'ird\\b|inland revenue', examples: ['IRD 4{d1}-{d3}-{d2}{?1}'], source: 'https://www.ird.govt.nz', added: ADDED },
  { id: 'us-npi', kind, country: 'US', length: 10, check: (d) => /^[12]/.test(d) && passesLuhn(`80840${d}`), near: 'npi\\b|national provider', examples: ['NPI 1{d8}{?1}'], source: 'https://www.cms.gov (45 CFR 162.406)', added: ADDED },
]

const isRut = (code: string): boolean => {
  const compact = code.toUpperCase().replace(/[^0-9K]/g, '')
  let sum = 0
  for (let at = compact.length - 2, weight = 2; at >= 0; at--, weight = weight === 7 ? 2 : weight + 1)
    sum += weight * (compact.charCodeAt(at) - 48)
  return '0K987654321'[sum % 11] === compact.at(-1)
}

const isChineseId = (code: string): boolean =>
  /^[1-9]\d{5}(?:19|20)/.test(code) && isDate(code, 10, 12) && passesMod11_2(code)

const TW_LETTERS = 'ABCDEFGHJKLMNPQRSTUVXYWZIO'
const isTaiwanese = (code: string): boolean => {
  const index = TW_LETTERS.indexOf(code[0]!.toUpperCase()) + 10
  const digits = String(index) + code.slice(1)
  return weightedSum(digits, [1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1]) % 10 === 0
}

const isHkid = (code: string): boolean => {
  const compact = code.toUpperCase().replace(/[^A-Z0-9]/g, '')
  const padded = compact.length === 8 ? ` ${compact}` : compact
  let sum = 0
  for (let at = 0; at < 8; at++) {
    const character = padded[at]!
    sum += (9 - at) * (character === ' ' ? 36 : Number.parseInt(character, 36))
  }
  const last = padded[8] === 'A' ? 10 : Number(padded[8])
  return (sum + last) % 11 === 0
}

const isNric = (code: string): boolean => {
  const compact = code.toUpperCase()
  const offset = compact[0] === 'T' || compact[0] === 'G' ? 4 : compact[0] === 'M' ? 3 : 0
  const rest = (weightedSum(compact.slice(1), [2, 7, 6, 5, 4, 3, 2]) + offset) % 11
  const letters = /^[ST]/.test(compact) ? 'JZIHGFEDCBA' : compact[0] === 'M' ? 'KLJNPQRTUWX' : 'XWUTRQPNMLK'
  return letters[compact[0] === 'M' ? 10 - rest : rest] === compact[8]
}

const CURP = '0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ'
const isCurp = (code: string): boolean => {
  const compact = code.toUpperCase()
  let sum = 0
  for (let at = 0; at < 17; at++) sum += CURP.indexOf(compact[at]!) * (18 - at)
  return isDate(compact, 6, 8) && (10 - (sum % 10)) % 10 === compact.charCodeAt(17) - 48
}

// biome-ignore format: one row a line
export const WORLD_CODES: readonly CodeRule[] = [
  { id: 'cl-rut', kind, country: 'CL', pattern: '\\d{1,2}\\.\\d{3}\\.\\d{3}-[\\dK](?![\\p{L}\\p{N}])|\\d{7,8}-[\\dK](?![\\p{L}\\p{N}])', check: isRut, examples: ['{d2}.{d3}.{d3}-{?K}', '1{d7}-{?K}'], source: OECD, added: ADDED },
  { id: 'cn-resident-id', kind, country: 'CN', pattern: '\\d{17}[\\dX](?![\\p{L}\\p{N}])|\\d{6}[ -]\\d{8}[ -]\\d{3}[\\dX](?![\\p{L}\\p{N}])', check: (code) => isChineseId(code.replace(/[ -]/g, '')), examples: ['110105{yyyy}{mm}{dd}{d3}{?X}', '440305 {yyyy}{mm}{dd} {d3}{?X}'], source: 'GB 11643-1999', added: ADDED },
  { id: 'tw-id', kind, country: 'TW', pattern: '[A-Z][1289]\\d{8}(?![\\p{L}\\p{N}])', check: isTaiwanese, examples: ['A1{d7}{?1}', 'F2{d7}{?1}'], source: 'https://www.ris.gov.tw', added: ADDED },
  { id: 'hk-id', kind, country: 'HK', pattern: '[A-Z]{1,2}\\d{6}\\([\\dA]\\)', check: isHkid, examples: ['A{d6}({?1})', 'AB{d6}({?1})'], source: 'https://www.immd.gov.hk', added: ADDED },
  { id: 'hk-id-plain', kind, country: 'HK', pattern: '[A-Z]{1,2}\\d{6}[\\dA](?![\\p{L}\\p{N}])', check: isHkid, near: 'hkid|hong kong|香港|身份證|身份证|identity|id card', examples: ['HKID A{d6}{?1}'], source: 'https://www.immd.gov.hk', added: ADDED },
  { id: 'sg-nric', kind, country: 'SG', pattern: '[STFGM]\\d{7}[A-Z](?![\\p{L}\\p{N}])', check: isNric, examples: ['S{d7}{?L}', 'T{d7}{?L}', 'G{d7}{?L}'], source: 'https://www.ica.gov.sg', added: ADDED },
  { id: 'in-pan', kind, country: 'IN', pattern: '[A-Z]{3}[ABCFGHJLPT][A-Z]\\d{4}[A-Z](?![\\p{L}\\p{N}])', examples: ['ABCPE{d4}F', 'PAN: XYZPK{d4}L'], source: 'https://incometaxindia.gov.in', added: ADDED },
  { id: 'mx-curp', kind, country: 'MX', pattern: '[A-Z][AEIOUX][A-Z]{2}\\d{6}[HMX][A-Z]{5}[A-Z0-9]\\d(?![\\p{L}\\p{N}])', check: isCurp, examples: ['GOMC{yy}{mm}{dd}HDFRRL0{?1}'], source: 'https://www.gob.mx/curp', added: ADDED },
  { id: 'mx-rfc', kind, country: 'MX', pattern: '[A-ZÑ&]{4}\\d{6}[A-Z0-9]{3}(?![\\p{L}\\p{N}])', check: (code) => isDate(code, 6, 8), examples: ['GOMC{yy}{mm}{dd}A12'], source: 'https://www.sat.gob.mx', added: ADDED },
  {
    id: 'passport-number',
    kind: 'passport',
    country: 'any',
    pattern: '[A-Z]{0,3}\\d[A-Z0-9]{5,9}(?![\\p{L}\\p{N}])|[A-Z]{1,2}[ -]?\\d{6,8}(?![\\p{L}\\p{N}])|[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}(?![\\p{L}\\p{N}])',
    check: (code) => /\d/.test(code),
    near: 'passport|reisepass|pass-?nr|passnummer|passeport|pasaporte|passaporto|passaporte|paspoort|paszport|паспорт|pasaport|旅券|パスポート|护照|護照|여권|جواز',
    examples: ['passport C01X00T47', 'Reisepass-Nr. C{d2}X{d2}T4{d1}', 'passport no: {d9}', 'pasaporte AAA{d6}', 'Passport number XB{d7}'],
    source: 'ICAO Doc 9303-4',
    added: ADDED,
  },
]

/** Machine-readable zones, ICAO 9303: what a line of 30, 36 or 44 of A–Z, 0–9 and `<` is, if it is one. */
export function isMrzLine(line: string): boolean {
  if (line.length !== 30 && line.length !== 36 && line.length !== 44) return false
  if (/^[PIACV][A-Z0-9<][A-Z]{3}/.test(line) && line.includes('<<')) return true
  if (line.length === 30)
    return /^\d{7}[MFX<]\d{7}[A-Z]{3}/.test(line) && mrzCheck(line.slice(0, 6)) === Number(line[6])
  return /^[A-Z0-9<]{9}[\d<][A-Z<]{3}\d{7}[MFX<]\d{7}/.test(line) && mrzCheck(line.slice(13, 19)) === Number(line[19])
}
