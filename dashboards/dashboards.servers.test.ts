import { describe, expect, it } from 'vitest'
import { binariesPresent } from '../dev/servers/binary.ts'
import { testRules } from '../monitoring/testing/promtool.ts'
import { variablesOf } from './testing/ask-boards.ts'
import { COMMITTED_BOARDS, panelsOf } from './testing/committed-boards.ts'
import { grafanaQuery } from './testing/grafana-query.ts'

describe.skipIf(!binariesPresent('promtool'))('LLM Telemetry health', () => {
  it('shows the first loss of a node, which no series was there to be increased by', async () => {
    const board = COMMITTED_BOARDS.find(({ uid }) => uid === 'llm-telemetry')!
    const { targets } = panelsOf(board).find(({ title }) => title === 'Losses')!
    const asked = { range: { from: 0, to: 900 }, variables: variablesOf(board, '') }
    const { expr } = grafanaQuery(targets![0]!.expr, asked)
    const target = 'job="llm-observer", instance="sidecar:8086", environment="production", region="local"'
    const at = (time: string, value?: number) => ({
      expr,
      eval_time: time,
      exp_samples: value === undefined ? [] : [{ labels: '{reason="gap"}', value }],
    })
    const test = {
      name: 'losses',
      interval: '15s',
      input_series: [
        { series: `up{${target}}`, values: '1x30' },
        { series: `observer_captures_lost_total{${target}, node="kong-1", reason="gap"}`, values: '_x11 3x19' },
      ],
      promql_expr_test: [at('2m30s'), at('2m45s', 3), at('3m30s', 3), at('3m45s', 0)],
    }
    expect(await testRules([test], '15s', [])).toBe('')
  })
})
