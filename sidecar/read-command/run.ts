import type { PriceBook } from '../../pricing/price-book.ts'
import { parseExchangeLine } from './exchange-line.ts'
import { explain } from './explain.ts'
import { type Estimate, readLine } from './result-line.ts'

export interface ReadOptions {
  book: PriceBook
  estimate: Estimate
  explain: boolean
  now: () => number
  /** Resolves when the text was taken, so that a slow reader holds us back. */
  write: (text: string) => Promise<void>
  complain: (text: string) => void
}

/** A line that is longer is refused, not held in memory. */
export const MAX_LINE_BYTES = 256 * 1024 * 1024

/**
 * One exchange a line in, one result a line out, in order. A line that is none is named on the error output and as
 * `{line, invalid}` where its result would stand. Returns how many were invalid.
 */
export async function readExchanges(lines: AsyncIterable<string>, options: ReadOptions): Promise<number> {
  let number = 0
  let invalid = 0
  for await (const text of lines) {
    number++
    if (text.trim() === '') continue
    try {
      const outcome = await readLine(parseExchangeLine(text, options.now), options.book, options.estimate)
      await options.write(options.explain ? `${explain(outcome)}\n` : `${JSON.stringify(outcome.line)}\n`)
    } catch (error) {
      invalid++
      const { message } = error as Error
      options.complain(`line ${number}: ${message}\n`)
      if (!options.explain) await options.write(`${JSON.stringify({ line: number, invalid: message })}\n`)
    }
  }
  return invalid
}

/** Lines of a byte stream. Throws where a line passes MAX_LINE_BYTES. */
export async function* linesOf(input: AsyncIterable<Uint8Array>, limit = MAX_LINE_BYTES): AsyncGenerator<string> {
  let pieces: Uint8Array[] = []
  let size = 0
  for await (const chunk of input) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      pieces.push(chunk.subarray(from, end))
      yield Buffer.concat(pieces).toString('utf8')
      pieces = []
      size = 0
      from = end + 1
    }
    if (from < chunk.length) {
      pieces.push(chunk.subarray(from))
      size += chunk.length - from
      if (size > limit) throw new Error(`a line is longer than ${limit} bytes: one exchange must stand on one line`)
    }
  }
  if (size > 0) yield Buffer.concat(pieces).toString('utf8')
}
