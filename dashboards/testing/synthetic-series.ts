import { KONG_METRICS } from '../../monitoring/kong-metrics.ts'
import { RECORDED, THINNED } from '../../monitoring/recorded.ts'
import { SLOS } from '../../monitoring/slo.ts'
import { CALL_STATUSES } from '../../sidecar/call.ts'
import { METRICS, type MetricDefinition } from '../../sidecar/metrics/metrics.ts'

export interface SyntheticSeries {
  /** With `__name__`. */
  labels: Readonly<Record<string, string>>
  kind: 'counter' | 'gauge'
  /** Of a counter, a second; of a gauge, its value. */
  amount: number
}

const SIDECAR = { job: 'llm-observer', instance: 'sidecar:8086', environment: 'production', region: 'local' }
const KONG = { job: 'kong', instance: 'kong:8100', environment: 'production', region: 'local' }
/** Of labels that are no tenant, provider or model: the values that each series of the metric has. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  status: CALL_STATUSES,
  type: ['input', 'cache_read', 'cache_write_5m', 'output', 'output_reasoning'],
  direction: ['up', 'down'],
  source: ['provider', 'estimated'],
  guardrail: ['kong.ai-sanitizer', 'kong.ai-lakera-guard'],
  stage: ['input'],
  action: ['blocked', 'masked'],
  result: ['hit', 'miss'],
  by: ['gateway', 'provider'],
  period: ['day', 'week', 'month'],
  sink: ['otlp', 'langfuse', 'loki'],
  outcome: ['sent'],
  protocol: ['mcp', 'a2a'],
  method: ['tools/list', 'tools/call'],
  slo: SLOS.map(({ id }) => id),
  service: ['openai', 'anthropic', 'cached'],
  code: ['200', '429', '500'],
  state: ['active', 'waiting'],
}
/** Values of one metric, where they are not those of its label elsewhere. */
const OWN_VALUES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  llm_finished_answers_total: { reason: ['stop', 'length', 'tool_calls', 'refusal'] },
  llm_unpriced_calls_total: { reason: ['unknown_model'] },
  llm_call_reasons_total: { reason: ['fee_counted', 'attempts_unseen'] },
  llm_agent_protocol_calls_total: { outcome: ['ok', 'error'] },
  llm_agent_protocol_seconds_total: { outcome: ['ok', 'error'] },
}

/** Series of all metrics that boards read, for so many tenants, each with so many models. Amounts are plain, not likely. */
export function syntheticSeries(tenants: number, models: number): SyntheticSeries[] {
  const tenantIds = Array.from({ length: tenants }, (_, index) => `tenant-${index}`)
  const pairs = Array.from({ length: models }, (_, index) => ({
    provider: index % 2 === 0 ? 'openai' : 'anthropic',
    model: `model-${index}`,
  }))
  const of = (
    name: string,
    { type, labels, buckets }: MetricDefinition,
    target: Record<string, string>,
  ): SyntheticSeries[] => {
    let sets: Record<string, string>[] = [target]
    const times = (more: readonly Record<string, string>[]) => {
      sets = sets.flatMap((set) => more.map((one) => ({ ...set, ...one })))
    }
    if (labels.includes('tenant_id')) times(tenantIds.map((tenant_id) => ({ tenant_id })))
    if (labels.includes('model')) times(labels.includes('provider') ? pairs : pairs.map(({ model }) => ({ model })))
    else if (labels.includes('provider')) times([{ provider: 'openai' }, { provider: 'anthropic' }])
    for (const label of labels)
      if (!['tenant_id', 'provider', 'model', 'environment', ...Object.keys(target)].includes(label))
        times(
          (OWN_VALUES[name]?.[label] ?? (label === 'reason' ? undefined : VALUES[label]) ?? ['x']).map((value) => ({
            [label]: value,
          })),
        )
    return sets.flatMap((set) => (type === 'histogram' ? histogram(name, set, buckets!) : [single(name, type, set)]))
  }
  return [
    ...Object.entries(METRICS).flatMap(([name, metric]) => of(name, metric, SIDECAR)),
    ...Object.entries(KONG_METRICS).flatMap(([name, metric]) => of(name, metric, KONG)),
    ...Object.entries(RECORDED).flatMap(([name, metric]) =>
      name in THINNED ? [] : of(name, metric, { environment: 'production' }),
    ),
    ...Object.entries(THINNED).flatMap(([name, counter]) => thinned(name, of(counter, METRICS[counter], SIDECAR))),
    ...[SIDECAR, KONG].map((target) => single('up', 'gauge', target)),
    ...['scrape_duration_seconds', 'scrape_samples_scraped', 'observer_process_resident_memory_bytes'].map((name) =>
      single(name, 'gauge', SIDECAR),
    ),
    single('observer_process_cpu_seconds_total', 'counter', SIDECAR),
    single('observer_process_start_time_seconds', 'gauge', SIDECAR),
  ]
}

/** What the recording rule makes of a counter, or of a histogram's buckets. */
function thinned(name: string, counters: readonly SyntheticSeries[]): SyntheticSeries[] {
  const isBucket = name.endsWith('_bucket:rate5m')
  return counters
    .filter(({ labels }) => isBucket === (labels.le !== undefined))
    .map(({ labels, amount }) => ({ labels: { ...labels, __name__: name }, kind: 'gauge', amount }))
}
function single(name: string, kind: 'counter' | 'gauge', labels: Record<string, string>): SyntheticSeries {
  return { labels: { __name__: name, ...labels }, kind, amount: kind === 'counter' ? 0.2 : 1 }
}
/** Of the observations each bucket gets its share. */
function histogram(name: string, labels: Record<string, string>, buckets: readonly number[]): SyntheticSeries[] {
  const bounds = [...buckets.map((bound) => (Number.isInteger(bound) ? `${bound}.0` : String(bound))), '+Inf']
  return [
    ...bounds.map((le, index) => ({
      labels: { __name__: `${name}_bucket`, ...labels, le },
      kind: 'counter' as const,
      amount: (0.2 * (index + 1)) / bounds.length,
    })),
    // The first token comes before the last one.
    {
      labels: { __name__: `${name}_sum`, ...labels },
      kind: 'counter',
      amount: name.includes('first_token') ? 0.1 : 0.4,
    },
    { labels: { __name__: `${name}_count`, ...labels }, kind: 'counter', amount: 0.2 },
  ]
}
