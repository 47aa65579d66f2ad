import type { AttributeValue, ReceivedSpan } from './decode-spans.ts'

/**
 * What Langfuse (v4.16, ingestion version 4) makes of a span, as far as it concerns us. Not its own mapper: a small
 * one that is held against what that stored (`../shared/data/langfuse-otlp`). It has no list prices, so that what
 * Langfuse prices by itself is told apart (`total_cost` undefined, `pricedByLangfuse` true).
 */
export interface StoredObservation {
  traceId: string
  spanId: string
  parentSpanId: string | undefined
  name: string
  type: string
  environment: string
  level: string
  statusMessage: string | undefined
  modelName: string | undefined
  modelParameters: Record<string, unknown>
  completionStartTime: string | undefined
  usageDetails: Record<string, number>
  cost_details: Record<string, number>
  total_cost: number | undefined
  pricedByLangfuse: boolean
  tags: string[]
  isAppRoot: boolean
  traceName: string | undefined
  userId: string | undefined
  sessionId: string | undefined
  release: string | undefined
  input: string | undefined
  output: string | undefined
  metadata: Record<string, string>
}

const ENVIRONMENT = /^(?!langfuse)[a-z0-9-_]{1,40}$/
const METADATA = ['langfuse.observation.metadata.', 'langfuse.trace.metadata.']
const LEVELS: readonly string[] = ['DEBUG', 'DEFAULT', 'WARNING', 'ERROR']
const ERROR = 2

export function storedOf(span: ReceivedSpan): StoredObservation {
  const { attributes } = span
  const first = (...names: string[]): AttributeValue | undefined =>
    names.map((name) => attributes.get(name)).find((value) => value !== undefined)
  const text = (...names: string[]) => {
    const value = first(...names)
    return value === undefined ? undefined : String(value)
  }
  const json = (name: string) => JSON.parse(text(name) ?? '{}') as Record<string, unknown>

  const type = (text('langfuse.observation.type') ?? 'span').toUpperCase()
  const environment = text('langfuse.environment', 'deployment.environment.name') ?? 'default'
  const level = text('langfuse.observation.level')
  const usage = countsOf(json('langfuse.observation.usage_details'))
  const cost = json('langfuse.observation.cost_details') as Record<string, number>
  const model = text('langfuse.observation.model.name', 'gen_ai.response.model', 'gen_ai.request.model')
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId === '' ? undefined : span.parentSpanId,
    name: span.name,
    type,
    environment: ENVIRONMENT.test(environment) ? environment : 'default',
    level: level !== undefined && LEVELS.includes(level) ? level : span.statusCode === ERROR ? 'ERROR' : 'DEFAULT',
    statusMessage: text('langfuse.observation.status_message') ?? (span.statusMessage || undefined),
    modelName: type === 'GENERATION' || type === 'EMBEDDING' ? model : undefined,
    modelParameters: json('langfuse.observation.model.parameters'),
    completionStartTime: text('langfuse.observation.completion_start_time'),
    usageDetails: withTotal(usage),
    cost_details: cost,
    total_cost: totalCostOf(cost),
    pricedByLangfuse: Object.keys(cost).length === 0 && Object.keys(usage).length > 0,
    tags: ((attributes.get('langfuse.trace.tags') as string[] | undefined) ?? []).map(String),
    isAppRoot: attributes.get('langfuse.internal.is_app_root') === true,
    traceName: text('langfuse.trace.name'),
    userId: text('langfuse.user.id', 'user.id'),
    sessionId: text('langfuse.session.id', 'session.id', 'gen_ai.conversation.id'),
    release: text('langfuse.release'),
    input: text('langfuse.observation.input', 'gen_ai.input.messages'),
    output: text('langfuse.observation.output', 'gen_ai.output.messages'),
    metadata: Object.fromEntries(
      [...attributes].flatMap(([name, value]) => {
        const prefix = METADATA.find((start) => name.startsWith(start))
        return prefix === undefined ? [] : [[name.slice(prefix.length), String(value)]]
      }),
    ),
  }
}

/** Counts that are not whole, or negative, vanish without a word. */
function countsOf(usage: Record<string, unknown>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(usage).filter(
      (entry): entry is [string, number] => Number.isInteger(entry[1]) && (entry[1] as number) >= 0,
    ),
  )
}

function withTotal(usage: Record<string, number>): Record<string, number> {
  const counts = Object.values(usage)
  if (counts.length === 0 || usage.total !== undefined) return usage
  return { ...usage, total: counts.reduce((a, b) => a + b, 0) }
}

/** Without `total` there is one only where all keys are `input` and `output`. */
function totalCostOf(cost: Record<string, number>): number | undefined {
  if (cost.total !== undefined) return cost.total
  const parts = Object.keys(cost)
  if (parts.length === 0 || parts.some((part) => part !== 'input' && part !== 'output')) return undefined
  return Object.values(cost).reduce((a, b) => a + b, 0)
}
