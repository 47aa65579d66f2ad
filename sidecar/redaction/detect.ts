import { findDsn, findEmail, findHiddenEmail, findUserInfo } from './find-addresses.ts'
import { BASE64_LENGTH, findBase64, type MaskInside } from './find-base64.ts'
import { findCode, findIban, findIpv6, findMac, findMrz } from './find-codes.ts'
import { findInDigits } from './find-in-digits.ts'
import { findFlag, findPair, followsPasswordWord } from './find-pairs.ts'
import { endsPasswordWord, findSpokenPasswords } from './find-spoken.ts'
import { findAuthValue, findByForm, findByStart, findByVendor } from './find-tokens.ts'
import { before, type Hit, isAlnum, isDigit, isLetter, type Scan } from './hits.ts'
import { PRIVATE_KEY } from './rules/credentials.ts'
import { isBeforeValue, isDivider, isDot, isGrouped, isHexGroup, isJoint, mayBeAt } from './signs.ts'
import {
  asciiAlike,
  beyondAscii,
  decodedView,
  isEncoded,
  LOOKS_ASCII,
  looksLikeJson,
  plainView,
  type View,
} from './view.ts'

/** Levels of encoding that are taken off: JSON in JSON in JSON, percent-encoding of percent-encoding. */
const MAX_DECODINGS = 3
/** Base64 in base64. */
const MAX_BASE64 = 2
/** A stretch without blanks from this length on is looked at as a token. */
const TOKEN_LENGTH = 8
/** Keys that are known by their form alone and have no digit are longer than this. */
const FORM_LENGTH = 30

export interface DetectOptions {
  /** A label, an id or a name: only what is certain without a sentence around it. */
  label?: boolean
  /** Masks the inside of a base64 text; undefined where there is nothing to mask. */
  maskInside?: MaskInside
  depth?: number
}

/** Everything in the text that is to be masked, as stretches of the text as it was given; unsorted, may overlap. Linear. */
export function detect(original: string, options: DetectOptions = {}): Hit[] {
  const depth = options.depth ?? 0
  const hits: Hit[] = []
  let view: View = plainView(original)
  for (let level = 0; ; level++) {
    const ascii = isAscii(view.text)
    const beyond = ascii ? 0 : beyondAscii(view.text)
    const encoded = level < MAX_DECODINGS && isEncoded(view.text, beyond)
    // An escape read as letters finds what is not there: JSON is looked at decoded alone.
    if (!encoded || !view.text.includes('\\') || !looksLikeJson(view.text)) {
      const found = scan(
        (beyond & LOOKS_ASCII) === 0 ? view.text : asciiAlike(view.text),
        options.label === true,
        ascii,
      )
      if (options.maskInside !== undefined && depth < MAX_BASE64)
        findBase64(view.text, found.base64, depth, options.maskInside, found.hits)
      if (level === 0) hits.push(...found.hits)
      else
        for (const hit of found.hits)
          hits.push({
            ...hit,
            value: view.text.slice(hit.start, hit.end),
            start: view.originalStart(hit.start),
            end: view.originalEnd(hit.end),
          })
    }
    const next = encoded ? decodedView(view) : undefined
    if (next === undefined) return hits
    view = next
  }
}

/** By the length of its UTF-8, which the machine counts faster than a loop looks. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

const LETTER = 1
const DIGIT = 2
const JOIN = 4
const EVENT = 8
const BRACKET = 16
/** What a character is. Letters, digits and joining signs make a stretch; an event is looked at where it stands. */
const CLASS = new Uint8Array(0x10000)
for (let code = 0; code < 128; code++)
  CLASS[code] = isDigit(code)
    ? DIGIT
    : isLetter(code)
      ? LETTER
      : '-_./+~'.includes(String.fromCharCode(code))
        ? JOIN
        : 0
for (const character of '@:=<>') CLASS[character.charCodeAt(0)] = EVENT
for (const character of '[({') CLASS[character.charCodeAt(0)] = BRACKET

interface Found {
  hits: Hit[]
  /** Stretches that may be base64: start and end by turns. */
  base64: number[]
}

/** The one pass over a text: cheap for prose, which has neither digits nor long stretches nor events. */
function scan(text: string, label: boolean, ascii: boolean): Found {
  const length = text.length
  const state = new State(text, label)
  let isSpelled = false
  let isSpoken = false
  for (let at = 0; at < length; at++) {
    let code = text.charCodeAt(at)
    let kind = CLASS[code]!
    if (kind !== 0 && kind < EVENT) {
      const start = at
      let seen = 0
      do {
        seen |= kind
        if (++at === length) code = 0
        else code = text.charCodeAt(at)
        kind = CLASS[code]!
      } while (kind !== 0 && kind < EVENT)
      const size = at - start
      if (size >= TOKEN_LENGTH || (seen & DIGIT) !== 0) state.stretch(start, at, seen)
      else if (size === 2 && (kind & EVENT) !== 0) state.shortWord(start)
      if (code === 32 || code === 9) {
        if (size === 3) isSpelled ||= isDot(text, start)
        if (!isSpoken) isSpoken = endsPasswordWord(text, start, at)
      }
    }
    if (kind !== 0) state.event(code, at)
  }
  if (isSpelled) state.spelledAddresses()
  if (isSpoken && !label) findSpokenPasswords(state, ascii)
  return state
}

