import { between, pick, type Random } from '../seeded-random.ts'

const SENTENCES = [
  'Please summarise the incident report below for the people on call tomorrow.',
  'The checkout service answered slowly between nine and eleven, and some carts were lost.',
  'List the open questions, each with the person who can answer it.',
  'Our customers in Zürich and São Paulo saw prices in the wrong currency.',
  'Compare the two proposals by cost, risk and the time until the first result.',
  'The build takes nineteen minutes; twelve of them are spent installing what has not changed.',
  'Write the answer in plain words, without headings, in at most five sentences.',
  'A tenant asked why the invoice shows more tokens than the dashboard did last month.',
  'Explain what a cursor is, and why the reader keeps its own.',
  'The log says “connection reset by peer” four times, always after sixty seconds.',
  'Suggest three names for the new team, none of them taken from mythology.',
  'If the numbers do not add up, say so and name the first line where they differ.',
  'Translate the last paragraph to Japanese: 在庫がありません。',
  'The tests pass on every machine but one, which has a comma as its decimal sign.',
] as const
const FIRST_NAMES = ['ada', 'grace', 'linus', 'margaret', 'edsger', 'barbara'] as const

/** A prompt of 2 to 4 KB; one in four names an e-mail address that nobody has, so that redaction has work. */
export function promptText(random: Random): string {
  const length = between(random, [2048, 3900])
  const sentences: string[] = []
  if (random() < 0.25)
    sentences.push(`Write to ${pick(random, FIRST_NAMES)}.${between(random, [1, 999])}@example.com about this.`)
  // What makes each prompt one of its own, so that equal prompts are only those that are meant to be equal.
  sentences.push(`Ticket ${between(random, [1, 2 ** 31])}.`)
  for (let size = 0; size < length; ) {
    const sentence = pick(random, SENTENCES)
    sentences.push(sentence)
    size += Buffer.byteLength(sentence) + 1
  }
  return sentences.join(' ')
}
