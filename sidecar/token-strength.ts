/** What is wrong with a token; undefined: nothing. */
export function tokenFault(token: string): { kind: 'illegal' | 'weak'; message: string } | undefined {
  if (!/^[\x21-\x7e]{1,4096}$/.test(token))
    return {
      kind: 'illegal',
      message: 'a token is printable ASCII without spaces (value withheld): no client could send it',
    }
  if (bitsOf(token) < MIN_BITS || new Set(token).size < MIN_DISTINCT)
    return {
      kind: 'weak',
      message: `a token needs ${MIN_BITS} random bits, and this one is too short or repeats itself: \`openssl rand -hex 32\` makes one`,
    }
  return undefined
}

const MIN_BITS = 128
/** A random token of 22 or more characters has fewer once in a million times. */
const MIN_DISTINCT = 8

/** As many bits as a random text of these kinds of characters and this length has. */
function bitsOf(token: string): number {
  const alphabet = /^\d+$/.test(token)
    ? 10
    : /^[0-9a-f]+$/i.test(token)
      ? 16
      : /^[0-9a-z]+$/.test(token) || /^[0-9A-Z]+$/.test(token)
        ? 36
        : 64
  return token.length * Math.log2(alphabet)
}