let scans = 0

class State implements Scan, Found {
  readonly text: string
  readonly serial = ++scans
  readonly label: boolean
  readonly hits: Hit[] = []
  readonly base64: number[] = []
  /** Where the last finding of each finder ended: nothing is looked at twice. */
  #digitsDone = 0
  #codeDone = 0
  #tokenDone = 0
  #emailDone = 0
  #ipDone = 0
  #mrzDone = 0
  #keyDone = 0

  constructor(text: string, label: boolean) {
    this.text = text
    this.label = label
  }

  /** A stretch of letters, digits and joining signs that has a digit or is long. */
  stretch(start: number, end: number, seen: number): void {
    const { text } = this
    const long = end - start >= TOKEN_LENGTH
    if (long && start >= this.#tokenDone) {
      if (text.charCodeAt(start) === 45) {
        if (text.startsWith('-----BEGIN', start)) this.#privateKey(start, end)
        findFlag(this, end)
      }
      findAuthValue(this, start, end)
      const hasDigit = (seen & DIGIT) !== 0
      if (end - start >= FORM_LENGTH || (hasDigit && isDivider(text.charCodeAt(end)))) findByForm(this, start, end)
      if (hasDigit) findByVendor(this, start, end)
      if (end - start >= BASE64_LENGTH) this.base64.push(start, end)
    }
    if (seen === LETTER) {
      if (start >= this.#tokenDone) this.#tokenDone = Math.max(this.#tokenDone, findByStart(this, start))
      return
    }
    const digits = (seen & DIGIT) !== 0
    let word = -1
    let wordHasDigit = false
    let wordHasLetter = false
    for (let at = start; at <= end; at++) {
      const kind = at < end ? CLASS[text.charCodeAt(at)]! : JOIN
      if (kind !== JOIN) {
        if (word < 0) {
          word = at
          wordHasDigit = false
          wordHasLetter = false
          if (long && at >= this.#tokenDone) this.#tokenDone = Math.max(this.#tokenDone, findByStart(this, at))
        }
        if (kind === DIGIT) wordHasDigit = true
        else wordHasLetter = true
        continue
      }
      if (long && word < 0 && at >= this.#tokenDone && text.charCodeAt(at) === 95 && at < end) findByStart(this, at)
      if (word >= 0) {
        if (wordHasDigit) this.#wordWithDigit(word, at, wordHasLetter)
        else if (digits && at - word <= 4) this.#shortBefore(word, at)
        word = -1
      }
    }
  }

  #wordWithDigit(start: number, end: number, hasLetter: boolean): void {
    const { text } = this
    if (hasLetter) {
      if (isDigit(text.charCodeAt(start))) this.#ibanBefore(start)
      if (start >= this.#codeDone && end - start === 5) this.#codiceFiscale(start)
      if (start >= this.#codeDone) {
        this.#codeDone = Math.max(this.#codeDone, findIban(this, start))
        if (start >= this.#codeDone) this.#codeDone = Math.max(this.#codeDone, findCode(this, start))
      }
      if (end - start >= 4 && !this.label) this.#passwordAt(start, end)
    } else {
      // `DE 89 3704 …`, `AB 12 34 56 C`: the letters are a word of their own.
      const joint = start - 1
      if (joint >= 1 && isJoint(text.charCodeAt(joint)) && isLetter(text.charCodeAt(joint - 1))) {
        let head = joint - 1
        while (head > 0 && joint - head < 4 && isLetter(text.charCodeAt(head - 1))) head--
        const length = end - start
        if (joint - head <= 2 && !isAlnum(text.charCodeAt(head - 1)) && head >= this.#codeDone) {
          this.#codeDone = Math.max(this.#codeDone, findIban(this, head))
          if (head >= this.#codeDone && (length <= 3 || length >= 6))
            this.#codeDone = Math.max(this.#codeDone, findCode(this, head))
        }
      }
      if (start >= this.#codeDone && (end - start >= 6 || isGrouped(text, end)))
        this.#codeDone = Math.max(this.#codeDone, findCode(this, start))
      if (end - start >= 4 && !this.label) this.#passwordAt(start, end)
    }
    if (end - start === 2 || end - start === 4) this.#codeDone = Math.max(this.#codeDone, findMac(this, start))
    for (let at = start; at < end; at++)
      if (at >= this.#digitsDone && isDigit(text.charCodeAt(at))) this.#digitsDone = findInDigits(this, at)
  }

  /** `de 89ab cdef …`: the country stands in a word of its own. */
  #ibanBefore(start: number): void {
    const { text } = this
    if (start < 3 || !isJoint(text.charCodeAt(start - 1)) || !isLetter(text.charCodeAt(start - 2))) return
    const head = start - 3
    if (isLetter(text.charCodeAt(head)) && !isAlnum(text.charCodeAt(head - 1)) && head >= this.#codeDone)
      this.#codeDone = Math.max(this.#codeDone, findIban(this, head))
  }

  /** `ABC DEF 69T01 F760F`: Italy's code in groups; `start` is where the third begins. */
  #codiceFiscale(start: number): void {
    const head = start - 8
    if (head >= this.#codeDone && /^[a-z]{3}[ -][a-z]{3}[ -]\d{2}[a-z]\d{2}$/i.test(this.text.slice(head, start + 5)))
      this.#codeDone = Math.max(this.#codeDone, findCode(this, head))
  }

  /** A short word of letters in a stretch with digits: the head of a code (`NL-91-ABNA`), of a MAC address. */
  #shortBefore(start: number, end: number): void {
    if (end - start === 2 || end - start === 4) this.#codeDone = Math.max(this.#codeDone, findMac(this, start))
    if (start >= this.#codeDone && end - start <= 3) {
      this.#codeDone = Math.max(this.#codeDone, findIban(this, start))
      if (start >= this.#codeDone) this.#codeDone = Math.max(this.#codeDone, findCode(this, start))
    }
  }

  /** Two letters before a colon: `ab:cd:…`. */
  shortWord(start: number): void {
    this.#codeDone = Math.max(this.#codeDone, findMac(this, start))
  }

  /** A word with a digit behind a word for a password. */
  #passwordAt(start: number, end: number): void {
    const { text } = this
    let from = start
    while (from > 0 && start - from < 64 && !isBeforeValue(text.charCodeAt(from - 1))) from--
    if (!followsPasswordWord(text, from)) return
    let to = end
    while (to < text.length && to - from < 128 && /[^\s"'`<>]/.test(text[to]!)) to++
    while (to > end && /[.,;:)]/.test(text[to - 1]!)) to--
    if (to - from >= 4) this.hits.push({ start: from, end: to, kind: 'password', rule: 'password-word' })
  }

  #privateKey(start: number, end: number): void {
    if (start < this.#keyDone || end - start < TOKEN_LENGTH) return
    PRIVATE_KEY.lastIndex = start
    const match = PRIVATE_KEY.exec(this.text)
    if (match === null) return
    this.#keyDone = start + match[0].length
    this.#tokenDone = Math.max(this.#tokenDone, this.#keyDone)
    this.hits.push({ start, end: this.#keyDone, kind: 'private_key', rule: 'private-key' })
  }

  event(code: number, at: number): void {
    const { text } = this
    switch (code) {
      case 64: // @
        findDsn(this, at)
        this.#emailDone = findEmail(this, at, this.#emailDone)
        return
      case 58: // :
        if (text.charCodeAt(at + 1) === 47 && text.charCodeAt(at + 2) === 47) {
          findUserInfo(this, at + 3)
          return
        }
        if (at >= this.#ipDone && (text.charCodeAt(at + 1) === 58 || isHexGroup(text, at)))
          this.#ipDone = Math.max(this.#ipDone, findIpv6(this, at, this.#ipDone))
        if (!this.label) findPair(this, at)
        return
      case 61: // =
        if (at >= 3 && text.startsWith('sig', at - 3) && !isAlnum(text.charCodeAt(at - 4))) findByStart(this, at - 3)
        if (!this.label) findPair(this, at)
        return
      case 62: // >
        if (!this.label) findPair(this, at)
        return
      case 60: // <
        if (text.charCodeAt(at + 1) === 60 && at >= this.#mrzDone) this.#mrzDone = Math.max(at + 1, findMrz(this, at))
        if (mayBeAt(text, at)) this.#emailDone = findHiddenEmail(this, at, this.#emailDone, false)
        return
      default: // [ ( {
        if (mayBeAt(text, at)) this.#emailDone = findHiddenEmail(this, at, this.#emailDone, false)
    }
  }

  /** `anna at example dot org` */
  spelledAddresses(): void {
    const { text } = this
    for (const word of [' dot ', ' DOT ']) {
      for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + word.length)) {
        const near = before(text, at, 80).toLowerCase()
        const sign = at - near.length + near.lastIndexOf(' at ')
        if (sign >= at - near.length && sign >= this.#emailDone)
          this.#emailDone = findHiddenEmail(this, sign, this.#emailDone, true)
      }
    }
  }
}
