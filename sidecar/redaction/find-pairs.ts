import { isPlaceholder } from './find-addresses.ts'
import { before, type Scan } from './hits.ts'
import { looksRandom } from './rules/token-row.ts'

const PASSWORD_WORDS: ReadonlySet<string> = new Set(
  'password passwords passwd passcode passphrase passwort pass pwd pswd pw userpw kennwort mdp contraseña contrasena clave senha parola wachtwoord hasło haslo lösenord losenord adgangskode passord salasana пароль şifre sifre pin pincode'.split(
    ' ',
  ),
)
const SECRET_WORDS: ReadonlySet<string> = new Set(
  'secret secrets token key keys apikey accesskey accountkey sharedaccesskey secretkey privatekey authkey authtoken accesstoken refreshtoken sessiontoken sessionkey passkey credential credentials creds authorization authentication auth bearer cookie sid sessid sessionid session jsessionid phpsessid csrf signature sig dsn webhook sk pat schlüssel clé cle chiave chave llave sleutel klucz nyckel nøkkel ключ токен секрет anahtar'.split(
    ' ',
  ),
)
/** Behind such a name and before the value: `token_v2`, `secret value`, `password (production)`. */
const AFTER_WORDS =
  /^(?:id|value|v?\d{1,2}|b64|base64|hash|live|test|prod|production|dev|staging|string|here|old|new|key|base|header|field|default|is|ist|est|es|è|é|to|är)$/
const GLUED = /(?:password|passwd|passphrase|passwort|kennwort|_pwd|pwd)$/
const GLUED_SECRET = /(?:secret|token|apikey|accesskey|secretkey|privatekey|sessionid|signingkey|encryptionkey)$/
const ASIAN_PASSWORD =
  /(?:パスワード|暗証番号|密码|密碼|口令|비밀번호|암호|كلمة (?:المرور|السر)|पासवर्ड|รหัสผ่าน)[^\p{L}\p{N}]{0,4}(?:は|是|为|為|는|은|هي|है)?$/u
const ASIAN_SECRET = /(?:キー|トークン|鍵|密钥|密鑰|令牌|키|토큰|مفتاح|कुंजी)[^\p{L}\p{N}]{0,4}$/u
const GLUED_ANY = new RegExp(`${GLUED.source}|${GLUED_SECRET.source}`)
const NAME_WINDOW = 48
const MAX_VALUE = 512

/** Last two letters of every word that a name of a secret may end with: most names are refused by them. */
const ENDINGS = new Uint8Array(128 * 128)
const AFTER_LIST =
  'id value b64 base64 hash live test prod production dev staging string key base header field default is ist passe'.split(
    ' ',
  )
for (const word of [...PASSWORD_WORDS, ...SECRET_WORDS, ...AFTER_LIST]) {
  const [a, b] = [word.charCodeAt(word.length - 2), word.charCodeAt(word.length - 1)]
  if (a < 128 && b < 128) ENDINGS[(a << 7) | b] = 1
}

function mayEndName(text: string, end: number): boolean {
  if (end < 2) return false
  const a = text.charCodeAt(end - 2)
  const b = text.charCodeAt(end - 1)
  // A letter of another script, or a number behind the name.
  if (a > 127 || b > 127 || (b >= 48 && b <= 57)) return true
  return ENDINGS[((a | 32) << 7) | (b | 32)] === 1
}

/** What a name says about the value behind it. */
interface Name {
  isPassword: boolean
  /** A key by more than the word `key`. */
  isStrong: boolean
  /** `max_tokens`, `tokens`: a count. */
  line: string
}

