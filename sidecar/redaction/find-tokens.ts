import { before, isAlnum, isDigit, type Scan } from './hits.ts'
import type { TokenRule } from './rule.ts'
import { CREDENTIAL_TOKENS } from './rules/credentials.ts'
import { looksRandom } from './rules/token-row.ts'
import { VENDOR_KEYS } from './rules/vendor-keys.ts'
import { AZURE_SIGNATURES } from './rules/vendor-keys-cloud.ts'
import { KEY_WORDS } from './words.ts'

export const TOKEN_RULES: readonly TokenRule[] = [...CREDENTIAL_TOKENS, ...VENDOR_KEYS, ...AZURE_SIGNATURES]

interface Compiled {
  rule: TokenRule
  start: string
  pattern: RegExp
  failed: Failed
}
/** False beginnings of one row, so that a text made of them stays cheap. */
interface Failed {
  /** The scan that this is of: what one text was refused says nothing of the next. */
  serial: number
  /** Nothing that begins before this place is tried: it is the end of a token that failed the check, or one false beginning of too many. */
  end: number
  at: number
  count: number
}
/** This many false beginnings of one row, each within DENSE of the one before, are no keys; neither is what follows for SKIP. */
const FALSE_BEGINNINGS = 32
const DENSE = 128
const SKIP = 2048
const neverFailed = (): Failed => ({ serial: 0, end: 0, at: 0, count: 0 })

/** The first two letters of every beginning: a bit each, so that most words cost one look. */
const FIRST_TWO = new Uint8Array(128 * 128)
const BY_FIRST_TWO = new Map<number, Compiled[]>()
/** Without a fixed beginning: known by their form, or by what stands inside. */
const LOOSE: Compiled[] = []
interface Named {
  rule: TokenRule
  pattern: RegExp
}
const BY_VENDOR = new Map<string, Named[]>()

for (const rule of TOKEN_RULES) {
  const pattern = new RegExp(rule.pattern, 'y')
  if (rule.near !== undefined && rule.near.length > 0) {
    const named = { rule, pattern: new RegExp(`(?:${rule.pattern})(?![A-Za-z0-9_/+-])`, 'y') }
    for (const vendor of rule.near) BY_VENDOR.set(vendor, [...(BY_VENDOR.get(vendor) ?? []), named])
    continue
  }
  if (rule.starts === undefined || rule.starts.length === 0) {
    LOOSE.push({ rule, start: '', pattern, failed: neverFailed() })
    continue
  }
  for (const start of rule.starts) {
    const index = pair(start.charCodeAt(0), start.charCodeAt(1))
    FIRST_TWO[index] = 1
    const list = BY_FIRST_TWO.get(index) ?? []
    list.push({ rule, start, pattern, failed: neverFailed() })
    BY_FIRST_TWO.set(index, list)
  }
}
// A longer beginning first: `pypi-AgEN…` before `pypi-`.
for (const list of BY_FIRST_TWO.values()) list.sort((a, b) => b.start.length - a.start.length)

const VENDOR_WORDS = new RegExp(
  [...BY_VENDOR.keys()]
    .sort((a, b) => b.length - a.length)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('|'),
  'g',
)
const INFIX = /_mmk|\.atlasv1\.|\.webhook\.office\.|Q~|JQQJ99|AZDO|\+A|AIoT|AzCa|ACDb|APIM|Az[FS]/

function pair(first: number, second: number): number {
  return ((first & 127) << 7) | (second & 127)
}

/** At the beginning of a word: a key with a beginning of its own. Returns where it ends, or `at`. */
export function findByStart(scan: Scan, at: number): number {
  const { text } = scan
  if (FIRST_TWO[pair(text.charCodeAt(at), text.charCodeAt(at + 1))] !== 1) return at
  const list = BY_FIRST_TWO.get(pair(text.charCodeAt(at), text.charCodeAt(at + 1)))!
  for (const compiled of list) {
    const { rule, start, pattern, failed } = compiled
    if (!text.startsWith(start, at) || (at < failed.end && failed.serial === scan.serial)) continue
    const end = matchAt(scan, at, rule, pattern, failed)
    if (end > at) return end
  }
  return at
}

function matchAt({ text, hits, serial }: Scan, at: number, rule: TokenRule, pattern: RegExp, failed?: Failed): number {
  pattern.lastIndex = at
  const match = pattern.exec(text)
  if (match === null) {
    if (failed !== undefined) noteFalseBeginning(failed, serial, at)
    return at
  }
  let end = at + match[0].length
  // A sentence's full stop is no part of a key.
  while (text.charCodeAt(end - 1) === 46) end--
  if (rule.check !== undefined && !rule.check(text.slice(at, end))) {
    // No end of a token that does not look random looks random.
    if (failed !== undefined) {
      failed.serial = serial
      failed.end = end
    }
    return at
  }
  hits.push({ start: at, end, kind: rule.kind, rule: rule.id })
  return end
}

function noteFalseBeginning(failed: Failed, serial: number, at: number): void {
  if (failed.serial !== serial || at < failed.at || at - failed.at > DENSE) {
    failed.serial = serial
    failed.end = 0
    failed.count = 0
  }
  failed.at = at
  if (++failed.count < FALSE_BEGINNINGS) return
  failed.end = at + SKIP
  failed.at = failed.end
  failed.count = FALSE_BEGINNINGS / 2
}

