import { makeRedactor, redactionConfigSchema } from '../../sidecar/redaction/redact.ts'
import { makeSet } from './make-set.ts'
import { precisionOf, scoreOf } from './score.ts'

// node dev/redaction-set/print.ts [seed] [how many misses to show]
const seed = Number(process.argv[2] ?? 1)
const shown = Number(process.argv[3] ?? 20)
const redactor = makeRedactor(redactionConfigSchema.parse({}), { key: 'of the labelled set' })
const set = makeSet(seed)
const score = scoreOf(set, (text) => redactor.text(text))
const percent = (part: number, of: number) => `${((100 * part) / of).toFixed(2)} %`
console.log(
  `texts ${set.length}: ${score.planted} with a secret, ${score.harmless} harmless; languages ${new Set(set.map(({ language }) => language)).size}`,
)
for (const [promise, { planted, found }] of Object.entries(score.byPromise))
  console.log(`recall (${promise}): ${percent(found, planted)} (${found} of ${planted})`)
console.log(`precision: ${percent(precisionOf(score), 1)} (${score.changed} harmless texts changed)`)
const tally = (list: { labelled: { rule: string; place: { name: string } } }[], by: 'rule' | 'place') => {
  const counts = new Map<string, number>()
  for (const { labelled } of list) {
    const name = by === 'rule' ? labelled.rule : labelled.place.name
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 40)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}
console.log(
  `missed by rule: ${tally(score.missed, 'rule')}\nmissed by place: ${tally(score.missed, 'place')}\nwrong by rule: ${tally(score.wrong, 'rule')}`,
)
for (const { labelled, masked } of score.missed.slice(0, shown))
  console.log(
    'MISSED',
    labelled.rule,
    '|',
    JSON.stringify(labelled.text.slice(0, 220)),
    '→',
    JSON.stringify(masked.slice(0, 160)),
  )
for (const { labelled, masked } of score.wrong.slice(0, shown))
  console.log(
    'WRONG',
    labelled.rule,
    '|',
    JSON.stringify(labelled.text.slice(0, 200)),
    '→',
    JSON.stringify(masked.slice(0, 200)),
  )
