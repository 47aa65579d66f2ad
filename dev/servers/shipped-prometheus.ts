import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const SHIPPED = join(import.meta.dirname, '../../deploy/prometheus')

interface ScrapeJob {
  job_name: string
  static_configs: { targets: string[]; labels?: Record<string, string> }[]
}
export interface PrometheusFile {
  global: Record<string, unknown>
  rule_files: string[]
  alerting: { alertmanagers: { static_configs: { targets: string[] }[] }[] }
  scrape_configs: ScrapeJob[]
}

/**
 * deploy/prometheus/prometheus.yml with its own intervals, rules and labels: only addresses are other ones. A job that
 * `targets` does not name is left out.
 */
export function shippedPrometheus(options: {
  /** host:port by job. */
  targets: Readonly<Record<string, string>>
  /** host:port; none: alerts are not sent. */
  alertmanager?: string
}): PrometheusFile {
  const file = parse(readFileSync(join(SHIPPED, 'prometheus.yml'), 'utf8')) as PrometheusFile
  const unknown = Object.keys(options.targets).filter((job) => !file.scrape_configs.some((one) => one.job_name === job))
  if (unknown.length > 0) throw new Error(`deploy/prometheus/prometheus.yml has no job ${unknown.join(', ')}`)
  return {
    ...file,
    rule_files: [join(SHIPPED, 'rules/*.yaml')],
    alerting: {
      alertmanagers:
        options.alertmanager === undefined ? [] : [{ static_configs: [{ targets: [options.alertmanager] }] }],
    },
    scrape_configs: file.scrape_configs.flatMap((job) => {
      const target = options.targets[job.job_name]
      if (target === undefined) return []
      return [{ ...job, static_configs: job.static_configs.map((one) => ({ ...one, targets: [target] })) }]
    }),
  }
}
