import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'

export interface SelectorInQuery {
  name: string
  /** Of its matchers: the label, and the whole as it is written. */
  matchers: Readonly<Record<string, string>>
  /** `5m`, `$__range`, …, where it has one. */
  range?: string
  /** The function whose argument the range is. */
  function?: string
}

/** Durations that stand for Grafana's, so that a query of a board can be parsed. */
const STANDS_FOR: Readonly<Record<string, string>> = { $__rate_interval: '59s', $__range: '61s', $__interval: '57s' }
const GRAFANA = /\$__(?:rate_interval|range|interval)\b/g

/** Every selector of a board's query, in its order. */
export function selectorsIn(query: string): SelectorInQuery[] {
  const plain = query.replace(GRAFANA, (name) => STANDS_FOR[name]!)
  const text = ({ from, to }: SyntaxNode) => plain.slice(from, to)
  const found: SelectorInQuery[] = []
  parser.parse(plain).iterate({
    enter: ({ type, node }) => {
      if (type.isError) throw new Error(`not PromQL at ${node.from}: ${plain}`)
      if (type.name !== 'VectorSelector') return
      const matchers: Record<string, string> = {}
      node.cursor().iterate((child) => {
        if (child.name !== 'UnquotedLabelMatcher') return
        matchers[text(child.node.getChild('LabelName')!)] = text(child.node)
      })
      const name = node.getChild('Identifier')
      found.push({ name: name === null ? '' : text(name), matchers, ...rangeOf(node) })
    },
  })
  return found

  function rangeOf(selector: SyntaxNode): { range?: string; function?: string } {
    let matrix: SyntaxNode | null = selector.parent
    if (matrix?.name !== 'MatrixSelector') return {}
    const written = /\[([^\]]*)\]$/.exec(text(matrix))![1]!
    const range = Object.entries(STANDS_FOR).find(([, duration]) => duration === written)?.[0] ?? written
    while (matrix !== null && matrix.name !== 'FunctionCall') matrix = matrix.parent
    const called = matrix?.getChild('FunctionIdentifier')
    return called == null ? { range } : { range, function: text(called) }
  }
}
