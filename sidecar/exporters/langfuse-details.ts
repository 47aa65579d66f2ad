import {
  decimalUsd,
  EXTRA_UNITS,
  type LlmCall,
  type RequestParameters,
  TOKEN_TYPES,
  type TokenType,
  type UsageUnit,
} from '../call.ts'

/** No usage, or no cost, said: given none Langfuse would count the texts and price them. */
export const NOTHING = '{"total":0}'

/**
 * Langfuse's buckets: none overlaps, and its UI adds up every key that contains `input`, so that cached tokens stand
 * beside `input` and not in it.
 */
const BUCKETS: Record<TokenType, string> = {
  input: 'input',
  input_audio: 'input_audio_tokens',
  input_image: 'input_image_tokens',
  cache_read: 'input_cached_tokens',
  cache_read_audio: 'input_cached_audio_tokens',
  cache_read_image: 'input_cached_image_tokens',
  cache_write: 'input_cache_creation',
  cache_write_5m: 'input_cache_creation_5m',
  cache_write_1h: 'input_cache_creation_1h',
  output: 'output',
  output_reasoning: 'output_reasoning_tokens',
  output_audio: 'output_audio_tokens',
  output_image: 'output_image_tokens',
}

/** Always explicit: with a known model and no usage Langfuse counts the texts itself, and prices that. */
export function usageDetails(call: LlmCall): Record<string, number> {
  const details: Record<string, number> = {}
  let total = 0
  for (const type of TOKEN_TYPES) {
    const tokens = call.usage[type]
    if (tokens === undefined) continue
    details[BUCKETS[type]] = tokens
    total += tokens
  }
  for (const unit of EXTRA_UNITS) if (call.usage[unit] !== undefined) details[unit] = call.usage[unit]
  details.total = total
  return details
}

/**
 * Always with a total, without which Langfuse shows none. What costs nothing, or has no price, is sent as 0: given no
 * cost Langfuse would price it by its own list, and there would be two truths.
 */
export function costDetails({ cost }: LlmCall): string {
  if (cost.state !== 'priced') return NOTHING
  const parts = (Object.entries(cost.byUnit) as [UsageUnit, number][]).map(
    ([unit, picoUsd]) => `"${unit in BUCKETS ? BUCKETS[unit as TokenType] : unit}":${decimalUsd(picoUsd)}`,
  )
  return `{${[...parts, `"total":${decimalUsd(cost.picoUsd)}`].join(',')}}`
}

/** As the provider's interface names them, so that a search for `stop` or `n` finds them. */
export function modelParameters(parameters: RequestParameters, dialect: string): string {
  const openai = dialect.startsWith('openai')
  const named: Record<string, unknown> = {}
  for (const name in parameters) {
    const own = openai ? OPENAI_NAMES[name] : undefined
    named[own ?? snakeCase(name)] = parameters[name as keyof RequestParameters]
  }
  return JSON.stringify(named)
}

const OPENAI_NAMES: Readonly<Record<string, string>> = { choiceCount: 'n', stopSequences: 'stop' }

const snakeNames = new Map<string, string>()
/** Only names of our own come here, so that what is remembered is bounded. */
function snakeCase(name: string): string {
  let snake = snakeNames.get(name)
  if (snake === undefined) {
    snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    snakeNames.set(name, snake)
  }
  return snake
}
