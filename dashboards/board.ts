import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { metric, over, promql } from '../monitoring/promql.ts'
import { type PanelBuilder, PROMETHEUS } from './panels.ts'

export type VariableName = 'environment' | 'region' | 'tenant' | 'provider' | 'model'
export interface BoardDefinition {
  uid: `llm-${string}`
  title: string
  /** The question that the board answers, and for whom. */
  description: string
  from?: string
  /** The metric whose targets and labels the variables offer. */
  of?: 'llm_calls_total' | 'kong_http_requests_total' | 'up'
  variables: readonly VariableName[]
  /** A tenant's own board has exactly one. */
  oneTenant?: boolean
  logs?: boolean
  rows: readonly { title?: string; panels: readonly PanelBuilder[] }[]
}

const LABELS: Record<VariableName, { label: string; title: string }> = {
  environment: { label: 'environment', title: 'Environment' },
  region: { label: 'region', title: 'Region' },
  tenant: { label: 'tenant_id', title: 'Tenant' },
  provider: { label: 'provider', title: 'Provider' },
  model: { label: 'model', title: 'Model' },
}
const TAG = 'llm-observer'
/** As scope.ts writes it. */
const SCOPE_BY_TENANT = 'tenant_id=~"$tenant"'

/** What all boards have in common: sources, variables, links to each other, annotations. */
export function makeBoard(definition: BoardDefinition): Dashboard {
  const { uid, title, description, variables, of = 'llm_calls_total' } = definition
  const board = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .timezone('browser')
    .readonly()
    .time({ from: definition.from ?? 'now-24h', to: 'now' })
    .refresh('1m')
    .tooltip(DashboardCursorSync.Crosshair)
    .link(
      new DashboardLinkBuilder('LLM boards')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(source('prometheus', 'Prometheus data source'))
  if (definition.logs === true) board.withVariable(source('loki', 'Loki data source'))
  const chosen: string[] = []
  for (const [name, label, labelTitle] of [
    ['job', 'job', 'Job'],
    ['instance', 'instance', 'Instance'],
    ...variables.map((name) => [name, LABELS[name].label, LABELS[name].title] as const),
  ] as const) {
    board.withVariable(
      variable({
        name,
        label,
        title: labelTitle,
        of,
        chosen: [...chosen],
        one: name === 'tenant' && definition.oneTenant === true,
      }),
    )
    chosen.push(`${label}=~"$${name}"`)
  }
  for (const annotation of annotations(definition.oneTenant === true)) board.annotation(annotation)
  for (const { title: rowTitle, panels } of definition.rows) {
    if (rowTitle !== undefined) board.withRow(new RowBuilder(rowTitle))
    for (const panel of panels) board.withPanel(panel as Parameters<DashboardBuilder['withPanel']>[0])
  }
  const built = numbered(board.build())
  return definition.oneTenant === true ? ofExactlyOneTenant(built) : built
}

function source(type: 'prometheus' | 'loki', label: string): DatasourceVariableBuilder {
  return new DatasourceVariableBuilder(`${type}_datasource`)
    .label(label)
    .type(type)
    .current({ text: type, value: type })
}

function variable({
  name,
  label,
  title,
  of,
  chosen,
  one,
}: {
  name: string
  label: string
  title: string
  of: string
  chosen: string[]
  one: boolean
}) {
  const selector = chosen.length === 0 ? of : `${of}{${chosen.join(', ')}}`
  const text = `label_values(${selector}, ${label})`
  const builder = new QueryVariableBuilder(name)
    .label(title)
    .datasource(PROMETHEUS)
    .query({ query: text, refId: name })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalCaseInsensitiveAsc)
  if (one) return builder.multi(false).includeAll(false)
  // Where a label is missing altogether, “all” has to match its absence; a target always has job and instance.
  const all = name === 'job' || name === 'instance' ? '.+' : '.*'
  return builder.multi(true).includeAll(true).allValue(all).current({ text: 'All', value: '$__all', selected: true })
}

/** What happened when: a sidecar that was started, and alerts that somebody was told of; to a tenant none of another's. */
function annotations(oneTenant: boolean): AnnotationQueryBuilder[] {
  const of = (name: string, colour: string, expr: string, titleFormat: string) =>
    new AnnotationQueryBuilder()
      .name(name)
      .datasource(PROMETHEUS)
      .enable(true)
      .iconColor(colour)
      .expr(expr)
      .titleFormat(titleFormat)
      .target(new DataqueryBuilder().expr(expr).refId('Anno').datasource(PROMETHEUS).range())
  const told = (tenant_id?: string) =>
    metric('ALERTS', {
      alertstate: 'firing',
      priority: { matches: 'P1|P2' },
      ...(tenant_id !== undefined && { tenant_id }),
    })
  return [
    of(
      'Deployments',
      'blue',
      promql`${over('changes', metric('observer_process_start_time_seconds', { job: { matches: '.+' } }), '2m')} > 0`
        .text,
      'The sidecar {{instance}} was started',
    ),
    of(
      'Incidents',
      'red',
      promql`max by (alertname, tenant_id, provider) (${oneTenant ? promql`${told('$tenant')} or ${told('')}` : told()})`
        .text,
      '{{alertname}} {{tenant_id}} {{provider}}',
    ),
  ]
}

/**
 * Grafana puts the value of a variable that has one into a query as it is: `=~"$tenant"` with acme.eu would find acme-eu too.
 */
function ofExactlyOneTenant<Value>(value: Value): Value {
  if (typeof value === 'string') return value.replaceAll(SCOPE_BY_TENANT, 'tenant_id="$tenant"') as Value
  if (Array.isArray(value)) return value.map(ofExactlyOneTenant) as Value
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, ofExactlyOneTenant(one)])) as Value
}

/** Grafana numbers panels when it saves; numbers of our own keep links to panels stable, and the file too. */
function numbered(board: Dashboard): Dashboard {
  let id = 0
  for (const panel of board.panels ?? []) panel.id = ++id
  return board
}
