import {
  grown,
  increase,
  type LabelOf,
  maxBy,
  metric,
  over,
  promql,
  rate,
  sum,
  sumBy,
  type TargetLabel,
  type Vector,
} from '../monitoring/promql.ts'
import { makeBoard } from './board.ts'
import { graph, stat, table } from './panels.ts'
import { scopedByTarget as scoped } from './scope.ts'
import { orNone } from './shared-queries.ts'

const RANGE = '$__range'
/** Of all that is scraped the sidecars alone: whatever their job is called. */
const sidecars = promql`count by (environment, job, instance) (${over('count_over_time', scoped('observer_spool_limit_bytes'), RANGE)})`
const captures = sum(grown(scoped('llm_calls_total'), RANGE))
const gaps = sum(grown(scoped('observer_capture_gaps_total'), RANGE))

export const TELEMETRY = makeBoard({
  uid: 'llm-telemetry',
  title: 'LLM Telemetry health',
  description:
    'Can the other boards be believed? What was lost on the way, where calls wait, and how loaded the sidecar is.',
  variables: ['environment', 'region'],
  rows: [
    {
      panels: [
        stat({
          title: 'Scrapes that succeeded',
          description: 'Share of Prometheus’ scrapes of the sidecar within the range. Promised: 99.9 %.',
          unit: 'percentunit',
          decimals: 3,
          steps: ['red', [0.99, 'orange'], [0.999, 'green']],
          query: {
            text: `avg(${over('avg_over_time', scoped('up'), RANGE).text} and on (environment, job, instance) ${sidecars.text})`,
          },
          noValue: 'none ever did',
        }),
        stat({
          title: 'Captures that arrived',
          description:
            'Of the calls that the tap numbered, those that came. What is missing is counted to the unit. Promised: 99.9 %.',
          unit: 'percentunit',
          decimals: 3,
          steps: ['red', [0.99, 'orange'], [0.999, 'green']],
          query: promql`1 - (${gaps} or vector(0)) / ((${captures} + (${gaps} or vector(0))) > 0)`,
          noValue: 'no calls',
        }),
        stat({
          title: 'Captures lost',
          description: 'Numbered by the tap and never received, within the range.',
          unit: 'short',
          steps: ['green', [1, 'red']],
          query: promql`${gaps} or vector(0)`,
        }),
        stat({
          title: 'Ledger behind',
          description: 'Age of the oldest call that is stored and not yet counted.',
          unit: 's',
          decimals: 1,
          steps: ['green', [10, 'orange'], [60, 'red']],
          query: maxBy([], scoped('observer_reader_lag_seconds', { reader: 'ledger' })),
        }),
        stat({
          title: 'Dead letters',
          description: 'Calls that a sink will never take, kept to be listed and replayed.',
          unit: 'short',
          steps: ['green', [1, 'orange']],
          query: sum(scoped('observer_dead_letters')),
        }),
        stat({
          title: 'Spool used',
          description: 'Size of the spool by its limit. At the limit readers other than the ledger are moved on.',
          unit: 'percentunit',
          decimals: 1,
          steps: ['green', [0.5, 'orange'], [0.8, 'red']],
          query: promql`max(${scoped('observer_spool_bytes')} / ${scoped('observer_spool_limit_bytes')})`,
        }),
      ],
    },
    {
      title: 'From Kong to the sidecar',
      panels: [
        graph({
          title: 'Captures received',
          description: 'By what became of them: stored, duplicate (sent again), invalid, refused, no LLM call.',
          unit: 'cps',
          stack: true,
          colours: { stored: 'green', duplicate: 'blue', not_llm: 'text', refused: 'orange', invalid: 'red' },
          lines: [
            {
              query: sumBy(['result'], rate(scoped('observer_captures_total'), '$__rate_interval')),
              legend: '{{result}}',
            },
          ],
        }),
        graph({
          title: 'Losses',
          description: 'Captures lost, by Kong node; dropped by the plugin, by reason; hooks of the tap that failed.',
          unit: 'short',
          softMax: 1,
          lines: [
            {
              query: sumBy(['node'], risen('observer_capture_gaps_total')),
              legend: 'lost at {{node}}',
            },
            {
              query: sumBy(['reason'], risen('observer_plugin_dropped_total')),
              legend: 'dropped: {{reason}}',
            },
            {
              query: promql`${sumBy(['node'], risen('observer_tap_errors_total'))} or vector(0)`,
              legend: 'tap errors {{node}}',
            },
          ],
        }),
        table({
          title: 'Routes without the tap',
          description:
            'Their calls rest on Kong’s own numbers, which are wrong for streams. README: Enable it on your routes.',
          unit: 'short',
          width: 12,
          height: 6,
          labels: { route: 'Route' },
          columns: [
            { title: 'Calls', query: promql`${sumBy(['route'], grown(scoped('observer_untapped_total'), RANGE))} > 0` },
          ],
          noValue: 'every route has it',
        }),
        graph({
          title: 'Requests refused',
          description: 'By the sidecar, by reason. The plugin keeps what was refused and sends it again.',
          unit: 'cps',
          softMax: 1,
          height: 6,
          lines: [
            {
              query: sumBy(['reason'], rate(scoped('observer_requests_refused_total'), '$__rate_interval')),
              legend: '{{reason}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'From the sidecar to the sinks',
      panels: [
        graph({
          title: 'Lag',
          description: 'Age of the oldest call that a reader has not settled.',
          unit: 's',
          softMax: 10,
          lines: [{ query: maxBy(['reader'], scoped('observer_reader_lag_seconds')), legend: '{{reader}}' }],
        }),
        graph({
          title: 'Calls that wait',
          description: 'In the spool, for each reader.',
          unit: 'short',
          softMax: 10,
          lines: [{ query: sumBy(['reader'], scoped('observer_reader_lag_calls')), legend: '{{reader}}' }],
        }),
        graph({
          title: 'Calls settled at the sinks',
          description: 'sent, sampled out, dropped or rejected, by sink.',
          unit: 'cps',
          lines: [
            {
              query: sumBy(['sink', 'outcome'], rate(scoped('observer_sink_calls_total'), '$__rate_interval')),
              legend: '{{sink}} {{outcome}}',
            },
          ],
        }),
        table({
          title: 'Books of the sinks',
          description:
            'Calls of the range by sink and outcome. Ledger = sent + sampled out + dropped + rejected + waiting.',
          unit: 'short',
          width: 12,
          height: 8,
          labels: { sink: 'Sink', outcome: 'Outcome', reason: 'Reason' },
          columns: [
            {
              title: 'Calls',
              query: promql`${sumBy(['sink', 'outcome', 'reason'], grown(scoped('observer_sink_calls_total'), RANGE))} > 0`,
            },
          ],
        }),
        graph({
          title: 'Batches sent again',
          description: 'By sink and reason. Retries cost nothing but time.',
          unit: 'cps',
          softMax: 1,
          lines: [
            {
              query: orNone(
                sumBy(['sink', 'reason'], rate(scoped('observer_sink_retries_total'), '$__rate_interval')),
                'sink',
              ),
              legend: '{{sink}} {{reason}}',
            },
          ],
        }),
        graph({
          title: 'Spool',
          description: 'Its size with the write-ahead log, and its limit.',
          unit: 'bytes',
          lines: [
            { query: maxBy(['instance'], scoped('observer_spool_bytes')), legend: '{{instance}}' },
            { query: maxBy([], scoped('observer_spool_limit_bytes')), legend: 'limit' },
          ],
        }),
      ],
    },
    {
      title: 'The sidecar itself',
      panels: [
        graph({
          title: 'CPU',
          description: 'Cores in use.',
          unit: 'short',
          width: 8,
          lines: [
            {
              query: sumBy(['instance'], rate(scoped('observer_process_cpu_seconds_total'), '$__rate_interval')),
              legend: '{{instance}}',
            },
          ],
        }),
        graph({
          title: 'Memory',
          description: 'Resident memory.',
          unit: 'bytes',
          width: 8,
          lines: [
            { query: maxBy(['instance'], scoped('observer_process_resident_memory_bytes')), legend: '{{instance}}' },
          ],
        }),
        graph({
          title: 'Event-loop delay',
          description: 'How late the sidecar’s event loop is: over half a second it is overloaded.',
          unit: 's',
          width: 8,
          lines: [{ query: maxBy(['statistic'], scoped('observer_event_loop_lag_seconds')), legend: '{{statistic}}' }],
        }),
        graph({
          title: 'Names beyond the limits, malformed amounts',
          description: 'Calls counted under __other__, and amounts of providers that cannot be. Both should be zero.',
          unit: 'short',
          softMax: 1,
          width: 12,
          height: 6,
          lines: [
            {
              query: promql`${sumBy(['label'], risen('observer_labels_folded_total'))} or vector(0)`,
              legend: 'folded {{label}}',
            },
            {
              query: promql`${sumBy(['field'], risen('observer_malformed_amounts_total'))} or vector(0)`,
              legend: 'malformed {{field}}',
            },
          ],
        }),
        graph({
          title: 'Token estimates',
          description: 'Calls whose tokens were counted from the text, or should have been.',
          unit: 'cps',
          width: 12,
          height: 6,
          lines: [
            {
              query: sumBy(['outcome'], rate(scoped('observer_estimates_total'), '$__rate_interval')),
              legend: '{{outcome}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'The watchers',
      panels: [
        graph({
          title: 'Scrape duration',
          description: 'How long the sidecar takes to answer a scrape.',
          unit: 's',
          width: 8,
          height: 6,
          lines: [{ query: maxBy(['instance'], ofSidecars('scrape_duration_seconds')), legend: '{{instance}}' }],
        }),
        graph({
          title: 'Series of the sidecar',
          description: 'Samples of a scrape. They grow with tenants × models.',
          unit: 'short',
          width: 8,
          height: 6,
          lines: [{ query: maxBy(['instance'], ofSidecars('scrape_samples_scraped')), legend: '{{instance}}' }],
        }),
        graph({
          title: 'Rules and notifications that failed',
          description: 'Of Prometheus and Alertmanager. Both should be zero.',
          unit: 'short',
          softMax: 1,
          width: 8,
          height: 6,
          lines: [
            {
              query: promql`${sum(increase(metric('prometheus_rule_evaluation_failures_total'), '$__rate_interval'))} or vector(0)`,
              legend: 'rules',
            },
            {
              query: promql`${sum(increase(metric('alertmanager_notifications_failed_total'), '$__rate_interval'))} or vector(0)`,
              legend: 'notifications',
            },
          ],
        }),
      ],
    },
  ],
})

function ofSidecars(name: 'scrape_duration_seconds' | 'scrape_samples_scraped'): Vector<TargetLabel> {
  return {
    text: `${scoped(name).text} and on (environment, job, instance) ${scoped('observer_spool_limit_bytes').text}`,
  }
}

/** The ledger's counters outlive their process, and a series appears with its first event: which `increase()` would lose. */
function risen<Name extends LedgerCounter>(name: Name): Vector<LabelOf<Name>> {
  const of = scoped(name).text
  const wellScraped = `${scoped('up').text} offset $__rate_interval == 1`
  return {
    text: `((${of} unless ${of} offset $__rate_interval) and on (environment, job, instance) (${wellScraped})) or increase(${of}[$__rate_interval])`,
  }
}
type LedgerCounter =
  `observer_${'capture_gaps' | 'plugin_dropped' | 'tap_errors' | 'labels_folded' | 'malformed_amounts'}_total`
