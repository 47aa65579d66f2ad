import { parser } from '@grafana/lezer-logql'
import type { LlmCall } from '../../sidecar/call.ts'
import { lokiBody } from '../../sidecar/exporters/loki.ts'
import { GOLDEN_CALLS } from '../../sidecar/testing/golden-calls.ts'

interface Pushed {
  streams: { stream: Record<string, string>; values: [string, string, Record<string, string>][] }[]
}

/** What the line of a call holds, and what stands beside it, by the exporter's own word. */
const { streams } = JSON.parse(
  lokiBody(
    Object.values(GOLDEN_CALLS).flatMap((call) => [call, withRareFields(call)]),
    'production',
  ),
) as Pushed
const FIELDS = new Set(streams.flatMap(({ values }) => values.flatMap(([, line]) => Object.keys(JSON.parse(line)))))
const LABELS = new Set(
  streams.flatMap(({ stream, values }) => [
    ...Object.keys(stream),
    ...values.flatMap(([, , beside]) => Object.keys(beside)),
  ]),
)

function withRareFields(call: LlmCall): LlmCall {
  const cost = call.cost.state === 'priced' ? { ...call.cost, listPicoUsd: 1 } : call.cost
  return { ...call, cost, claimedTenant: 'red', reasons: ['unread_usage'], unreadUsage: ['new_tokens'] }
}

/** Syntax; of a query over the lines of calls also fields and labels that no line has. */
export function logqlProblems(query: string): string[] {
  const problems: string[] = []
  const extracted = new Set<string>()
  const grouped: string[] = []
  const overCalls = query.includes('{service_name="kong-llm-observer"')
  parser.parse(query).iterate({
    enter: ({ type, node }) => {
      const text = query.slice(node.from, node.to)
      if (type.isError) problems.push(`syntax at ${node.from}: ${text}`)
      if (type.name === 'LabelExtractionExpression') {
        const [name, field] = text.split('=') as [string, string]
        extracted.add(name)
        if (overCalls && !FIELDS.has(JSON.parse(field) as string)) problems.push(`no line of a call has ${field}`)
      }
      if (type.name === 'Grouping') grouped.push(...text.replace(/^.*\(|\)$/g, '').split(/,\s*/))
      if (type.name === 'LabelFilter') grouped.push(/^\w+/.exec(text)![0])
    },
  })
  for (const label of overCalls ? grouped : [])
    if (!LABELS.has(label) && !extracted.has(label) && label !== '__error__') problems.push(`no such label: ${label}`)
  return problems
}
