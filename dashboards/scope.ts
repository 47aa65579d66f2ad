import {
  bucket,
  count,
  type Duration,
  type LabelOf,
  type Matcher,
  type Matchers,
  type MetricName,
  metric,
  over,
  type Selector,
  TABLES,
  TARGET_LABELS,
  total,
  type Vector,
} from '../monitoring/promql.ts'
import { RECORDED, type ThinnedName } from '../monitoring/recorded.ts'

/** Variables of a board by the label that they narrow. */
const VARIABLES: Readonly<Record<string, string>> = {
  job: 'job',
  instance: 'instance',
  environment: 'environment',
  region: 'region',
  tenant_id: 'tenant',
  provider: 'provider',
  model: 'model',
}

/** What the reader has chosen at the top of the board, for the labels that the metric has. */
function chosen(name: MetricName): Record<string, Matcher> {
  const own: readonly string[] = TABLES[name].labels
  const known = Object.hasOwn(RECORDED, name) ? own : [...TARGET_LABELS, ...own]
  return Object.fromEntries(
    Object.entries(VARIABLES)
      .filter(([label]) => known.includes(label))
      .map(([label, variable]) => [label, { matches: `$${variable}` }]),
  )
}

/** By the target alone: for boards that do not ask for tenant, provider and model. */
export function scopedByTarget<Name extends MetricName>(
  name: Name,
  matchers: Matchers<LabelOf<Name>> = {},
): Selector<LabelOf<Name>> {
  const byTarget = Object.entries(chosen(name)).filter(([label]) => TARGET_LABELS.some((one) => one === label))
  return metric(name, { ...Object.fromEntries(byTarget), ...matchers } as Matchers<LabelOf<Name>>)
}
export function scoped<Name extends MetricName>(
  name: Name,
  matchers: Matchers<LabelOf<Name>> = {},
): Selector<LabelOf<Name>> {
  return metric(name, { ...chosen(name), ...matchers } as Matchers<LabelOf<Name>>)
}
/** What `rate(counter[window])` is, of a twelfth of the samples; never sharper than five minutes. For lines, not for totals. */
export function thinned<Name extends ThinnedName>(
  name: Name,
  window: Duration = '$__rate_interval',
  matchers: Matchers<LabelOf<Name>> = {},
): Vector<LabelOf<Name>> {
  return over('avg_over_time', scoped(name, matchers), window)
}
type Histogram = Parameters<typeof bucket>[0]
export function scopedBucket<Name extends Histogram>(name: Name, matchers: Matchers<LabelOf<Name> | 'le'> = {}) {
  return bucket(name, { ...chosen(name), ...matchers } as Matchers<LabelOf<Name> | 'le'>)
}
export function scopedCount<Name extends Histogram>(name: Name, matchers: Matchers<LabelOf<Name>> = {}) {
  return count(name, { ...chosen(name), ...matchers } as Matchers<LabelOf<Name>>)
}
export function scopedTotal<Name extends Histogram>(name: Name, matchers: Matchers<LabelOf<Name>> = {}) {
  return total(name, { ...chosen(name), ...matchers } as Matchers<LabelOf<Name>>)
}
