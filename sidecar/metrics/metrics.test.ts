import { describe, expect, it } from 'vitest'
import { LEDGER_SERIES } from '../store/totals.ts'
import { type LabelsOf, METRICS, type MetricDefinition, type MetricName } from './metrics.ts'

describe('the METRICS table', () => {
  const table = Object.entries(METRICS as Record<string, MetricDefinition>)

  it('has names and labels as Prometheus wants them, and a help text for each', () => {
    for (const [name, { type, help, labels, buckets }] of table) {
      expect(name).toMatch(/^(llm|kong|observer)_[a-z_]+$/)
      expect(name.endsWith('_total')).toBe(type === 'counter')
      expect(help).toMatch(/^[A-Z1].{10,}\.$/)
      for (const label of labels) expect(label).toMatch(/^[a-z_]+$/)
      expect(buckets !== undefined).toBe(type === 'histogram')
      expect(buckets ?? []).toEqual([...(buckets ?? [])].sort((a, b) => a - b))
    }
    expect(METRICS.llm_latency_seconds.buckets).toEqual(
      expect.arrayContaining([0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300]),
    )
  })

  it('serves every series of the ledger once, with its labels in their order', () => {
    const shown = table.flatMap(([name, { series }]) => (series === undefined ? [] : [{ name, series }]))
    expect(shown.map(({ series }) => series).sort()).toEqual(Object.keys(LEDGER_SERIES).sort())
    const renamed: Record<string, string> = { tenant: 'tenant_id', kind: 'label' }
    for (const { name, series } of shown)
      expect(METRICS[name as MetricName].labels, name).toEqual(
        LEDGER_SERIES[series].map((label: string) => (series === 'plugin_errors' ? label : (renamed[label] ?? label))),
      )
  })

  it('lets only the labels of a metric be written', () => {
    const write = <M extends MetricName>(_name: M, labels: Record<LabelsOf<M>, string>) => labels
    write('llm_cost_usd_total', { tenant_id: 'a', provider: 'b', model: 'c' })
    // @ts-expect-error a label that the metric does not have
    write('llm_cost_usd_total', { tenant_id: 'a', provider: 'b', model: 'c', status: 'ok' })
    // @ts-expect-error a label is missing
    write('llm_cost_usd_total', { tenant_id: 'a', provider: 'b' })
  })
})
