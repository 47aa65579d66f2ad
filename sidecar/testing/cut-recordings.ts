import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PriceBook } from '../../pricing/price-book.ts'
import type { Cost } from '../call.ts'
import type { Exchange } from '../dialects/dialect.ts'
import { defaultProviderOf, read } from '../dialects/index.ts'
import { providerOfHost } from '../dialects/provider-of-host.ts'
import { price } from '../pipeline/price.ts'

/** The recorded exchanges of ../shared: a test reads them there and skips where they are absent. */
export const RECORDINGS = join(import.meta.dirname, '../../../shared/data/provider-exchanges/exchanges.jsonl')

interface Row {
  id: string
  method: string
  host: string
  url_path: string
  request_headers: Record<string, string> | null
  request_body: unknown
  response_status: number
  response_headers: Record<string, string> | null
  response_body_b64: string | null
}

export interface Recording {
  id: string
  exchange: Exchange
  bytes: Uint8Array
}

export function recordings(): Recording[] {
  if (!existsSync(RECORDINGS)) return []
  const lines = readFileSync(RECORDINGS, 'utf8').trimEnd().split('\n')
  return lines.map((line) => {
    const row = JSON.parse(line) as Row
    const bytes = Buffer.from(row.response_body_b64 ?? '', 'base64')
    const exchange: Exchange = {
      method: row.method,
      host: row.host.replace(/:\d+$/, ''),
      path: row.url_path.replace(/\?.*$/, ''),
      requestHeaders: row.request_headers ?? {},
      requestBody: row.request_body == null ? undefined : Buffer.from(JSON.stringify(row.request_body)),
      requestTruncated: false,
      status: row.response_status,
      responseHeaders: row.response_headers ?? {},
      responseBody: bytes,
      responseTail: undefined,
      responseComplete: true,
    }
    return { id: row.id, exchange, bytes }
  })
}

/** As the tap keeps an answer under a cap in bytes: three quarters of it from the beginning, one from the end. */
export function cutAt({ exchange, bytes }: Recording, cap: number): Exchange {
  if (bytes.length <= cap) return exchange
  const head = Math.floor((cap * 3) / 4)
  return {
    ...exchange,
    responseBody: bytes.subarray(0, head),
    responseTail: bytes.subarray(bytes.length - (cap - head)),
  }
}

export interface Amount {
  /** pico-USD; undefined where the call is unpriced. */
  picoUsd: number | undefined
  /** Every word that says why the amount is not plain. */
  why: readonly string[]
  reasons: readonly string[]
  unreadUsage: readonly string[]
  cost: Cost
}

export function amountOf(exchange: Exchange, book: PriceBook): Amount {
  const reading = read(exchange)
  const named = providerOfHost(exchange.host)
  const { cost, reasons } = price(reading, {
    book,
    tenant: '',
    provider: named ?? defaultProviderOf(reading.dialect) ?? 'unknown',
    providerGuessed: named === undefined,
    startedAt: Date.UTC(2026, 10, 23),
    durationMs: 0,
    httpStatus: exchange.status,
    cache: undefined,
  })
  return {
    picoUsd: cost.state === 'unpriced' ? undefined : cost.picoUsd,
    why: [...(reading.usageReason === undefined ? [] : [reading.usageReason]), ...reasons],
    reasons,
    unreadUsage: reading.unreadUsage ?? [],
    cost,
  }
}

/** Recordings whose amount at this cap is another one than that of the whole answer, without a word about it. */
export function silentDifferences(
  all: readonly { recording: Recording; whole: Amount }[],
  cap: number,
  book: PriceBook,
): string[] {
  const found: string[] = []
  for (const { recording, whole } of all) {
    if (recording.bytes.length <= cap) continue
    const { picoUsd, why } = amountOf(cutAt(recording, cap), book)
    if (picoUsd !== undefined && picoUsd !== whole.picoUsd && why.length === 0)
      found.push(`${recording.id} cut at ${cap}: ${picoUsd}, whole ${whole.picoUsd}`)
  }
  return found
}