/** A stretch without blanks, from `start` to `end`: keys that are known by their form. */
export function findByForm(scan: Scan, start: number, end: number): void {
  const { text } = scan
  const length = end - start
  const infix = length >= 30 && INFIX.test(text.slice(start, Math.min(end + 2, start + 4096)))
  for (let at = start; at < end && at - start < 4096; at++) {
    if (!isAlnum(text.charCodeAt(at)) || (at > start && isAlnum(text.charCodeAt(at - 1)))) continue
    let wordEnd = at
    let digits = true
    while (wordEnd < end && isAlnum(text.charCodeAt(wordEnd))) {
      if (!isDigit(text.charCodeAt(wordEnd))) digits = false
      wordEnd++
    }
    const next = text.charCodeAt(wordEnd)
    const maybe =
      infix ||
      (wordEnd - at === 32 && next === 45) ||
      (length >= 57 && wordEnd - at >= 20 && /[MNO]/.test(text[at]!)) ||
      (digits && wordEnd - at >= 8 && (next === 58 || next === 124))
    if (maybe)
      for (const { rule, pattern } of LOOSE) {
        const found = matchAt(scan, at, rule, pattern)
        if (found > at) return
      }
  }
  if (infix) {
    // Azure's client secret may begin with a sign.
    const sign = text.indexOf('Q~', start) - 4
    if (sign >= start && sign < end)
      for (const { rule, pattern } of LOOSE) if (matchAt(scan, sign, rule, pattern) > sign) return
  }
}

/** A token whose vendor is named in the 80 characters before it. */
export function findByVendor(scan: Scan, start: number, end: number): void {
  const { text } = scan
  let last = Math.min(end, start + 1600)
  while (last > start && text.charCodeAt(last - 1) === 46) last--
  const token = text.slice(start, last)
  if (!looksRandom(token) && !/^\d{16,19}$/.test(token) && !(end - start === 8 && text.charCodeAt(end) === 58)) return
  const words = before(text, start, 80).toLowerCase()
  VENDOR_WORDS.lastIndex = 0
  for (let match = VENDOR_WORDS.exec(words); match !== null; match = VENDOR_WORDS.exec(words)) {
    for (const { rule, pattern } of BY_VENDOR.get(match[0])!) {
      // The vendor's own name may hold the word for a key: `x-rapidapi-key`.
      if (
        rule.named === true &&
        !KEY_WORDS.test(words.slice(match.index + match[0].length)) &&
        !KEY_WORDS.test(words.slice(Math.max(0, match.index - 16), match.index))
      )
        continue
      const found = matchAt(scan, start, rule, pattern)
      if (found > start) return
    }
  }
}

const AUTH_SCHEME = /(?:bearer|token|digest|apikey|api-key|negotiate)["']?(?:[ \t]{1,8}|%20|\+)["']?$/i
const BASIC = /[Bb]asic["']?(?:[ \t]{1,8}|%20|\+)["']?$/
const BASE64 = /[A-Za-z0-9+/_-]{6,4096}={0,2}/y
const BEARER_VALUE = /[A-Za-z0-9._~+/-]{16,8192}={0,3}/y

/** The last letters of a scheme, `%20` or `+` before the blanks and quotes before `at`. */
function mayFollowScheme(text: string, at: number): boolean {
  let end = at
  while (end > 0 && at - end < 12) {
    const code = text.charCodeAt(end - 1)
    if (code !== 32 && code !== 9 && code !== 34 && code !== 39) break
    end--
  }
  if (end < 3) return false
  const last = text.charCodeAt(end - 1)
  if (last === 48 || last === 43) return true
  const second = text.charCodeAt(end - 2) | 32
  const third = text.charCodeAt(end - 3) | 32
  switch (last | 32) {
    case 114: // bearer
      return second === 101 && third === 114
    case 99: // basic
      return second === 105 && third === 115
    case 110: // token
      return second === 101 && third === 107
    case 116: // digest
      return second === 115 && third === 101
    case 121: // api-key
      return second === 101 && third === 107
    case 101: // negotiate
      return second === 116 && third === 97
    default:
      return false
  }
}

/** `Bearer …`, `Basic …`: the value begins at `at`. */
export function findAuthValue(scan: Scan, at: number, end: number): void {
  const { text, hits } = scan
  const previous = text.charCodeAt(at - 1)
  if (previous !== 32 && previous !== 9 && previous !== 34 && previous !== 39) return
  if (!mayFollowScheme(text, at)) return
  const words = before(text, at, 20)
  if (BASIC.test(words)) {
    BASE64.lastIndex = at
    const match = BASE64.exec(text)
    if (match === null) return
    const decoded = Buffer.from(match[0], 'base64').toString('latin1')
    if (/^[\x20-\x7e\u00a0-\u00ff]*:[\x20-\x7e\u00a0-\u00ff]*$/.test(decoded))
      hits.push({ start: at, end: at + match[0].length, kind: 'token', rule: 'basic' })
    return
  }
  if (end - at < 16 || !AUTH_SCHEME.test(words)) return
  const isBearer = /bearer["']?[ \t"']*$/i.test(words)
  BEARER_VALUE.lastIndex = at
  const match = BEARER_VALUE.exec(text)
  if (match === null) return
  const value = match[0].replace(/[.,]+$/, '')
  if (isBearer ? /\d|[A-Z].*[a-z]|[a-z].*[A-Z]/.test(value) || value.length > 24 : looksRandom(value))
    hits.push({ start: at, end: at + value.length, kind: 'token', rule: 'bearer' })
}
