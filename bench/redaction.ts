import { makeSet } from '../dev/redaction-set/make-set.ts'
import { makeRedactor, redactionConfigSchema } from '../sidecar/redaction/redact.ts'

// node bench/redaction.ts — CPU of redaction with every kind on: µs for 4 KB of prose, µs a KB of what is hostile, and its growth.
const redactor = makeRedactor(redactionConfigSchema.parse({}), { key: 'bench' })
const KB = 1024

/** CPU µs of one run, the least of several rounds. */
function cpu(run: () => void, runs: number, rounds = 7): number {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const started = process.cpuUsage()
    for (let count = 0; count < runs; count++) run()
    const { user, system } = process.cpuUsage(started)
    least = Math.min(least, (user + system) / runs)
  }
  return least
}

const PROSE: Readonly<Record<string, string>> = {
  English:
    'We would like to know how the new policy changes the work of the team, and whether the numbers of last year still hold: about a third of all requests came from two regions, most of them in the morning. Please write a short summary for the board, with one paragraph on risks and one on what to do next. ',
  German:
    'Wir möchten wissen, wie sich die neue Regelung auf die Arbeit der Gruppe auswirkt und ob die Zahlen des Vorjahres noch gelten: etwa ein Drittel aller Anfragen kam aus zwei Regionen, die meisten am Morgen. Bitte schreiben Sie eine kurze Zusammenfassung für den Vorstand. ',
  'with numbers':
    'In 2024 about 35 % of 1,200 requests took 3.5 s or more; by May 3 it was 12, and the rest (some 780) came back within 250 ms. Version 2.4 shipped on 2024-05-03 at 10:15, order 4711 followed. ',
}
const times = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)

console.log('CPU µs for 4 KB with every kind on (goal: 60)')
let yardstick = 0
const plain = times(PROSE.English!, 4 * KB)
const loop = cpu(() => {
  for (let at = 0; at < plain.length; at++) yardstick |= plain.charCodeAt(at)
}, 2000)
for (const [name, unit] of Object.entries(PROSE)) {
  const text = times(unit, 4 * KB)
  cpu(() => redactor.text(text), 3000, 1)
  console.log(`  ${name.padEnd(16)} ${cpu(() => redactor.text(text), 500).toFixed(1)}`)
}
const json = JSON.stringify({
  notes: times(PROSE.English!, 2 * KB),
  more: [times(PROSE['with numbers']!, 1.9 * KB)],
  line: 'a\nb',
})
console.log(`  ${'JSON with escapes'.padEnd(16)} ${cpu(() => redactor.text(json), 500).toFixed(1)}`)
console.log(
  `  yardstick: one look at each of 4,096 characters takes ${loop.toFixed(1)} here (2.5 to 4 on a machine at rest) ${yardstick > 0 ? '' : '!'}`,
)

const remembering = makeRedactor(redactionConfigSchema.parse({}), { key: 'bench', remember: 1024 * KB })
remembering.text(plain)
console.log(`  a text of 4 KB that comes again: ${cpu(() => remembering.text(plain), 2000).toFixed(1)}`)

const planted = makeSet(1).filter(({ secret }) => secret !== undefined)
const sample = planted.filter((_, index) => index % 40 === 0)
console.log(
  `\nCPU µs for a text with a secret in it (${sample.length} of the labelled set, mean): ${(
    cpu(() => {
      for (const { text } of sample) redactor.text(text)
    }, 1) / sample.length
  ).toFixed(1)}`,
)

console.log('\nhostile: CPU ms for 256 KB and 1 MB (4 × is linear)')
for (const unit of [
  'a',
  '1',
  '4111 ',
  '06 ',
  'a@',
  'eyJ-',
  'sk-',
  'DE89 ',
  '+49 30 ',
  'password=',
  'key=',
  '::',
  'http://a:',
  '-----BEGIN PRIVATE KEY-----',
  '\\n',
  '%41',
  'YWJj YWJj',
  'aws ',
  'born 1990 ',
  '<<',
]) {
  const quarter = cpu(() => redactor.text(times(unit, 256 * KB)), 1, 2) / 1000
  const whole = cpu(() => redactor.text(times(unit, KB * KB)), 1, 1) / 1000
  console.log(
    `  ${JSON.stringify(unit).padEnd(32)} ${quarter.toFixed(0).padStart(6)} ${whole.toFixed(0).padStart(6)}   × ${(whole / quarter).toFixed(1)}`,
  )
}
