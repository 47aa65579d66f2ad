import {
  aggregate,
  grown,
  increase,
  increaseWithFirst,
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
const sidecars = promql`count by (environment, job, instance) (${over('count_over_time', scoped('observer_log_limit_bytes'), RANGE)})`
const calls = sum(grown(scoped('llm_calls_total'), RANGE))
/** What came after all was counted as lost before. The reasons stand at 0 from the start. */
const lost = promql`${sum(grown(scoped('observer_captures_lost_total'), RANGE))} - (${sum(grown(scoped('observer_captures_late_total'), RANGE))} or vector(0))`

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
            'Of the calls that Kong saw, those that are counted. What is missing is known to the unit. Promised: 99.9 %.',
          unit: 'percentunit',
          decimals: 3,
          steps: ['red', [0.99, 'orange'], [0.999, 'green']],
          query: promql`1 - ${lost} / ((${calls} + ${lost}) > 0)`,
          noValue: 'no calls',
        }),
        stat({
          title: 'Captures lost',
          description: 'Numbered and never counted, within the range, less those that came after all.',
          unit: 'short',
          steps: ['green', [1, 'red']],
          query: lost,
        }),
        stat({
          title: 'Stores that write',
          description:
            'Share of the sidecars whose store can write. One that cannot refuses captures; the plugin keeps them some minutes.',
          unit: 'percentunit',
          decimals: 0,
          steps: ['red', [1, 'green']],
          query: aggregate('avg', [], scoped('observer_store_writable')),
        }),
        stat({
          title: 'Dead letters',
          description: 'Calls that a sink will never take, kept to be listed and replayed.',
          unit: 'short',
          steps: ['green', [1, 'orange']],
          query: sum(scoped('observer_dead_letters')),
        }),
        stat({
          title: 'Log used',
          description:
            'Calls that wait for sinks, by the limit. At it the oldest are dropped for the sinks that lag; all are counted.',
          unit: 'percentunit',
          decimals: 1,
          steps: ['green', [0.5, 'orange'], [0.8, 'red']],
          query: promql`max(${scoped('observer_log_bytes')} / ${scoped('observer_log_limit_bytes')})`,
        }),
      ],
    },
    {
      title: 'From Kong to the sidecar',
      panels: [
        graph({
          title: 'Captures received',
          description:
            'By what became of them: stored, duplicate (sent again), invalid, refused (come again), late_refused (too late to tell), not_llm.',
          unit: 'cps',
          stack: true,
          colours: {
            stored: 'green',
            duplicate: 'blue',
            not_llm: 'text',
            refused: 'orange',
            late_refused: 'dark-orange',
            invalid: 'red',
          },
          lines: [
            {
              query: sumBy(['result'], rate(scoped('observer_captures_total'), '$__rate_interval')),
              legend: '{{result}}',
            },
          ],
        }),
        graph({
          title: 'Losses',
          description:
            'Captures lost, by reason (gap: nobody told why); that came after all; that came too late to tell whether they are stored; hooks of the tap that failed.',
          unit: 'short',
          softMax: 1,
          lines: [
            { query: sumBy(['reason'], risen('observer_captures_lost_total')), legend: 'lost: {{reason}}' },
            {
              query: orNone(sumBy(['node'], risen('observer_captures_late_total')), 'node'),
              legend: 'came late: {{node}}',
            },
            {
              query: orNone(sumBy(['node'], risen('observer_captures_late_refused_total')), 'node'),
              legend: 'too late: {{node}}',
            },
            {
              query: orNone(sumBy(['node'], risen('observer_tap_errors_total')), 'node'),
              legend: 'tap errors: {{node}}',
            },
          ],
        }),
        graph({
          title: 'Errors of the plugin',
          description: 'That the plugin tells of itself, by kind. The sidecar’s log has its words.',
          unit: 'short',
          softMax: 1,
          height: 6,
          lines: [
            {
              query: orNone(sumBy(['kind'], risen('observer_plugin_errors_total')), 'kind'),
              legend: '{{kind}}',
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
      title: 'The store',
      panels: [
        graph({
          title: 'Size of the store',
          description:
            'The file; its write-ahead log, which stays small while reads are short; calls that wait for sinks, their limit, and dead letters.',
          unit: 'bytes',
          lines: [
            { query: maxBy(['instance'], scoped('observer_store_file_bytes')), legend: 'file {{instance}}' },
            {
              query: maxBy(['instance'], scoped('observer_store_wal_bytes')),
              legend: 'write-ahead log {{instance}}',
            },
            { query: maxBy(['instance'], scoped('observer_log_bytes')), legend: 'waiting calls {{instance}}' },
            { query: maxBy([], scoped('observer_log_limit_bytes')), legend: 'limit of waiting calls' },
            {
              query: maxBy(['instance'], scoped('observer_dead_letter_bytes')),
              legend: 'dead letters {{instance}}',
            },
          ],
        }),
        graph({
          title: 'Trouble of the store',
          description:
            'Transactions that failed and are tried again, by cause; rows set aside for a wrong checksum; acknowledged captures that are not in it, until an operator confirms that it went back. All should be zero.',
          unit: 'short',
          softMax: 1,
          lines: [
            {
              query: orNone(
                sumBy(['cause'], increase(scoped('observer_store_write_failures_total'), '$__rate_interval')),
                'cause',
              ),
              legend: 'write failures: {{cause}}',
            },
            {
              query: sumBy(['instance'], increase(scoped('observer_store_damaged_rows_total'), '$__rate_interval')),
              legend: 'damaged rows {{instance}}',
            },
            {
              query: maxBy(['instance'], scoped('observer_store_rolled_back_captures')),
              legend: 'went back: {{instance}}',
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
          description: 'Age of the oldest call that a sink has not settled.',
          unit: 's',
          softMax: 10,
          lines: [{ query: maxBy(['sink'], scoped('observer_sink_lag_seconds')), legend: '{{sink}}' }],
        }),
        graph({
          title: 'Calls that wait',
          description: 'In the log, for each sink; and of them those that are held for one tenant’s key or limit.',
          unit: 'short',
          softMax: 10,
          lines: [
            { query: sumBy(['sink'], scoped('observer_sink_lag_calls')), legend: '{{sink}}' },
            { query: sumBy(['sink'], scoped('observer_sink_held_calls')), legend: '{{sink}} held' },
          ],
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
            'Calls of the range by sink and outcome, and those that wait now. All time: ledger = sent + sampled out + dropped + rejected + waiting.',
          unit: 'short',
          width: 12,
          height: 8,
          labels: { sink: 'Sink', outcome: 'Outcome', reason: 'Reason' },
          columns: [
            {
              title: 'Calls',
              query: {
                text: `(${sumBy(['sink', 'outcome', 'reason'], grown(scoped('observer_sink_calls_total'), RANGE)).text}) > 0 or label_replace(${sumBy(['sink'], scoped('observer_sink_lag_calls')).text} > 0, "outcome", "waiting", "", "")`,
              },
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
              query: orNone(sumBy(['label'], risen('observer_labels_folded_total')), 'label'),
              legend: 'folded {{label}}',
            },
            {
              query: orNone(sumBy(['field'], risen('observer_malformed_amounts_total')), 'field'),
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
          description:
            'Samples of a scrape; lines that the admitted tenants, providers and models may make; beyond the limit names fold into __other__.',
          unit: 'short',
          width: 8,
          height: 6,
          lines: [
            { query: maxBy(['instance'], ofSidecars('scrape_samples_scraped')), legend: 'scraped {{instance}}' },
            { query: maxBy(['instance'], scoped('observer_series')), legend: 'admitted {{instance}}' },
            { query: maxBy([], scoped('observer_series_limit')), legend: 'limit' },
          ],
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
    text: `${scoped(name).text} and on (environment, job, instance) ${scoped('observer_log_limit_bytes').text}`,
  }
}

/** The ledger's counters outlive their process, and a series appears with its first event: which `increase()` would lose. */
function risen<Name extends LedgerCounter>(name: Name): Vector<LabelOf<Name>> {
  return increaseWithFirst(scoped(name), '$__rate_interval', scoped('up'))
}
type LedgerCounter =
  `observer_${'captures_lost' | 'captures_late' | 'captures_late_refused' | 'plugin_errors' | 'tap_errors' | 'labels_folded' | 'malformed_amounts'}_total`
