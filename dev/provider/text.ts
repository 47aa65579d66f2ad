import { pick, type Random } from '../seeded-random.ts'
import { isRecord } from './json.ts'

/** Rough, and good enough: what matters is that numbers and text go together. */
export const CHARACTERS_PER_TOKEN = 4

export function tokensOf(text: string): number {
  return Math.ceil(text.length / CHARACTERS_PER_TOKEN)
}

/** Some words need two, three and four bytes in UTF-8, so that a cut between bytes does harm to a careless reader. */
const WORDS = (
  'the gateway keeps one record for each call and adds its tokens to the tenant who made it while a stream is read ' +
  'chunk by chunk until its last event arrives so that nothing is counted twice even if the café in Zürich is closed ' +
  'or the naïve reader cuts 東京 in the middle of a rocket 🚀 and “quotes” it with \\ backslashes, commas; and dots.'
).split(' ')

/** Text of about four characters a token. */
export function textOfTokens(random: Random, tokens: number): string {
  const length = tokens * CHARACTERS_PER_TOKEN
  const words: string[] = []
  for (let size = 0; size < length; ) {
    const word = pick(random, WORDS)
    words.push(word)
    size += word.length + 1
  }
  return [...words.join(' ')].slice(0, length).join('')
}

/** The text in `count` pieces of about the same size (fewer when it is shorter than that), never within a character. */
export function piecesOf(text: string, count: number): string[] {
  const characters = [...text]
  const pieces: string[] = []
  for (let i = 0; i < count; i++) {
    const from = Math.floor((i * characters.length) / count)
    const to = Math.floor(((i + 1) * characters.length) / count)
    if (to > from) pieces.push(characters.slice(from, to).join(''))
  }
  return pieces
}

/** Arguments for a tool, by the JSON schema of its parameters. */
export function toolArguments(random: Random, schema: unknown): string {
  const properties = isRecord(schema) && isRecord(schema.properties) ? schema.properties : { query: { type: 'string' } }
  const result: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(properties)) {
    const type = isRecord(property) ? property.type : undefined
    if (type === 'number' || type === 'integer') result[name] = Math.floor(random() * 100)
    else if (type === 'boolean') result[name] = random() < 0.5
    else if (type === 'array') result[name] = [textOfTokens(random, 2)]
    else if (type === 'object') result[name] = {}
    else result[name] = textOfTokens(random, 5)
  }
  return JSON.stringify(result)
}
