import { beforeAll, describe, expect, it } from 'vitest'
import { binariesPresent } from '../dev/servers/binary.ts'
import {
  BEFORE,
  ERRORS,
  oneErrorEach,
  ordinaryLife,
  restarted,
  SCRAPES,
  unanswered,
  unseen,
  young,
} from './testing/ordinary-life.ts'
import { type RuleTest, testRules } from './testing/promtool.ts'
import { counter, type Series } from './testing/scenario.ts'

/** Each kind of noise alone, before all alerts at once. A week of all of them together is in noise.servers.test.ts. */
const life = ordinaryLife()
const KINDS: Record<string, readonly Series[]> = {
  'nothing at all': life,
  'a restart of the sidecar, of 30 s': restarted([...life, ...oneErrorEach(true)], 'llm-observer', 2),
  'a restart of Kong, of 30 s': restarted([...life, ...oneErrorEach(true)], 'kong', 2),
  'a failed scrape of the sidecar': unanswered(life, 'llm-observer', 1),
  'a failed scrape of Kong': unanswered(life, 'kong', 1),
  'Prometheus away for two minutes': unseen([...life, ...oneErrorEach(true)], 8),
  'a young platform, at full speed at once': young(life),
  'a young platform whose first scrape tells of one error each': [...young(life), ...oneErrorEach(false)],
  'one error of each kind': [...life, ...oneErrorEach(true)],
  'one error of each kind, in a series that appears with it': [...life, ...oneErrorEach(false)],
  // Only that one call is in it.
  'a tenant whose first call fails, and is its only one': [
    ...life,
    {
      series: counter('llm_calls_total', { ...FIRST(), status: 'server_error' }, []).series,
      values: `_x${BEFORE} 1x${SCRAPES - BEFORE}`,
    },
    {
      series: counter('llm_calls_total', { ...FIRST(), status: 'ok' }, []).series,
      values: `_x${BEFORE} 0x${SCRAPES - BEFORE}`,
    },
  ],
}
function FIRST() {
  return {
    environment: 'prod',
    region: 'eu',
    job: 'llm-observer',
    instance: 'sidecar:8086',
    tenant_id: 'new',
    provider: 'anthropic',
    model: 'claude',
  }
}

/** That alerts do fire in the same life, where it is no noise. */
const TROUBLE = 'trouble'
const trouble = unanswered(
  [
    ...life,
    ...ERRORS.filter(([name]) => name.startsWith('observer_sink')).map(([name, labels]) =>
      counter(name, labels, [
        [BEFORE, 0],
        [SCRAPES - BEFORE, 1],
      ]),
    ),
  ],
  'llm-observer',
  20,
  SCRAPES - 100,
)
const FIRED = ['LLMDeadLetters', 'LLMFreshnessBurnFast', 'LLMFreshnessBurnSlow', 'LLMObserverDown', 'LLMSinkLosesCalls']

/** All kinds in one run of promtool, each in an environment of its own: no rule sums over several. */
function noiseTest(): RuleTest {
  const kinds = Object.entries({ ...KINDS, [TROUBLE]: trouble })
  const fired = (environment: string) =>
    `max by (alertname) (max_over_time(ALERTS{environment="${environment}", alertstate="firing"}[2h]))`
  return {
    name: 'noise',
    interval: '15s',
    input_series: kinds.flatMap(([kind, series]) =>
      series.map((one) => ({ ...one, series: one.series.replace('environment="prod"', `environment="${kind}"`) })),
    ),
    promql_expr_test: kinds.map(([kind]) => ({
      expr: fired(kind),
      eval_time: `${(SCRAPES - 1) * 15}s`,
      exp_samples: (kind === TROUBLE ? FIRED : []).map((alertname) => ({
        labels: `{alertname="${alertname}"}`,
        value: 1,
      })),
    })),
  }
}

describe.runIf(binariesPresent('promtool'))('ordinary noise', () => {
  let complaints: string
  beforeAll(async () => {
    complaints = await testRules([noiseTest()], '15s')
  })
  /** Promtool tells the expression that failed, and two lines on what was expected and got. */
  const of = (kind: string) => complaints.split('expr: ').filter((one) => one.includes(`environment=\\"${kind}\\"`))

  it.each(Object.keys(KINDS))('no alert fires after %s', (kind) => {
    expect(of(kind)).toEqual([])
  })
  it('what is no noise fires in the same life', () => {
    expect(of(TROUBLE)).toEqual([])
    expect(complaints).toBe('')
  })
})
