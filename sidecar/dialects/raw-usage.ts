import { type JsonObject, toJson } from './json-value.ts'

const RAW_USAGE_LIMIT = 4096

/** The provider's usage object as it came, if it is small; else only its numbers. */
export function boundedRawUsage(usage: JsonObject): unknown {
  const json = toJson(usage)
  if (json !== undefined && Buffer.byteLength(json) <= RAW_USAGE_LIMIT) return usage
  const numbers = Object.entries(usage).filter(([key, value]) => typeof value === 'number' && key.length <= 64)
  return Object.fromEntries(numbers.slice(0, 32))
}
