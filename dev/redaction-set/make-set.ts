import type { Kind } from '../../sidecar/redaction/rule.ts'
import { randomOf } from '../../sidecar/redaction/sample.ts'
import { allExamples, pick } from './examples.ts'
import { HARMLESS } from './harmless.ts'
import { PLACES, type Place } from './places.ts'
import { SENTENCES } from './sentences.ts'

/** A text with one secret in it, or with none. */
export interface Labelled {
  text: string
  language: string
  place: Place
  /** The row or the kind of look-alike that made it. */
  rule: string
  secret?: { value: string; kind: Kind; promise: 'all' | 'most' }
}

/** Every example of every row in every place, each in one of twelve languages, and as many harmless look-alikes. The same for the same seed. */
export function makeSet(seed: number): Labelled[] {
  const random = randomOf(seed)
  const languages = Object.keys(SENTENCES)
  const set: Labelled[] = []
  for (const example of allExamples())
    for (const place of PLACES) {
      const language = pick(languages, random)
      const { text, secret } = example.make(random)
      if (place.name === 'program text' && /['\n]/.test(text)) continue
      const sentences = SENTENCES[language]!
      const sentence = pick(sentences[example.kind] ?? sentences.any, random).replace('{v}', () => text)
      set.push({
        text: place.put(sentence, random),
        language,
        place,
        rule: example.rule,
        secret: { value: secret, kind: example.kind, promise: example.promise },
      })
    }
  const makers = Object.entries(HARMLESS)
  for (let count = set.length; count > 0; count--) {
    const language = pick(languages, random)
    const place = pick(PLACES, random)
    const [rule, make] = pick(makers, random)
    const sentence = pick(SENTENCES[language]!.harmless, random).replace('{v}', () => make(random))
    set.push({ text: place.put(sentence, random), language, place, rule })
  }
  return set
}

/** Whether the secret, or half of it, can still be read. */
export function isReadable(masked: string, { place, secret }: Labelled): boolean {
  const compact = (text: string) =>
    text
      .normalize('NFKC')
      .replace(/[^\p{L}\p{N}]/gu, '')
      .toLowerCase()
  const seen = compact(place.read?.(masked) ?? masked)
  const value = compact(secret!.value.replaceAll('%40', '@'))
  const half = Math.max(5, Math.ceil(value.length * 0.6))
  return seen.includes(value) || seen.includes(value.slice(0, half)) || seen.includes(value.slice(-half))
}