/** The name that ends before `at`, where it says that a secret follows. */
function nameBefore(text: string, at: number, isNamed = false): Name | undefined {
  let end = at
  while (end > 0 && at - end < 8 && isClosing(text.charCodeAt(end - 1))) end--
  if (!mayEndName(text, end) || !mayBeSecretWord(text, Math.max(0, end - NAME_WINDOW), end)) return undefined
  let start = end
  while (start > 0 && end - start < NAME_WINDOW && !isDelimiter(text.charCodeAt(start - 1))) start--
  if (end - start < 2) return undefined
  const line = text.slice(start, end)
  const last = line.charCodeAt(line.length - 1)
  if (last > 0x5ff) {
    if (ASIAN_PASSWORD.test(line)) return { isPassword: true, isStrong: true, line }
    if (ASIAN_SECRET.test(line)) return { isPassword: false, isStrong: true, line }
  }
  const words = wordsOf(line)
  for (let index = words.length - 1, back = 0; index >= 0 && back < 3; index--, back++) {
    const word = words[index]!
    if (
      PASSWORD_WORDS.has(word) ||
      GLUED.test(word) ||
      (word === 'passe' && /^(?:de|palavra)$/.test(words[index - 1] ?? ''))
    )
      return { isPassword: true, isStrong: true, line }
    if (SECRET_WORDS.has(word) || GLUED_SECRET.test(word)) {
      const isBare =
        (word === 'key' || word === 'keys' || word === 'auth' || word === 'session' || word === 'sk') &&
        !/^(?:secret|api|access|private|auth|account|signing|encryption|master|service|subscription|license|function|shared|session)$/.test(
          words[index - 1] ?? '',
        )
      return { isPassword: false, isStrong: !isBare, line }
    }
    if (!AFTER_WORDS.test(word)) return undefined
  }
  const isValue = !isNamed && words.length === 1 && (words[0] === 'value' || words[0] === 'default')
  return isValue ? nameOfValue(text, end - line.trimStart().length) : undefined
}

