import { grown, increase, promql, ratio, share, sum, sumBy } from '../monitoring/promql.ts'
import { makeBoard } from './board.ts'
import { graph, HOURLY_POINTS, stat, table } from './panels.ts'
import { scoped, thinned } from './scope.ts'
import { hitRatio, orNone, orZeroOfCalls } from './shared-queries.ts'

const RANGE = '$__range'
const events = scoped('llm_guardrail_events_total')

export const GUARDRAILS = makeBoard({
  uid: 'llm-guardrails',
  title: 'LLM Guardrails & quality',
  description:
    'What was blocked or masked, for whom, and by which guardrail? Which answers were refused or cut off? For security and product owners.',
  variables: ['environment', 'region', 'tenant', 'provider', 'model'],
  rows: [
    {
      panels: [
        stat({
          title: 'Guardrail events',
          description: 'Of all guardrails within the range: Kong’s own and the providers’.',
          unit: 'short',
          query: orZeroOfCalls([], sum(grown(events, RANGE)), RANGE),
        }),
        stat({
          title: 'Blocked',
          description: 'Events that stopped a prompt or an answer.',
          unit: 'short',
          query: orZeroOfCalls(
            [],
            sum(grown(scoped('llm_guardrail_events_total', { action: 'blocked' }), RANGE)),
            RANGE,
          ),
        }),
        stat({
          title: 'Masked',
          description: 'Events in which personal data were masked or replaced and the call went on.',
          unit: 'short',
          query: orZeroOfCalls(
            [],
            sum(grown(scoped('llm_guardrail_events_total', { action: 'masked' }), RANGE)),
            RANGE,
          ),
        }),
        stat({
          title: 'Calls blocked',
          description: 'Share of the calls that a guardrail ended.',
          unit: 'percentunit',
          decimals: 2,
          query: ratio(
            sum(grown(scoped('llm_calls_total', { status: 'blocked' }), RANGE)),
            sum(grown(scoped('llm_calls_total'), RANGE)),
          ),
          noValue: 'no calls',
        }),
        stat({
          title: 'Refused by the model',
          description: 'Share of the answers that the model refused or the provider filtered.',
          unit: 'percentunit',
          decimals: 2,
          query: share(
            sum(grown(scoped('llm_finished_answers_total', { reason: { matches: 'refusal|content_filter' } }), RANGE)),
            sum(grown(scoped('llm_finished_answers_total'), RANGE)),
          ),
          noValue: 'no answers',
        }),
        stat({
          title: 'Forged tenants',
          description:
            'Calls whose client named another tenant than Kong authenticated. They are charged to the real one.',
          unit: 'short',
          steps: ['green', [1, 'orange']],
          query: orZeroOfCalls([], sum(grown(scoped('llm_tenant_claims_refused_total'), RANGE)), RANGE),
        }),
      ],
    },
    {
      panels: [
        graph({
          title: 'Events by guardrail',
          points: HOURLY_POINTS,
          description: 'Events of the last hour at each moment, by guardrail and action.',
          unit: 'short',
          softMax: 1,
          lines: [
            {
              query: orNone(sumBy(['guardrail', 'action'], increase(events, '1h')), 'guardrail'),
              legend: '{{guardrail}} {{action}}',
            },
          ],
        }),
        graph({
          title: 'Events by tenant',
          points: HOURLY_POINTS,
          description: 'Events of the last hour at each moment.',
          unit: 'short',
          softMax: 1,
          lines: [
            {
              query: orNone(sumBy(['tenant_id'], increase(events, '1h')), 'tenant_id'),
              legend: '{{tenant_id}}',
            },
          ],
        }),
        table({
          title: 'Who met which guardrail',
          description: 'Events of the range. What was said is not here: it is in the trace, redacted.',
          unit: 'short',
          labels: { tenant_id: 'Tenant', guardrail: 'Guardrail', stage: 'Stage', action: 'Action' },
          columns: [
            {
              title: 'Events',
              query: promql`${sumBy(['tenant_id', 'guardrail', 'stage', 'action'], grown(events, RANGE))} > 0`,
            },
          ],
          noValue: 'no events',
        }),
      ],
    },
    {
      title: 'Quality of answers',
      panels: [
        graph({
          title: 'Why models stopped',
          description: 'Answers a second: stop, cut off at the limit of tokens, tool calls, filtered, refused, failed.',
          unit: 'cps',
          stack: true,
          colours: {
            stop: 'green',
            tool_calls: 'blue',
            length: 'orange',
            refusal: 'red',
            content_filter: 'dark-red',
            error: 'purple',
            other: 'text',
          },
          lines: [{ query: sumBy(['reason'], thinned('instance:llm_finished_answers:rate5m')), legend: '{{reason}}' }],
        }),
        graph({
          title: 'Semantic-cache hit rate by tenant',
          points: HOURLY_POINTS,
          description:
            'Of the calls that a semantic cache looked up, those that it answered, over the last hour at each moment.',
          unit: 'percentunit',
          max: 1,
          lines: [{ query: hitRatio(['tenant_id'], '1h'), legend: '{{tenant_id}}' }],
        }),
      ],
    },
  ],
})
