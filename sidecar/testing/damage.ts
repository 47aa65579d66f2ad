import type { Exchange } from '../dialects/dialect.ts'
import { read } from '../dialects/index.ts'

/**
 * Cuts an answer at every byte, and its middle out at many: what a reading claims to be the provider's word must be
 * what the whole answer says. Gives the places where it is not; none is right. `complete`: what the capture says of the
 * end; only where it admits the cut can a list of lines be known to be one.
 */
export function contradictionsOfCuts(exchange: Exchange, complete: readonly boolean[] = [true, false]): string[] {
  const bytes = exchange.responseBody ?? new Uint8Array()
  const whole = JSON.stringify(read(exchange).counts)
  const wrong: string[] = []
  const check = (where: string, part: Partial<Exchange>) => {
    const reading = read({ ...exchange, ...part })
    if (reading.usageReason === 'reader_failed') wrong.push(`${where}: threw`)
    if (reading.usageSource === 'provider' && JSON.stringify(reading.counts) !== whole)
      wrong.push(`${where}: ${JSON.stringify(reading.counts)} for ${whole}`)
  }
  for (let cut = 0; cut < bytes.length; cut++)
    for (const responseComplete of complete)
      check(`cut at ${cut}`, { responseBody: bytes.subarray(0, cut), responseComplete })
  const step = Math.max(1, Math.floor(bytes.length / 40))
  for (let head = 1; head < bytes.length; head += step)
    for (let tail = head; tail < bytes.length; tail += step)
      check(`without ${head} to ${tail}`, {
        responseBody: bytes.subarray(0, head),
        responseTail: bytes.subarray(tail),
      })
  return wrong
}

const GARBAGE: readonly unknown[] = [null, true, -1, 1.5, 1e300, '', 'x', [], [null], ['x'], {}, { a: 1 }]

/** The same JSON with one value in it replaced by another of any type, once for each place and type. */
export function garbled(value: unknown): unknown[] {
  const inside =
    value === null || typeof value !== 'object'
      ? []
      : Object.entries(value).flatMap(([key, member]) =>
          garbled(member).map((other) =>
            Array.isArray(value)
              ? value.map((item, at) => (String(at) === key ? other : item))
              : { ...value, [key]: other },
          ),
        )
  return [...GARBAGE, ...inside]
}

/** Gives what is wrong with the readings of garbled bodies: a reader that threw, a count that is none. */
export function failuresOfGarbage(exchanges: readonly Exchange[]): string[] {
  const wrong: string[] = []
  for (const exchange of exchanges) {
    const { usageReason, counts } = read(exchange)
    const text = Buffer.from(exchange.responseBody ?? '').toString()
    if (usageReason === 'reader_failed') wrong.push(`threw: ${text}`)
    if (Object.values(counts).some((count) => !Number.isSafeInteger(count) || (count ?? 0) < 0))
      wrong.push(`${JSON.stringify(counts)}: ${text}`)
  }
  return wrong
}
