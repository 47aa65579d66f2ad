import {
  isDate,
  isOneDigit,
  lastIs10Minus,
  lastIs11Minus,
  lastIsMod11,
  passesEan,
  passesLuhn,
  passesMod11_10,
  passesVerhoeff,
  weightedSum,
} from '../checksums.ts'
import type { CodeRule, NumberRule } from '../rule.ts'

const ADDED = '2026-11-28'
const kind = 'national_id' as const
const OECD = 'https://www.oecd.org/tax/automatic-exchange/crs-implementation-and-assistance/tax-identification-numbers/'

/** Germany: of the first ten digits exactly one stands twice or thrice. */
function isSteuerId(digits: string): boolean {
  if (digits[0] === '0') return false
  const counts = new Array<number>(10).fill(0)
  for (let at = 0; at < 10; at++) counts[digits.charCodeAt(at) - 48]!++
  const repeated = counts.filter((count) => count > 1)
  return repeated.length === 1 && repeated[0]! <= 3 && passesMod11_10(digits)
}

function isNir(digits: string): boolean {
  const month = Number(digits.slice(3, 5))
  const plausible = (month >= 1 && month <= 12) || (month >= 20 && month <= 42) || month >= 50
  return /^[1-478]/.test(digits) && plausible && 97 - (Number(digits.slice(0, 13)) % 97) === Number(digits.slice(13))
}

function isBelgian(digits: string): boolean {
  const key = Number(digits.slice(9))
  const number = digits.slice(0, 9)
  return (
    isDate(digits, 2, 4, [0, 20, 40]) &&
    (97 - (Number(number) % 97) === key || 97 - (Number(`2${number}`) % 97) === key)
  )
}

/** Estonia and Lithuania; Kazakhstan has the same in another length. */
function passesTwoRounds(digits: string, first: readonly number[], second: readonly number[]): boolean {
  let rest = weightedSum(digits, first) % 11
  if (rest === 10) rest = (weightedSum(digits, second) % 11) % 10
  return rest === digits.charCodeAt(first.length) - 48
}

function isLatvian(digits: string): boolean {
  const rest = (1101 - weightedSum(digits, [1, 6, 3, 7, 9, 10, 5, 8, 4, 2])) % 11
  return isDate(digits, 2, 0) && rest % 10 === digits.charCodeAt(10) - 48
}

function isTckn(digits: string): boolean {
  if (digits[0] === '0') return false
  const tenth = (((weightedSum(digits, [7, -1, 7, -1, 7, -1, 7, -1, 7]) % 10) + 10) % 10) + 48
  return (
    tenth === digits.charCodeAt(9) &&
    weightedSum(digits, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) % 10 === digits.charCodeAt(10) - 48
  )
}

function isNorwegian(digits: string): boolean {
  return (
    isDate(digits, 2, 0, [0, 40, 80], [0, 40]) &&
    lastIs11Minus(digits, [3, 7, 6, 1, 8, 9, 4, 5, 2]) &&
    lastIs11Minus(digits, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2])
  )
}

function isSnils(digits: string): boolean {
  const sum = weightedSum(digits, [9, 8, 7, 6, 5, 4, 3, 2, 1])
  return (sum % 101) % 100 === Number(digits.slice(9))
}

