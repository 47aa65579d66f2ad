import { before, isAlnum, type Scan } from './hits.ts'

/** What no local part of an address holds unquoted; `/` and `=` are left out so that a path or a pair before it stays. */
const LEFT_STOP = /[\s\p{Cc}@<>()[\]{},;:"'`\\|=/?]/u
const DOMAIN = /[\p{L}\p{M}\p{N}.-]/u
const LOCAL_LIMIT = 256
/** Scripts that are written without blanks: an ASCII address ends where they begin. */
const UNSPACED = /[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef]/
/** Ends of file names that are no domains. */
const FILE_ENDING = /\.(?:png|jpe?g|gif|webp|svg|ico|css|m?js|jsx|tsx|json|html?|xml|pdf|lock|ya?ml|toml|txt|woff2?)$/i

/** Around one @ of the text. `done`: where the last address ended. Linear: each character is looked at from the @ beside it only. */
export function findEmail(scan: Scan, at: number, done: number): number {
  const { text, hits } = scan
  let end = at + 1
  while (end < text.length && end - at < LOCAL_LIMIT && DOMAIN.test(text[end]!) && !endsAscii(text, end, at + 1)) end++
  while (end > at + 1 && /[.-]/.test(text[end - 1]!)) end--
  const domain = text.slice(at + 1, end)
  const literal = text[at + 1] === '[' ? /^\[(?:IPv6:)?[0-9a-fA-F.:]{3,45}\]/.exec(text.slice(at + 1, at + 56)) : null
  if (literal === null && !isDomain(domain)) return done
  if (literal !== null) end = at + 1 + literal[0].length
  let start = at
  if (text[at - 1] === '"') {
    const open = text.lastIndexOf('"', at - 2)
    if (open >= done && at - open <= 66 && !text.slice(open, at).includes('\n')) start = open
  }
  if (start === at)
    while (
      start > done &&
      at - start < LOCAL_LIMIT &&
      !LEFT_STOP.test(text[start - 1]!) &&
      !startsAscii(text, start, at)
    )
      start--
  while (start < at && /[.!*•-]/.test(text[start]!)) start++
  if (start === at) return done
  // `git@github.com:team/repository` names a host, `user@2.0.1` a version.
  if (text.slice(start, at) === 'git' && (text[end] === ':' || text[end] === '/')) return done
  hits.push({ start, end, kind: 'email', rule: 'email' })
  return end
}

function isDomain(domain: string): boolean {
  const dot = domain.lastIndexOf('.')
  if (dot <= 0 || domain.includes('..') || FILE_ENDING.test(domain)) return false
  const top = domain.slice(dot + 1)
  return /^(?:[\p{L}\p{M}]{2,24}|xn--[a-z0-9-]{2,60})$/iu.test(top)
}

function endsAscii(text: string, at: number, from: number): boolean {
  return at > from && UNSPACED.test(text[at]!) && isAlnum(text.charCodeAt(at - 1))
}
function startsAscii(text: string, at: number, end: number): boolean {
  return at < end && UNSPACED.test(text[at - 1]!) && isAlnum(text.charCodeAt(at))
}

const AT_WORD = '(?:at|ät|arroba|chez|chiocciola|kropka|małpa|aapstaart|snabel-?a|собака|et|@)'
const DOT_WORD = '(?:dot|punkt|point|punto|ponto|kropka|prick|точка|\\.)'
const OPEN = '[[({<]'
const CLOSE = '[\\])}>]'
/** `anna [at] example [dot] org`, `anna (at) example.org`, `anna at example dot org`. Sticky: begins at the bracket or blank before `at`. */
const BRACKETED_AT = new RegExp(
  `[ \\t]{0,2}${OPEN}[ \\t]{0,2}${AT_WORD}[ \\t]{0,2}${CLOSE}[ \\t]{0,2}((?:[\\p{L}\\p{N}-]{1,63}[ \\t]{0,2}(?:${OPEN}[ \\t]{0,2}${DOT_WORD}[ \\t]{0,2}${CLOSE}|\\.)[ \\t]{0,2}){1,4}[\\p{L}]{2,24}|(?:[\\p{L}\\p{N}-]{1,63}[ \\t]${DOT_WORD}[ \\t]){1,4}[\\p{L}]{2,24})`,
  'iuy',
)
const SPELLED_AT =
  /[ \t]at[ \t](?!(?:the|a|an|this|that|each|every|one)[ \t])(?:[\p{L}\p{N}-]{1,63}[ \t]dot[ \t]){1,4}(?:com|org|net|edu|gov|info|biz|museum|shop|online|app|dev|[a-z]{2})(?![a-z0-9])/iuy

/** An address written so that no machine finds it; `at` is the bracket, or the blank before a spelled `at`. */
export function findHiddenEmail(scan: Scan, at: number, done: number, spelled: boolean): number {
  const { text, hits } = scan
  const pattern = spelled ? SPELLED_AT : BRACKETED_AT
  pattern.lastIndex = at
  const match = pattern.exec(text)
  if (match === null) return done
  let local = at
  while (local > done && /[ \t]/.test(text[local - 1]!) && at - local < 2) local--
  let start = local
  while (start > done && local - start < 64 && /[\p{L}\p{N}._+-]/u.test(text[start - 1]!)) start--
  if (start === local) return done
  const end = at + match[0].length
  hits.push({ start, end, kind: 'email', rule: 'email-hidden' })
  return end
}

const USER_INFO = /[^\s:@/"'<>?#]{0,128}:[^\s/"'<>]{1,256}@(?=[\p{L}\p{N}[_%$-])/uy
const USER_ONLY_TOKEN = /[A-Za-z0-9_-]{20,256}@(?=[A-Za-z0-9[])/y
/** `scheme://user:password@host`; `at` is where `://` ends. */
export function findUserInfo(scan: Scan, at: number): void {
  const { text, hits } = scan
  for (const pattern of [USER_INFO, USER_ONLY_TOKEN]) {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) continue
    if (!isPlaceholder(match[0].slice(match[0].indexOf(':') + 1, -1)))
      hits.push({ start: at, end: at + match[0].length - 1, kind: 'credentials', rule: 'url-credentials' })
    return
  }
}

/** `user:password@tcp(host:3306)`, as Go's MySQL driver has it; `at` is the @. */
export function findDsn(scan: Scan, at: number): void {
  const { text, hits } = scan
  const near = before(text, at, 96)
  if (near.includes('jdbc:oracle:')) {
    const oracle = /jdbc:oracle:(?:thin|oci8?):([^\s/@"']{1,30}\/[^\s/@"']{1,40})$/.exec(near)?.[1]
    if (oracle !== undefined)
      hits.push({ start: at - oracle.length, end: at, kind: 'credentials', rule: 'dsn-credentials' })
  }
  if (!/^@(?:tcp|unix|udp)\(/.test(text.slice(at, at + 6))) return
  let start = at
  while (start > 0 && at - start < LOCAL_LIMIT && !/[\s"'`=@/]/.test(text[start - 1]!)) start--
  if (text.slice(start, at).includes(':')) hits.push({ start, end: at, kind: 'credentials', rule: 'dsn-credentials' })
}

/** A hole of a template, a variable, a word of documentation, or what stands there after redaction. */
export function isPlaceholder(value: string): boolean {
  return (
    /^(?:\$\{?[A-Za-z_(]|\{\{|<[^>]*>?$|%[A-Za-z_]+%$|\*+$|x{3,}$|\.{3}|…|\[[A-Z_]+(?::[a-z]+)?\]?|\[…\])/i.test(
      value,
    ) ||
    /^(?:true|false|null|none|nil|undefined|required|optional|string|str|text|int|number|bool|boolean|changeme|redacted|hidden|secret|password|passwd|token|user|username|example|placeholder|your[-_a-z]*|env|required\.|empty|unset|n\/a)$/i.test(
      value,
    )
  )
}
