import { grown, metric, promql, quantile, rate, ratio, share, sum, sumBy } from '../monitoring/promql.ts'
import { makeBoard } from './board.ts'
import { graph, stat, table } from './panels.ts'
import { scoped, scopedBucket, thinned } from './scope.ts'
import { hitRatio, OUTCOME_COLOURS, orNone, orZeroOfCalls, SUCCESS_STEPS, successRatio } from './shared-queries.ts'

const tenantBoard = '/d/llm-tenant?${__url_time_range}&var-tenant=${__data.fields.Tenant}'
const agentBy = ['protocol', 'method'] as const
const agentCalls = sumBy(agentBy, grown(scoped('llm_agent_protocol_calls_total'), '24h'))

export const OVERVIEW = makeBoard({
  uid: 'llm-overview',
  title: 'LLM Platform Overview',
  description: 'Is the LLM platform well, what does it cost, and who uses it? For everybody; start here.',
  variables: ['environment', 'region', 'tenant', 'provider', 'model'],
  rows: [
    {
      panels: [
        stat({
          title: 'Total cost, last 24 h',
          description:
            'What the calls of the last 24 hours cost, from the ledger, as first priced. Calls without a price are not in it.',
          unit: 'currencyUSD',
          query: orZeroOfCalls([], sum(grown(scoped('llm_cost_usd_total'), '24h')), '24h'),
          links: [{ title: 'Cost & ceilings', url: '/d/llm-cost?${__url_time_range}' }],
        }),
        stat({
          title: 'Calls, last 24 h',
          description: 'LLM calls of the last 24 hours, whatever became of them.',
          unit: 'short',
          query: sum(grown(scoped('llm_calls_total'), '24h')),
        }),
        stat({
          title: 'Tokens, last 24 h',
          description: 'Tokens of all kinds of the last 24 hours. The kinds never overlap.',
          unit: 'short',
          query: orZeroOfCalls([], sum(grown(scoped('llm_tokens_total'), '24h')), '24h'),
        }),
        stat({
          title: 'Success rate, last 24 h',
          description:
            'Of the calls that reached a provider, those that did not end in a server error, a timeout or a rate limit of the provider. Promised: 99.5 %.',
          unit: 'percentunit',
          decimals: 2,
          query: successRatio([], '24h'),
          steps: SUCCESS_STEPS,
          links: [{ title: 'SLO', url: '/d/llm-slo' }],
        }),
        stat({
          title: 'Latency p95, last hour',
          description:
            '95 % of the calls took at most so long, streams to their end. Estimated from histogram buckets.',
          unit: 's',
          query: quantile(0.95, [], rate(scopedBucket('llm_latency_seconds'), '1h')),
          steps: ['green', [10, 'orange'], [30, 'red']],
          noValue: 'no calls',
        }),
        stat({
          title: 'Cache hits, last 24 h',
          description: 'Of the calls that a semantic cache looked up, the share that it answered. A hit costs nothing.',
          unit: 'percentunit',
          decimals: 1,
          query: hitRatio([], '24h'),
          noValue: 'no cache',
        }),
      ],
    },
    {
      panels: [
        graph({
          title: 'Calls by tenant',
          description: 'Calls a second of each tenant.',
          unit: 'reqps',
          stack: true,
          lines: [
            {
              query: sumBy(['tenant_id'], thinned('instance:llm_calls:rate5m')),
              legend: '{{tenant_id}}',
            },
          ],
          links: [
            {
              title: 'Tenant ${__field.labels.tenant_id}',
              url: '/d/llm-tenant?${__url_time_range}&var-tenant=${__field.labels.tenant_id}',
            },
          ],
        }),
        graph({
          title: 'Cost by provider',
          description: 'Dollars an hour at the speed of the moment, by provider.',
          unit: 'currencyUSD',
          stack: true,
          lines: [
            {
              query: promql`3600 * ${sumBy(['provider'], thinned('instance:llm_cost_usd:rate5m'))}`,
              legend: '{{provider}}',
            },
          ],
          links: [
            {
              title: 'Provider ${__field.labels.provider}',
              url: '/d/llm-providers?${__url_time_range}&var-provider=${__field.labels.provider}',
            },
          ],
        }),
        graph({
          title: 'Calls by outcome',
          description:
            'ok, or why not: client errors, missing rights, rate limits, guardrail blocks, server errors, timeouts, clients that hung up.',
          unit: 'reqps',
          stack: true,
          colours: OUTCOME_COLOURS,
          lines: [{ query: sumBy(['status'], thinned('instance:llm_calls:rate5m')), legend: '{{status}}' }],
        }),
        graph({
          title: 'Latency',
          description:
            'Of half, 95 % and 99 % of the calls, from the client’s point of view. Points are single traces: click one.',
          unit: 's',
          lines: [0.5, 0.95, 0.99].map((share) => ({
            query: quantile(share, [], thinned('instance:llm_latency_seconds_bucket:rate5m')),
            legend: `p${share * 100}`,
            ...(share === 0.99 && { exemplarsOf: scopedBucket('llm_latency_seconds') }),
          })),
        }),
      ],
    },
    {
      title: 'What needs attention',
      panels: [
        table({
          title: 'Alerts that fire',
          description:
            'Everything that fires now but the watchdog, of Prometheus’ alerts. Those over logs are Loki’s: Grafana’s Alerting lists both. Each has a runbook in docs/runbooks.',
          unit: 'none',
          width: 12,
          labels: {
            alertname: 'Alert',
            priority: 'Priority',
            tenant_id: 'Tenant',
            provider: 'Provider',
            model: 'Model',
          },
          columns: [
            {
              title: 'Number',
              query: {
                text: `count by (alertname, priority, tenant_id, provider, model) (${metric('ALERTS', { alertstate: 'firing', alertname: { not: 'LLMWatchdog' } }).text})`,
              },
            },
          ],
          noValue: 'nothing fires',
        }),
        table({
          title: 'Tenants, last 24 h',
          description:
            'Every tenant with its calls, cost, and of the calls that reached a provider the share that failed there. Click a tenant for its own board.',
          unit: 'short',
          width: 12,
          labels: { tenant_id: 'Tenant' },
          rowLinks: [{ title: 'Board of this tenant', url: tenantBoard }],
          columns: [
            {
              title: 'Cost',
              unit: 'currencyUSD',
              query: sumBy(['tenant_id'], grown(scoped('llm_cost_usd_total'), '24h')),
            },
            { title: 'Calls', query: sumBy(['tenant_id'], grown(scoped('llm_calls_total'), '24h')) },
            {
              title: 'Failed',
              unit: 'percentunit',
              decimals: 2,
              steps: ['text', [0.005, 'orange'], [0.05, 'red']],
              query: promql`1 - ${successRatio(['tenant_id'], '24h')}`,
            },
          ],
        }),
      ],
    },
    {
      title: 'Tools and agents',
      panels: [
        graph({
          title: 'Calls of tools and agents',
          description:
            'Calls of tool servers (MCP) and agents (A2A) through the gateway, by JSON-RPC method. No model answered them, and they cost nothing.',
          unit: 'reqps',
          lines: [
            {
              query: orNone(
                sumBy(['protocol', 'method'], rate(scoped('llm_agent_protocol_calls_total'), '$__rate_interval')),
                'protocol',
              ),
              legend: '{{protocol}} {{method}}',
            },
          ],
        }),
        table({
          title: 'Tools and agents, last 24 h',
          description:
            'By protocol and method: calls, the share that ended in an HTTP or JSON-RPC error, and the mean time to the end of the answer.',
          unit: 'short',
          width: 12,
          height: 8,
          labels: { protocol: 'Protocol', method: 'Method' },
          columns: [
            { title: 'Calls', query: promql`${agentCalls} > 0` },
            {
              title: 'Failed',
              unit: 'percentunit',
              decimals: 2,
              steps: ['text', [0.05, 'orange'], [0.2, 'red']],
              query: share(
                sumBy(agentBy, grown(scoped('llm_agent_protocol_calls_total', { outcome: 'error' }), '24h')),
                agentCalls,
              ),
            },
            {
              title: 'Mean time',
              unit: 's',
              query: ratio(sumBy(agentBy, grown(scoped('llm_agent_protocol_seconds_total'), '24h')), agentCalls),
            },
          ],
          noValue: 'no calls',
        }),
      ],
    },
  ],
})
