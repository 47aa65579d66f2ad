/** Token units that never overlap, named as the observer names them. Zero units are left out. */
export const BILLED_UNITS = [
  'input',
  'input_audio',
  'input_image',
  'cache_read',
  'cache_read_image',
  'cache_read_audio',
  'cache_read_image',
  'cache_write',
  'cache_write_5m',
  'cache_write_1h',
  'output',
  'output_reasoning',
  'output_audio',
  'output_image',
] as const
export type BilledUnit = (typeof BILLED_UNITS)[number]

/** What the provider itself puts on the bill for one answer: sent as the header `x-mock-usage`; `{}` bills nothing. */
export type BilledUsage = Partial<Record<BilledUnit, number>> & {
  model?: string
  /** Only where it is not the standard tier. */
  service_tier?: string
}

/** What the mock is about to send. */
export interface Answer {
  status: number
  headers: Record<string, string>
  /** A Buffer is sent whole, with its length; a list is sent as a stream, one HTTP chunk after the other. */
  body: Buffer | readonly Buffer[]
  billed: BilledUsage
  /** The dialect's own way to say within a stream that it broke. */
  errorEvent?: Buffer
  /** Stop here and close the connection in the middle of the answer. */
  cut?: { declaredLength: number | undefined }
}

export function billed(model: string, units: Partial<Record<BilledUnit, number>>, serviceTier?: string): BilledUsage {
  const usage: BilledUsage = { model }
  for (const unit of BILLED_UNITS) if ((units[unit] ?? 0) > 0) usage[unit] = units[unit]!
  if (serviceTier !== undefined) usage.service_tier = serviceTier
  return usage
}

export function jsonAnswer(status: number, document: unknown, headers: Record<string, string>): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: Buffer.from(JSON.stringify(document)),
    billed: {},
  }
}

/** The answer as it looks when the provider fails half way. What fails is not billed. */
export function breakOff(answer: Answer, fail: 'reset' | 'error-event'): Answer {
  if (Buffer.isBuffer(answer.body)) {
    if (fail === 'error-event') return answer // there is no stream to put an event into
    const half = answer.body.subarray(0, Math.floor(answer.body.length / 2))
    return { ...answer, body: half, billed: {}, cut: { declaredLength: answer.body.length } }
  }
  const half = answer.body.slice(0, Math.max(1, Math.floor(answer.body.length / 2)))
  if (fail === 'reset') return { ...answer, body: half, billed: {}, cut: { declaredLength: undefined } }
  return { ...answer, body: answer.errorEvent === undefined ? half : [...half, answer.errorEvent], billed: {} }
}
