import { describe, expect, it } from 'vitest'
import { TOKEN_RULES } from './find-tokens.ts'
import { makeRedactor, redactionConfigSchema } from './redact.ts'

const redactor = makeRedactor(redactionConfigSchema.parse({}), { key: 'linear' })

/** Beginnings of everything that is looked for, over and over. */
const UNITS = [
  'a',
  '1',
  '4111 ',
  'a@',
  '@',
  'a@a.',
  'eyJ-',
  'eyJa.',
  'bearer ',
  'Basic YWJj ',
  'DE89 ',
  'de 89',
  '+49 30 ',
  '+1',
  '06 ',
  '1 2 3 4 ',
  '1.1.',
  '1.',
  '1-',
  '0',
  'a[…]',
  'password=',
  'password: ',
  'the password is ',
  'key=',
  'sig=',
  'token: "',
  'a1 ',
  'A1',
  '%41',
  '%2541',
  '\\n',
  '\\\\n',
  '&amp;',
  '::',
  '1:',
  'ab:',
  '-----BEGIN PRIVATE KEY-----',
  '-----END',
  '<<',
  'A<',
  'P<UTO',
  '(at) a.',
  ' at a dot ',
  '[at]',
  'http://',
  'http://a:',
  'a:b@',
  '"',
  '\\"',
  '{"a":"',
  'a1_',
  '/',
  'aws ',
  'datadog key ',
  'born 1990 ',
  'order no. 81234567890 ',
  'name: a\n value: ',
  'sshpass -p a1b2 ',
  'mysql -pa1b2c3d4 ',
  'jdbc:oracle:thin:a/b@',
  '1990-01-01 ',
  'tel 1 ',
  'AB 12 ',
  'ABC DEF 69T01 ',
  '0123456789abcdef-',
  '12:',
  'YW5u',
  'YWJj YWJj',
  'é',
  '中',
  '１',
  '\u200b',
  '--password ',
  'curl -u a:',
  'x'.repeat(70),
  ' ',
]
const beginnings = [...new Set(TOKEN_RULES.flatMap(({ starts = [] }) => starts))]

/** CPU time of one pass, the least of three. */
function work(unit: string, length: number): number {
  const text = unit.repeat(Math.ceil(length / unit.length))
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 3; round++) {
    const started = process.cpuUsage()
    redactor.text(text, { cut: true })
    const { user, system } = process.cpuUsage(started)
    least = Math.min(least, user + system)
  }
  return least
}

describe('four times the text is about four times the work', () => {
  const KB = 1024
  // A square would be 16 times; what a small text does in no time says nothing, hence the floor.
  const FLOOR_US = 2000
  it.each([...UNITS, ...beginnings.map((start) => `${start}-`)])('%j', (unit) => {
    work(unit, 2 * KB)
    // Other programs disturb a measurement; of five, one that is not is enough. A square fails all.
    let ratio = Number.POSITIVE_INFINITY
    for (let round = 0; round < 5 && ratio >= 10; round++)
      ratio = Math.min(ratio, work(unit, 32 * KB) / Math.max(FLOOR_US, work(unit, 8 * KB)))
    expect(ratio).toBeLessThan(10)
  })
  it('a long text of an operator’s pattern too', () => {
    const own = makeRedactor(
      redactionConfigSchema.parse({
        patterns: [],
        custom: [
          { name: 'MAIL', pattern: '[\\w.+-]+@corp\\.example' },
          { name: 'PAIR', pattern: '(?:[a-c]|a|(?:b))*c=' },
          { name: 'LINE', pattern: '.*password.*' },
        ],
      }),
      { key: 'linear' },
    )
    const time = (length: number) => {
      const text = 'a'.repeat(length)
      const started = process.cpuUsage()
      own.text(text)
      const { user, system } = process.cpuUsage(started)
      return user + system
    }
    time(4 * KB)
    expect(time(32 * KB)).toBeLessThan(Math.max(FLOOR_US, time(8 * KB)) * 10)
  })
})
