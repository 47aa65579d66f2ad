import { createHmac, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kind } from './rule.ts'

/** Letters only, so that no pseudonym is taken for a number or a key. */
const ALPHABET = 'abcdefghijkmnpq'
const LENGTH = 20
const KEY_FILE = 'pseudonym.key'

/** (tenant, kind, value) → letters: the same for the same person of the same tenant, and nobody without the key knows whose. */
export type Pseudonyms = (tenant: string, kind: string, value: string) => string

/** HMAC-SHA256 with the operator's key; 20 letters, 78 bits. Values are compared without case, blanks and separators. */
export function makePseudonyms(key: Uint8Array | string): Pseudonyms {
  const cache = new Map<string, string>()
  return (tenant, kind, value) => {
    const message = `${tenant}\0${kind}\0${normalized(kind, value)}`
    const known = cache.get(message)
    if (known !== undefined) return known
    const bytes = createHmac('sha256', key).update(message).digest()
    let letters = ''
    for (let at = 0; at < LENGTH; at++) letters += ALPHABET[bytes[at]! % ALPHABET.length]
    if (cache.size >= 4096) cache.clear()
    cache.set(message, letters)
    return letters
  }
}

function normalized(kind: string, value: string): string {
  const plain = value.normalize('NFKC').trim().toLowerCase()
  if (kind === ('email' satisfies Kind))
    return plain.replace(/\s*[[({<]?\s*\bat\b\s*[\])}>]?\s*/, '@').replace(/\s*[[({<]?\s*\bdot\b\s*[\])}>]?\s*/g, '.')
  if (kind === 'user') return plain
  return plain.replace(/[^\p{L}\p{N}]/gu, '').replace(/^00/, '')
}

/** The key that this installation made for itself: `<data>/pseudonym.key`, 32 bytes, mode 0600; made at the first call. */
export function openPseudonymKey(dataFolder: string): Buffer {
  const file = join(dataFolder, KEY_FILE)
  try {
    return checked(Buffer.from(readFileSync(file, 'utf8').trim(), 'hex'), file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
  const key = randomBytes(32)
  try {
    writeFileSync(file, `${key.toString('hex')}\n`, { flag: 'wx', mode: 0o600 })
    chmodSync(file, 0o600)
    return key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return checked(Buffer.from(readFileSync(file, 'utf8').trim(), 'hex'), file)
  }
}

function checked(key: Buffer, file: string): Buffer {
  if (key.length < 16)
    throw new Error(`${file}: not a key of at least 16 bytes in hexadecimal; remove it to have one made`)
  return key
}