const NAMED_VALUE = /(?:\b(?:name|key|id)["']?[ \t]?[:=][ \t]?|\bvariable )["']?[\w.-]{2,40}["']?[\s,;{]{1,24}["']?$/i
/** `name: DB_PASSWORD⏎ value: …`, `key="Password" value="…"`, `variable "db_password" { default = "…" }`: the pair before names it. */
function nameOfValue(text: string, start: number): Name | undefined {
  const line = before(text, start, 96)
  if (!NAMED_VALUE.test(line)) return undefined
  return nameBefore(text, start - line.length + line.trimEnd().replace(/[\s,;{"']{1,24}$/, '').length, true)
}

function wordsOf(line: string): string[] {
  return line
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])/g, '$1 ')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .slice(-4)
}

/** The last word tells, or one before it where only AFTER_WORDS follow. true where a word is not ASCII: then wordsOf tells. */
function mayBeSecretWord(text: string, start: number, end: number): boolean {
  let from = end
  for (let back = 0; back < 3; back++) {
    while (from > start) {
      const code = text.charCodeAt(from - 1)
      if (code > 127) return true
      if (isNameCharacter(code)) break
      if (isDelimiter(code)) return false
      from--
    }
    if (from === start) return false
    const wordEnd = from
    while (from > start) {
      const code = text.charCodeAt(from - 1)
      if (code > 127) return true
      if (!isNameCharacter(code)) break
      from--
      // `apiKey`: a capital behind a small letter or a digit begins a word.
      if (code <= 90 && code >= 65 && from > start && isSmallOrDigit(text.charCodeAt(from - 1))) break
    }
    const word = text.slice(from, wordEnd).toLowerCase()
    if (PASSWORD_WORDS.has(word) || SECRET_WORDS.has(word) || word === 'passe' || GLUED_ANY.test(word)) return true
    // `value`, `default`: the pair before may name it (nameOfValue).
    if (word === 'value' || word === 'default') return true
    if (!AFTER_WORDS.test(word)) return false
  }
  return false
}

function isSmallOrDigit(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 48 && code <= 57)
}

function isClosing(code: number): boolean {
  // Blank, tab, quotes, ) ]
  return code === 32 || code === 9 || code === 34 || code === 39 || code === 96 || code === 41 || code === 93
}

function isDelimiter(code: number): boolean {
  // Line ends, quotes, & , : ; < = > ? { } |
  return (
    code === 10 ||
    code === 13 ||
    code === 34 ||
    code === 39 ||
    code === 96 ||
    code === 38 ||
    code === 44 ||
    (code >= 58 && code <= 63) ||
    (code >= 123 && code <= 125)
  )
}

/** `<name>`: 2 to 40 characters since the `<`, none of them `<`, `>` or `/`. */
function closesTag(text: string, at: number): boolean {
  for (let from = at - 1; from >= 0 && at - from <= 41; from--) {
    const code = text.charCodeAt(from)
    if (code === 60) return at - from > 2
    if (code === 62 || code === 47) return false
  }
  return false
}

/** At a `:`, `=` or `>` of the text: the value of a name that says what it is. */
export function findPair(scan: Scan, at: number): void {
  const { text } = scan
  const isTag = text[at] === '>'
  if (isTag && !closesTag(text, at)) return
  const name = nameBefore(text, at)
  if (name === undefined) {
    if (text[at] === ':') findCurlUser(scan, at)
    return
  }
  // `${PASSWORD:?not set}`, `${TOKEN:-}`: a shell's word for a default.
  if (/[?+-]/.test(text[at + 1] ?? '') && before(text, at, NAME_WINDOW).includes('${')) return
  const { isPassword } = name
  let start = at + 1
  // `=>`, `:=`, `==`, `: "`, `=b'`, `: !!str`, blanks.
  while (start < text.length && start - at < 12 && /[ \t=>:]/.test(text[start]!)) start++
  const lead = /^(?:!!\w+ |[bBrRfFuU]{0,2}(?=["'`]))/.exec(text.slice(start, start + 12))
  if (lead !== null) start += lead[0].length
  const scheme = /^(?:Bearer|Basic|Token|Digest|Negotiate|ApiKey)[ \t]+/i.exec(text.slice(start, start + 16))
  if (scheme !== null) start += scheme[0].length
  if (/[“„«‘「]/.test(text[start] ?? '')) start++
  const quote = /["'`]/.test(text[start] ?? '') ? text[start]! : undefined
  if (quote !== undefined) start++
  const end = quote === undefined ? endOfWord(text, start) : endOfQuoted(text, start, quote)
  const value = text.slice(start, end)
  if (value.length < 3 || isPlaceholder(value) || isCode(value)) return
  if (isPassword ? !isPasswordValue(text, at, end, value, quote !== undefined) : !isSecretValue(value, name)) return
  scan.hits.push({
    start,
    end,
    kind: isPassword ? 'password' : 'token',
    rule: isPassword ? 'password-pair' : 'secret-pair',
  })
}

/** What ends a value without quotes: 1 always, 2 where another sign, a blank or nothing follows. */
const ENDS = new Uint8Array(128)
for (const character of ' \t\n\r\f\v"\'`;&<>\\') ENDS[character.charCodeAt(0)] = 1
for (const character of ',)]}|') ENDS[character.charCodeAt(0)] = 2

/** “ ” „ « » ‘ ’ 「 」 。 ， 、 । and the blank that does not break. */
function isQuoteOrStop(code: number): boolean {
  return (
    code === 0xa0 ||
    code === 0xab ||
    code === 0xbb ||
    (code >= 0x2018 && code <= 0x201f) ||
    (code >= 0x3000 && code <= 0x300f) ||
    code === 0x964 ||
    code === 0xff0c ||
    code === 0xff1b
  )
}

/** Where a value without quotes ends. */
export function endOfWord(text: string, start: number): number {
  const limit = Math.min(text.length, start + MAX_VALUE)
  let end = start
  for (; end < limit; end++) {
    const code = text.charCodeAt(end)
    const ends = code < 128 ? ENDS[code]! : isQuoteOrStop(code) ? 1 : 0
    if (ends === 1) break
    if (ends === 2) {
      const next = end + 1 < text.length ? text.charCodeAt(end + 1) : 32
      if (next < 128 && ENDS[next] !== 0) break
    }
  }
  while (
    end > start &&
    (text.charCodeAt(end - 1) === 46 || text.charCodeAt(end - 1) === 44 || text.charCodeAt(end - 1) === 58)
  )
    end--
  return end
}

function endOfQuoted(text: string, start: number, quote: string): number {
  let end = start
  while (end < text.length && end - start < MAX_VALUE && text[end] !== '\n') {
    if (text[end] === '\\') end++
    else if (text[end] === quote) break
    end++
  }
  return Math.min(end, text.length)
}

/** `process.env.X`, `os.environ["X"]`, `getPassword()`, `config.password`, a path, an address without a secret. */
function isCode(value: string): boolean {
  return (
    /^(?:process\.|os\.|env[.[(]|config[.[]|settings[.[]|self\.|this\.|secrets?[.[]|vars?[.[]|var\.|data\.|module\.|require\(|import\b|await\b|new\b|function\b|async\b|\(|\{|\[|\/\/)/.test(
      value,
    ) || /^[A-Za-z_$][\w$.]*\(/.test(value)
  )
}

function isPasswordValue(text: string, at: number, end: number, value: string, quoted: boolean): boolean {
  if (!quoted && /^[\p{L}'’-]+$/u.test(value)) {
    // A word of a sentence: only where nothing but the value follows on the line, or no blank stands before it.
    const rest = text.slice(end, end + 2)
    // `password: dbPassword`: a name of program text.
    if (text[at] !== '=' && /^(?:[a-z]+|[A-Z][a-z]+)(?:[A-Z][a-z]+)*$/.test(value)) return false
    const tight = text[at] === '=' || !/\s/.test(text[at + 1] ?? '')
    return (
      (tight && value.length >= 4) ||
      (value.length >= 8 && /[a-z].*[A-Z]/.test(value)) ||
      (/^(?:["'\r\n;&,<]|$)/.test(rest) && value.length >= 6 && /[A-Z].*[a-z]|[a-z].*[A-Z]/.test(value))
    )
  }
  if (quoted && /\s/.test(value) && value.length > 80) return false
  return true
}

function isSecretValue(value: string, { isStrong, line }: Name): boolean {
  if (/\s/.test(value) || value.length < 6) return false
  if (/^\d+(?:\.\d+)?$/.test(value)) return value.length >= 12
  if (/tokens["'`\])]?\s*$/i.test(line)) return false
  if (/^(?:https?:)?\/\//.test(value) || /^[./~][\w./-]*$/.test(value)) return false
  if (isStrong && value.length >= 8 && /\d/.test(value) && /[A-Za-z]/.test(value))
    return !/^[a-z]+[-_][a-z]+[-_]?\d{0,3}$/.test(value)
  return value.length >= 16 && looksRandom(value) && !/^[a-z]+(?:[-_.][a-z]+)+[-_.]?\d{0,4}$/.test(value)
}

/** A word before the colon, and `u` or `r` before the blank that it follows; `=` in it may be the flag's. */
function mayBeCurlUser(text: string, at: number): boolean {
  let from = at
  let code = 0
  for (; from > 0 && at - from <= 64; from--) {
    code = text.charCodeAt(from - 1)
    if (code === 61) return true
    if (code === 32 || (code >= 9 && code <= 13) || code === 34 || code === 39 || code === 58) break
  }
  if (from === at || from < 3) return false
  if (code === 34 || code === 39) code = text.charCodeAt(--from - 1)
  if (code === 61) return true
  const flag = text.charCodeAt(from - 2)
  return code === 32 && (flag === 117 || flag === 114)
}

/** `curl -u user:password`; `at` is the colon. */
function findCurlUser(scan: Scan, at: number): void {
  const { text } = scan
  if (!mayBeCurlUser(text, at)) return
  if (!/(?:^|\s)(?:-u|--user|--proxy-user)[ =]["']?[^\s:"']{1,64}$/.test(before(text, at, 80))) return
  const end = endOfWord(text, at + 1)
  const value = text.slice(at + 1, end)
  if (value.length >= 3 && !isPlaceholder(value))
    scan.hits.push({ start: at + 1, end, kind: 'password', rule: 'curl-user' })
}

const FLAG =
  /(?:^|[\s"'])--?(?:[a-z]+-)?(?:password|passwd|pass|pwd|token|secret|api-?key|auth-token|access-key|secret-key|client-secret)$/i
/** `--password hunter2`; `end` is where the flag ends. */
export function findFlag(scan: Scan, end: number): void {
  const { text } = scan
  if (!/[ \t]/.test(text[end] ?? '') || !FLAG.test(before(text, end, 40))) return
  let start = end + 1
  if (/["']/.test(text[start] ?? '')) start++
  const stop = endOfWord(text, start)
  const value = text.slice(start, stop)
  if (value.length >= 4 && value[0] !== '-' && !isPlaceholder(value) && !isCode(value) && /[^a-z]/.test(value))
    scan.hits.push({ start, end: stop, kind: 'password', rule: 'flag' })
}

/** Between a word for a password and the password. */
const CONNECTING = new Set('is ist lautet est es è é será sera are was war be to er är jest это now'.split(' '))
const BEFORE_PASSWORD = new Uint8Array(128 * 128)
for (const word of [...PASSWORD_WORDS, ...CONNECTING, 'passe']) {
  const [a, b] = [word.length > 1 ? word.charCodeAt(word.length - 2) : 32, word.charCodeAt(word.length - 1)]
  if (a < 128 && b < 128) BEFORE_PASSWORD[(a << 7) | b] = 1
}

function mayPrecedePassword(text: string, at: number): boolean {
  let end = at
  while (end > 0 && at - end < 6 && !isNameCharacter(text.charCodeAt(end - 1))) end--
  if (end < 2) return false
  const a = text.charCodeAt(end - 2)
  const b = text.charCodeAt(end - 1)
  return a > 127 || b > 127 || BEFORE_PASSWORD[((a | 32) << 7) | (b | 32)] === 1
}

function isNameCharacter(code: number): boolean {
  return code > 127 || (code >= 48 && code <= 57) || ((code | 32) >= 97 && (code | 32) <= 122)
}

const PASSWORD_LIKE =
  /pass|pwd|\bpw|\bpin\b|kennwort|contrase|clave|senha|parola|wachtwoord|has[łl]o|l[öo]senord|adgangskode|salasana|пароль|ifre|mdp|pswd/iu

const COMMAND =
  /\b(?:sshpass|(?:docker|podman|buildah|helm|registry|az|oc|cf) login|redis-cli|ldap(?:search|modify|add)|mongo(?:sh|dump|restore)?|mosquitto_(?:pub|sub)|smbclient|xfreerdp)\b[^\n|;]{0,90}$/
const GLUED_COMMAND = /\b(?:mysql(?:dump|admin|import)?|mariadb(?:-dump)?|sshpass)\b[^\n|;]{0,90}$/
/** `docker login -p …`, `mysql -p…`: a short flag of a command that takes a password there. */
function isCommandPassword(text: string, at: number): boolean {
  if (text[at] === '-') return text[at + 1] === 'p' && GLUED_COMMAND.test(before(text, at, 110))
  const quoted = text[at - 1] === '"' || text[at - 1] === "'" ? 1 : 0
  const flag = at - quoted - 2
  if (text[flag + 1] !== ' ' || text[flag - 1] !== '-' || !/[paPw]/.test(text[flag] ?? '')) return false
  return COMMAND.test(before(text, flag - 1, 110))
}

/** Does a word for a password stand before `at`, with a verb or a sign between at most? */
export function followsPasswordWord(text: string, at: number): boolean {
  if (isCommandPassword(text, at)) return true
  if (!mayPrecedePassword(text, at)) return false
  const words = before(text, at, 40)
  let last = words.length - 1
  while (last >= 0 && words.charCodeAt(last) <= 62 && !(words.charCodeAt(last) >= 48 && words.charCodeAt(last) <= 57))
    last--
  if (last < 2 || words.length - last > 6) return false
  if (words.charCodeAt(last) > 0x5ff && ASIAN_PASSWORD.test(words.slice(0, last + 1))) return true
  if (!PASSWORD_LIKE.test(words)) return false
  const list = wordsOf(words.slice(words.lastIndexOf('\n') + 1))
  for (let index = list.length - 1; index >= 0; index--) {
    const word = list[index]!
    if (PASSWORD_WORDS.has(word) && word !== 'pass' && (word !== 'pin' || words.includes('PIN'))) return true
    if (word === 'passe' && list[index - 1] === 'de') return true
    if (!CONNECTING.has(word)) return false
  }
  return false
}
