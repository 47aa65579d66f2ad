import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CALL_STATUSES, TOKEN_TYPES, UNPRICED_REASONS, USAGE_SOURCES } from '../sidecar/call.ts'
import { LOSS_REASONS } from '../sidecar/capture.ts'
import { METRICS, type MetricDefinition } from '../sidecar/metrics/metrics.ts'
import { spansPage } from './span-conventions.ts'

// `npm run docs` writes the pages that stand in tables of the code; with --check it fails where one is not what it would write.
export const DOCS = join(import.meta.dirname, '../docs')

export function metricsPage(): string {
  const rows = Object.entries(METRICS as Record<string, MetricDefinition>).map(
    ([name, { type, labels, help, buckets }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ') || '–'} | ${help}${buckets ? ` Buckets: ${buckets.join(' ')}.` : ''} |`,
  )
  const list = (values: readonly string[]) => values.map((value) => `\`${value}\``).join(', ')
  return `# Metrics
Generated from \`sidecar/metrics/metrics.ts\` by \`npm run docs\`. Served at \`/metrics\` of the sidecar; process metrics of Node stand beside them as \`observer_process_…\` and \`observer_nodejs_…\`.

| metric | type | labels | |
|---|---|---|---|
${rows.join('\n')}

- **status** is one of ${list(CALL_STATUSES)}. All of them exist at 0 from a series' first call on; every other counter of the ledger appears with its first event.
- **type** of tokens is one of ${list(TOKEN_TYPES)}. They never overlap.
- **source** of usage is one of ${list(USAGE_SOURCES)}.
- **reason** of unpriced calls is one of ${list(UNPRICED_REASONS)}.
- \`tenant_id\` and \`model\` are bounded (\`ledger.maxTenants\`, \`ledger.maxModels\`, together by \`ledger.maxSeries\`); what came later is \`__other__\`.
- A series that has not grown for seven days (\`ledger.idleSeriesDays\`) leaves \`/metrics\`, and comes back with its value. The shipped rules keep its last value meanwhile ([alerting](alerting.md#first-events-and-series-that-were-away)).
- **reason** of lost captures is one of \`gap\` (nobody told why), \`store_rolled_back\`, ${list(LOSS_REASONS)}.
- **direction** of adjustments is \`up\` or \`down\`. \`llm_cost_usd_total\` stays as first priced; with adjustments, a cost is
  \`sum by (tenant_id, provider, model) (llm_cost_usd_total) + sum by (tenant_id, provider, model) (llm_cost_adjustment_usd_total{direction="up"}) - sum by (tenant_id, provider, model) (llm_cost_adjustment_usd_total{direction="down"})\`.
- Savings are two lines: \`llm_savings_usd_total\` of a semantic cache, \`llm_cache_savings_usd_total\` of the provider's. Neither is part of a cost.
- Seconds that a semantic cache saved, an estimate: its answers, had they taken as long as the model's own of the same tenant and model,
  \`sum by (tenant_id, provider, model) (increase(kong_semantic_cache_answers_total{result="hit"}[1d])) * sum by (tenant_id, provider, model) (increase(kong_semantic_cache_answer_seconds_total{result="miss"}[1d])) / sum by (tenant_id, provider, model) (increase(kong_semantic_cache_answers_total{result="miss"}[1d])) - sum by (tenant_id, provider, model) (increase(kong_semantic_cache_answer_seconds_total{result="hit"}[1d]))\`.
- Share of a tenant's spend that is estimated, of the last day:
  \`sum by (tenant_id) (increase(llm_usage_source_cost_usd_total{source="estimated"}[1d])) / (sum by (tenant_id) (increase(llm_usage_source_cost_usd_total[1d])) > 0)\`; of its calls the same with \`llm_usage_source_calls_total\`. No result where there was none of it.
- A cost is the float64 nearest to the ledger's exact integer. An invoice comes from the ledger, never from PromQL: \`increase()\` loses the first increment of a new series.
`
}

export const PAGES: Readonly<Record<string, () => string>> = { 'metrics.md': metricsPage, 'spans.md': spansPage }

if (import.meta.main) {
  for (const [name, page] of Object.entries(PAGES)) {
    const file = join(DOCS, name)
    if (!process.argv.includes('--check')) writeFileSync(file, page())
    else if (!existsSync(file) || readFileSync(file, 'utf8') !== page()) {
      process.stderr.write(`docs/${name} is not what \`npm run docs\` writes: run it\n`)
      process.exitCode = 1
    }
  }
}