function isInn12(digits: string): boolean {
  const mod = (weights: readonly number[]) => (weightedSum(digits, weights) % 11) % 10
  return (
    mod([7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) === digits.charCodeAt(10) - 48 &&
    mod([3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) === digits.charCodeAt(11) - 48
  )
}

const PERSONAL =
  'personnummer|personal (?:id|identity|number|code)|personnr|pers\\.?nr|identity number|id[ -]?(?:number|no|code|card)|national id|tax|ssn|social security|fødselsnummer|fodselsnummer|f\\.?nr'

// biome-ignore format: one row a line
export const EUROPEAN_NUMBERS: readonly NumberRule[] = [
  { id: 'de-steuer-id', kind, country: 'DE', length: 11, check: isSteuerId, strong: true, near: 'steuer|idnr|tax|tin|id-nr', examples: ['{d10}{?1}', '{d2} {d3} {d3} {d2}{?1}'], counterExamples: ['12345678901'], source: 'https://www.bzst.de (Steueridentifikationsnummer, ISO 7064 mod 11-10)', added: ADDED },
  {
    id: 'at-svnr',
    kind,
    country: 'AT',
    length: 10,
    check: (d) => d[0] !== '0' && isDate(d, 6, 4) && weightedSum(d, [3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 === d.charCodeAt(3) - 48,
    strong: true,
    near: 'svnr|sv-n|sozial|versicherung|social',
    examples: ['{d3}{?1}{dd}{mm}{yy}', '{d3}{?1} {dd}{mm}{yy}'],
    source: 'https://www.sozialversicherung.at',
    added: ADDED,
  },
  { id: 'fr-nir', kind, country: 'FR', length: 15, check: isNir, strong: true, near: 'nir|s[ée]cu|s[ée]curit|insee|social', examples: ['1{yy}{mm}{d8}{?2}', '2 {yy} {mm} {d2} {d3} {d3} {?2}'], source: 'https://www.insee.fr (numéro de sécurité sociale)', added: ADDED },
  { id: 'pt-nif', kind, country: 'PT', length: 9, check: (d) => /^[1-35-9]/.test(d) && lastIs11Minus(d, [9, 8, 7, 6, 5, 4, 3, 2], 0), near: 'nif|nipc|contribuinte|fiscal|tax', examples: ['NIF 2{d7}{?1}', 'contribuinte 2{d2} {d3} {d2}{?1}'], source: OECD, added: ADDED },
  { id: 'nl-bsn', kind, country: 'NL', length: 9, check: (d) => !isOneDigit(d) && weightedSum(d, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0, near: 'bsn|burgerservice|sofi|citizen service', examples: ['BSN {d8}{?1}', 'burgerservicenummer {d4}.{d2}.{d2}{?1}'], source: OECD, added: ADDED },
  { id: 'be-nrn', kind, country: 'BE', length: 11, check: isBelgian, strong: true, near: 'rijksregister|registre national|niss|insz|national', examples: ['{yy}{mm}{dd}{d3}{?2}', '{yy}.{mm}.{dd}-{d3}.{?2}'], source: 'https://www.ibz.rrn.fgov.be', added: ADDED },
  {
    id: 'lu-matricule',
    kind,
    country: 'LU',
    length: 13,
    check: (d) => /^(?:19|20)/.test(d) && isDate(d, 4, 6) && passesLuhn(d.slice(0, 12)) && passesVerhoeff(d.slice(0, 11) + d[12]),
    strong: true,
    near: 'matricule|national|social',
    examples: ['19{yy}{mm}{dd}{d3}{?2}', '19{yy}{mm}{dd} {d3} {?2}'],
    source: 'https://www.ccss.lu',
    added: ADDED,
  },
  { id: 'ch-ahv', kind, country: 'CH', length: 13, check: (d) => d.startsWith('756') && passesEan(d), strong: true, near: 'ahv|avs|social', examples: ['756.{d4}.{d4}.{d1}{?1}', '756{d9}{?1}'], source: 'https://www.zas.admin.ch', added: ADDED },
  { id: 'dk-cpr', kind, country: 'DK', length: 10, check: (d) => isDate(d, 2, 0), near: `cpr|${PERSONAL}`, examples: ['CPR {dd}{mm}{yy}-{d4}', 'cpr-nummer: {dd}{mm}{yy}{d4}'], source: 'https://cpr.dk (mod 11 is not kept since 2007)', added: ADDED },
  { id: 'dk-cpr-checked', kind, country: 'DK', length: 10, check: (d) => isDate(d, 2, 0) && weightedSum(d, [4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0, format: /^\d{6}-\d{4}$/, near: `cpr|${PERSONAL}`, examples: ['{dd}{mm}{yy}-{d3}{?1}'], source: 'https://cpr.dk', added: ADDED },
  { id: 'se-personnummer', kind, country: 'SE', length: 10, check: (d) => isDate(d, 2, 4, [0], [0, 60]) && passesLuhn(d), format: /^\d{6}[-+]\d{4}$/, near: PERSONAL, examples: ['{yy}{mm}{dd}-{d3}{?1}', 'personnummer {yy}{mm}{dd}{d3}{?1}'], source: 'https://www.skatteverket.se', added: ADDED },
  { id: 'se-personnummer-12', kind, country: 'SE', length: 12, check: (d) => /^(?:19|20)/.test(d) && isDate(d, 4, 6, [0], [0, 60]) && passesLuhn(d.slice(2)), strong: true, near: PERSONAL, examples: ['19{yy}{mm}{dd}-{d3}{?1}', '19{yy}{mm}{dd}{d3}{?1}'], source: 'https://www.skatteverket.se', added: ADDED },
  { id: 'no-fodselsnummer', kind, country: 'NO', length: 11, check: isNorwegian, strong: true, near: PERSONAL, examples: ['{dd}{mm}{yy}{d3}{?2}', '{dd}{mm}{yy} {d3}{?2}'], source: 'https://www.skatteetaten.no', added: ADDED },
  { id: 'is-kennitala', kind, country: 'IS', length: 10, check: (d) => isDate(d, 2, 0) && lastIs11Minus(d.slice(0, 9), [3, 2, 7, 6, 5, 4, 3, 2]) && /[089]$/.test(d), strong: true, near: 'kennitala|kt', examples: ['{dd}{mm}{yy}-{d2}{?1}9', '{dd}{mm}{yy}{d2}{?1}9'], source: 'https://www.skra.is', added: ADDED },
  {
    id: 'ee-lt-personal-code',
    kind,
    country: 'EE, LT',
    length: 11,
    check: (d) => /^[1-6]/.test(d) && isDate(d, 3, 5) && passesTwoRounds(d, [1, 2, 3, 4, 5, 6, 7, 8, 9, 1], [3, 4, 5, 6, 7, 8, 9, 1, 2, 3]),
    strong: true,
    near: `isikukood|asmens kod|${PERSONAL}`,
    examples: ['3{yy}{mm}{dd}{d3}{?1}'],
    source: 'EVS 585:2007',
    added: ADDED,
  },
  { id: 'lv-personas-kods', kind, country: 'LV', length: 11, check: isLatvian, strong: true, near: `personas kod|${PERSONAL}`, examples: ['{dd}{mm}{yy}-1{d3}{?1}', '{dd}{mm}{yy}1{d3}{?1}'], source: 'https://www.pmlp.gov.lv', added: ADDED },
  { id: 'pl-pesel', kind, country: 'PL', length: 11, check: (d) => isDate(d, 2, 4, [0, 20, 40, 60, 80]) && lastIs10Minus(d, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]), strong: true, near: 'pesel', examples: ['{yy}{mm}{dd}{d4}{?1}'], source: 'https://www.gov.pl (PESEL)', added: ADDED },
  { id: 'pl-nip', kind, country: 'PL', length: 10, check: (d) => lastIsMod11(d, [6, 5, 7, 2, 3, 4, 5, 6, 7]) && d[0] !== '0', format: /^\d{3}-\d{3}-\d{2}-\d{2}$|^\d{3}-\d{2}-\d{2}-\d{3}$/, near: 'nip|podatk|tax', examples: ['NIP: {d9}{?1}', '{d3}-{d3}-{d2}-{d1}{?1}'], source: OECD, added: ADDED },
  {
    id: 'cz-sk-rodne-cislo',
    kind,
    country: 'CZ, SK',
    length: 10,
    check: (d) => isDate(d, 2, 4, [0, 20, 50, 70]) && (Number(d) % 11 === 0 || (Number(d.slice(0, 9)) % 11 === 10 && d[9] === '0')),
    format: /^\d{6}\/\d{4}$/,
    near: 'rodn|r\\.\\s?č|birth number',
    examples: ['{yy}{mm}{dd}/{d3}{?1}', 'rodné číslo {yy}{mm}{dd}{d3}{?1}'],
    source: OECD,
    added: ADDED,
  },
  { id: 'hu-adoazonosito', kind, country: 'HU', length: 10, check: (d) => d[0] === '8' && d.slice(1, 6) < '60000' && weightedSum(d, [1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 === d.charCodeAt(9) - 48, strong: true, near: 'adó|tax', examples: ['83{d7}{?1}'], source: OECD, added: ADDED },
  { id: 'hu-taj', kind, country: 'HU', length: 9, check: (d) => weightedSum(d, [3, 7, 3, 7, 3, 7, 3, 7]) % 10 === d.charCodeAt(8) - 48, near: 'taj|társadalombiztos|social', examples: ['TAJ {d3} {d3} {d2}{?1}', 'taj: {d8}{?1}'], source: 'https://www.neak.gov.hu', added: ADDED },
  { id: 'ro-cnp', kind, country: 'RO', length: 13, check: (d) => /^[1-9]/.test(d) && isDate(d, 3, 5) && lastIsMod11(d, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9], 1), strong: true, near: 'cnp|personal', examples: ['1{yy}{mm}{dd}{d5}{?1}'], source: OECD, added: ADDED },
  { id: 'bg-egn', kind, country: 'BG', length: 10, check: (d) => isDate(d, 2, 4, [0, 20, 40]) && lastIsMod11(d, [2, 4, 8, 5, 10, 9, 7, 3, 6], 0), near: 'егн|egn|единен граждански', examples: ['ЕГН {yy}{mm}{dd}{d3}{?1}'], source: OECD, added: ADDED },
  { id: 'gr-amka', kind, country: 'GR', length: 11, check: (d) => isDate(d, 2, 0) && passesLuhn(d), near: 'amka|αμκα|α\\.μ\\.κ\\.α|κοινωνικ|social', examples: ['AMKA: {dd}{mm}{yy}{d4}{?1}', 'ΑΜΚΑ {dd}{mm}{yy} {d4}{?1}'], counterExamples: ['order 01019912345'], source: 'https://www.amka.gr', added: ADDED },
  { id: 'gr-afm', kind, country: 'GR', length: 9, check: (d) => !isOneDigit(d) && lastIsMod11(d, [256, 128, 64, 32, 16, 8, 4, 2], 0), near: 'αφμ|α\\.φ\\.μ|afm|φορολογ|tax', examples: ['ΑΦΜ {d8}{?1}', 'AFM: {d8}{?1}'], source: OECD, added: ADDED },
  { id: 'hr-oib', kind, country: 'HR', length: 11, check: passesMod11_10, near: 'oib|osobni|tax', examples: ['OIB {d10}{?1}', 'OIB: {d10}{?1}'], source: 'https://www.porezna-uprava.hr (ISO 7064 mod 11-10)', added: ADDED },
  {
    id: 'yu-jmbg',
    kind,
    country: 'SI, RS, BA, MK, ME',
    length: 13,
    check: (d) => isDate(d, 2, 0) && /^\d{4}[09]/.test(d) && lastIs11Minus(d, [7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2], 0),
    strong: true,
    near: 'jmbg|јмбг|emšo|emso|embg|матичн',
    examples: ['{dd}{mm}9{yy}50{d3}{?1}'],
    source: 'JMBG / EMŠO (Zakon o centralnem registru prebivalstva)',
    added: ADDED,
  },
  { id: 'tr-tckn', kind, country: 'TR', length: 11, check: isTckn, strong: true, near: 't\\.?c\\.?|kimlik|identity', examples: ['{d9}{?2}'], source: 'https://www.nvi.gov.tr', added: ADDED },
  { id: 'gb-nhs', kind, country: 'GB', length: 10, check: (d) => !isOneDigit(d) && lastIs11Minus(d, [10, 9, 8, 7, 6, 5, 4, 3, 2]), near: 'nhs|health|patient', examples: ['NHS number {d3} {d3} {d3}{?1}', 'nhs: {d9}{?1}'], source: 'https://www.datadictionary.nhs.uk (NHS NUMBER)', added: ADDED },
  { id: 'ua-rnokpp', kind, country: 'UA', length: 10, check: (d) => !isOneDigit(d) && (((weightedSum(d, [-1, 5, 7, 9, 4, 6, 10, 5, 7]) % 11) + 11) % 11) % 10 === d.charCodeAt(9) - 48, near: 'рнокпп|іпн|ипн|податк|tax|rnokpp', examples: ['РНОКПП {d9}{?1}', 'ІПН: {d9}{?1}'], source: OECD, added: ADDED },
  { id: 'ru-snils', kind, country: 'RU', length: 11, check: (d) => !isOneDigit(d) && isSnils(d), strong: true, near: 'снилс|snils|страхов', examples: ['{d3}-{d3}-{d3} {?2}', '{d9}{?2}'], source: 'https://sfr.gov.ru (СНИЛС)', added: ADDED },
  { id: 'ru-inn', kind, country: 'RU', length: 12, check: (d) => !isOneDigit(d) && isInn12(d), strong: true, near: 'инн|inn', examples: ['{d10}{?2}'], source: OECD, added: ADDED },
  { id: 'ru-inn-10', kind, country: 'RU', length: 10, check: (d) => !isOneDigit(d) && lastIsMod11(d, [2, 4, 10, 3, 5, 9, 4, 6, 8], 0), near: 'инн|inn', examples: ['ИНН {d9}{?1}'], source: OECD, added: ADDED },
  { id: 'kz-iin', kind, country: 'KZ', length: 12, check: (d) => isDate(d, 2, 4) && /^\d{6}[1-6]/.test(d) && passesTwoRounds(d, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]), strong: true, near: 'жсн|иин|iin', examples: ['{yy}{mm}{dd}3{d4}{?1}'], source: OECD, added: ADDED },
]

const DNI_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE'
const isDni = (code: string): boolean => {
  if (/ [a-z]$/.test(code)) return false
  const compact = code.toUpperCase().replace(/[^A-Z0-9]/g, '')
  const number = compact.replace(/^[XYZ]/, (letter) => String('XYZ'.indexOf(letter))).slice(0, -1)
  return DNI_LETTERS[Number(number) % 23] === compact.at(-1)
}

const ODD_CF = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
const isCodiceFiscale = (code: string): boolean => {
  const compact = code.toUpperCase().replace(/[^A-Z0-9]/g, '')
  let sum = 0
  for (let at = 0; at < 15; at++) {
    const value = Number.parseInt(compact[at]!, 36)
    const index = value < 10 ? value : value - 10
    sum += at % 2 === 0 ? ODD_CF[index]! : index
  }
  return compact.charCodeAt(15) - 65 === sum % 26
}

const isHetu = (code: string): boolean => {
  const digits = code.slice(0, 6) + code.slice(7, 10)
  return isDate(digits, 2, 0) && '0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(digits) % 31] === code[10]!.toUpperCase()
}

const isPps = (code: string): boolean => {
  if (/ [a-z]+$/.test(code)) return false
  const compact = code.toUpperCase().replace(/[^A-Z0-9]/g, '')
  const second = compact[8] === undefined || compact[8] === 'W' ? 0 : compact.charCodeAt(8) - 64
  const rest = (weightedSum(compact, [8, 7, 6, 5, 4, 3, 2]) + second * 9) % 23
  return 'WABCDEFGHIJKLMNOPQRSTUV'[rest] === compact[7]
}

const isCorsicanNir = (code: string): boolean => {
  const compact = code.toUpperCase().replace(/[^A-Z0-9]/g, '')
  const number = Number(compact.slice(0, 13).replace('A', '0').replace('B', '0'))
  const shift = compact[6] === 'A' ? 1_000_000 : 2_000_000
  return 97 - ((number - shift) % 97) === Number(compact.slice(13))
}

// biome-ignore format: one row a line
export const EUROPEAN_CODES: readonly CodeRule[] = [
  { id: 'es-dni', kind, country: 'ES', pattern: '\\d{8}[ .-]?[A-HJ-NP-TV-Z](?![\\p{L}\\p{N}])|\\d{2}\\.\\d{3}\\.\\d{3}[ .-]?[A-HJ-NP-TV-Z](?![\\p{L}\\p{N}])', check: isDni, examples: ['{d8}{?L}', '{d8}-{?L}', '{d2}.{d3}.{d3}-{?L}'], source: 'https://www.interior.gob.es (cálculo del dígito de control del NIF/NIE)', added: ADDED },
  { id: 'es-nie', kind, country: 'ES', pattern: '[XYZ][ .-]?\\d{7}[ .-]?[A-HJ-NP-TV-Z](?![\\p{L}\\p{N}])', check: isDni, examples: ['X{d7}{?L}', 'Y-{d7}-{?L}'], source: 'https://www.interior.gob.es (NIE)', added: ADDED },
  { id: 'it-codice-fiscale', kind, country: 'IT', pattern: '[A-Z]{3}[ -]?[A-Z]{3}[ -]?\\d{2}[A-EHLMPR-T]\\d{2}[ -]?[A-Z]\\d{3}[A-Z](?![\\p{L}\\p{N}])', check: isCodiceFiscale, examples: ['{U6}{yy}A{dd}H{d3}{?L}', '{U3} {U3} {yy}T{dd} F{d3}{?L}'], source: 'https://www.agenziaentrate.gov.it (codice fiscale)', added: ADDED },
  { id: 'fi-hetu', kind, country: 'FI', pattern: '\\d{6}[-+ABCDEFUVWXY]\\d{3}[0-9A-FHJ-NPR-Y](?![\\p{L}\\p{N}])', check: isHetu, examples: ['{dd}{mm}{yy}-{d3}{?H}', '{dd}{mm}{yy}A{d3}{?H}'], source: 'https://dvv.fi/en/personal-identity-code', added: ADDED },
  { id: 'ie-pps', kind, country: 'IE', pattern: '\\d{7}[ -]?[A-W][A-IW]?(?![\\p{L}\\p{N}])', check: isPps, examples: ['{d7}{?L}', 'PPS {d7}{?L}A'], source: 'https://www.gov.ie (PPS number)', added: ADDED },
  {
    id: 'gb-nino',
    kind,
    country: 'GB',
    pattern: '(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?\\d{2}[ -]?\\d{2}[ -]?\\d{2}[ -]?[A-D](?![\\p{L}\\p{N}])',
    examples: ['AB{d6}C', 'JG {d2} {d2} {d2} A', 'ab{d6}c'],
    counterExamples: ['GB123456A'],
    source: 'https://www.gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39110',
    added: ADDED,
  },
  { id: 'gb-nino-temporary', kind, country: 'GB', pattern: '[A-Z]{2}[ -]?\\d{2}[ -]?\\d{2}[ -]?\\d{2}[ -]?[A-D](?![\\p{L}\\p{N}])', near: 'nino|national insurance|ni number|ni no', examples: ['NINO QQ {d2} {d2} {d2} C', 'National Insurance number TN{d6}A'], source: 'https://www.gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39115', added: ADDED },
  { id: 'fr-nir-corsica', kind, country: 'FR', pattern: '[1-478][ .-]?\\d{2}[ .-]?\\d{2}[ .-]?2[AB][ .-]?\\d{3}[ .-]?\\d{3}[ .-]?\\d{2}(?!\\d)', check: isCorsicanNir, examples: ['1{yy}{mm}2A{d6}{?2}', '2 {yy} {mm} 2B {d3} {d3} {?2}'], source: 'https://www.insee.fr', added: ADDED },
  { id: 'de-svnr', kind, country: 'DE', pattern: '\\d{2}[ -]?\\d{6}[ -]?[A-Z][ -]?\\d{3}(?![\\p{L}\\p{N}])', check: isGermanSvnr, examples: ['65 {dd}{mm}{yy} M {d2}{?1}', '12{dd}{mm}{yy}K{d2}{?1}'], source: 'https://www.deutsche-rentenversicherung.de (VKVV § 4)', added: ADDED },
  { id: 'de-ausweis', kind, country: 'DE', pattern: '[CFGHJKLMNPRTVWXYZ0-9]{9}\\d(?![\\p{L}\\p{N}])', near: 'ausweis|identity card|id card', check: (code) => /\d/.test(code) && mrz731(code), examples: ['Ausweis L{d2}X{d2}P{d2}{?1}'], source: 'https://www.bsi.bund.de (TR-03127, ICAO 9303)', added: ADDED },
]

function isGermanSvnr(code: string): boolean {
  const compact = code.toUpperCase().replace(/[^A-Z0-9]/g, '')
  const letter = String(compact.charCodeAt(8) - 64).padStart(2, '0')
  const digits = compact.slice(0, 8) + letter + compact.slice(9, 11)
  const weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]
  let sum = 0
  for (let at = 0; at < 12; at++) {
    const product = weights[at]! * (digits.charCodeAt(at) - 48)
    sum += Math.floor(product / 10) + (product % 10)
  }
  return isDate(digits, 4, 2) && sum % 10 === compact.charCodeAt(11) - 48
}

function mrz731(code: string): boolean {
  let sum = 0
  for (let at = 0; at < 9; at++) sum += Number.parseInt(code[at]!, 36) * [7, 3, 1][at % 3]!
  return sum % 10 === code.charCodeAt(9) - 48
}
