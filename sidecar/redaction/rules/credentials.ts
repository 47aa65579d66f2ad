import type { TokenRule } from '../rule.ts'
import { key } from './token-row.ts'

/** Credentials that no vendor owns. `password=` and URLs with a password have finders of their own (find-pairs.ts, find-addresses.ts). */
// biome-ignore format: one row a line
export const CREDENTIAL_TOKENS: readonly TokenRule[] = [
  key('jwt', 'eyJ[A-Za-z0-9_-]{8,4096}(?:\\.[A-Za-z0-9_-]{0,65536}){1,4}', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{w40}.{k43}', 'RFC 7519', { kind: 'jwt', examples: ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{w40}.{k43}', 'eyJhbGciOiJub25lIn0.eyJzdWIi{w20}.'] }),
  key('putty-key', 'PuTTY-User-Key-File-\\d: [\\w@.-]{3,40}\\r?\\n(?:[A-Z][A-Za-z0-9-]{2,30}: [^\\r\\n]{0,200}\\r?\\n|[A-Za-z0-9+/=]{1,64}\\r?\\n){1,160}Private-MAC: [0-9a-f]{40,64}', 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n{w64}\nPrivate-MAC: {h64}', 'https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html', { kind: 'private_key' }),
]

const HEAD = '-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----'
/** PEM, OpenSSH and PGP: from its head to its foot, or as far as what could be its body goes. */
export const PRIVATE_KEY = new RegExp(
  `${HEAD}[A-Za-z0-9+/=\\s\\\\:,.()-]{0,65536}?-----END (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----|${HEAD}[A-Za-z0-9+/=\\s\\\\]{0,65536}`,
  'y',
)
