import { isPlaceholder } from './find-addresses.ts'
import { endOfWord } from './find-pairs.ts'
import type { Scan } from './hits.ts'

/** Is `start` to `end`, before a blank, the end of a word that findSpokenPasswords looks for? */
export function endsPasswordWord(text: string, start: number, end: number): boolean {
  const size = end - start
  if (size === 5) return text.startsWith('passe', start)
  const previous = text.charCodeAt(end - 2)
  // `contraseña`, `hasło`: the last letter stands alone behind one that is not ASCII.
  if (size === 1) return text.charCodeAt(start - 1) > 127
  if (size < 6) return false
  if (previous === 114) {
    const before = text.charCodeAt(end - 3)
    return (
      before === 111 &&
      (text.startsWith('assw', end - 7) ||
        text.startsWith('woo', end - 5) ||
        text.startsWith('sen', end - 6) ||
        text.startsWith('assworo', end - 9))
    )
  }
  return previous === 101 && (text.startsWith('asswork', end - 11) || text.startsWith('assworord', end - 11))
}

const SPOKEN_ASCII = ['asswor', 'mot de passe', 'achtwoord']
const SPOKEN_OTHER = ['ontraseña', 'asło', 'ösenord']
const VERB = /(?:d|t|e|a|o|ord|ordet|koden)[ \t](?:is|ist|lautet|est|es|è|é|to|är)[ \t]["'`“„«:]?/y
/** `the password is …`: the value has no digit that would have drawn attention to it. */
export function findSpokenPasswords(scan: Scan, isAscii: boolean): void {
  for (const word of SPOKEN_ASCII) findSpoken(scan, word)
  if (!isAscii) for (const word of SPOKEN_OTHER) findSpoken(scan, word)
}

function findSpoken(scan: Scan, word: string): void {
  const { text } = scan
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + word.length)) {
    // The last letter of the word, the verb, the value.
    VERB.lastIndex = at + word.length - (word === 'asswor' ? 0 : 1)
    const verb = VERB.exec(text)
    if (verb === null) continue
    const start = VERB.lastIndex
    const end = endOfWord(text, start)
    const value = text.slice(start, end)
    // A word of a sentence is written in small letters, or with a capital in front.
    if (value.length >= 6 && /[a-z].*[A-Z]|[^\p{L}'’-]/u.test(value) && !isPlaceholder(value))
      scan.hits.push({ start, end, kind: 'password', rule: 'password-word' })
  }
}
