import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import type { MetricDefinition } from '../../sidecar/metrics/metrics.ts'
import { TABLES, TARGET_LABELS } from '../promql.ts'
import { KEPT_SERIES, RECORDED } from '../recorded.ts'

/** An expression as a tree; its nodes are those of Prometheus's own grammar for editors. */
export interface Tree {
  text: string
  root: SyntaxNode
}
export function treeOf(text: string): Tree {
  return { text, root: parser.parse(text).topNode }
}
export const textOf = ({ text }: Tree, node: SyntaxNode) => text.slice(node.from, node.to)

export function nodesOf({ root }: Tree, ...names: string[]): SyntaxNode[] {
  const found: SyntaxNode[] = []
  root.cursor().iterate(({ node }) => {
    if (names.includes(node.name)) found.push(node)
  })
  return found
}
export function definitionOf(series: string): MetricDefinition | undefined {
  const tables: Readonly<Record<string, MetricDefinition>> = { ...TABLES, ...KEPT_SERIES }
  return tables[series] ?? tables[series.replace(/_(bucket|count|sum)$/, '')]
}
/** A counter, or a part of a histogram, which counts as well. */
export function isCounter(series: string): boolean {
  const type = definitionOf(series)?.type
  return type === 'counter' || type === 'histogram'
}

const SCALARS = ['NumberDurationLiteral', 'StringLiteral']
const KEEPS_LEFT = ['And', 'Unless']

/** The labels that the result surely has: what an aggregation leaves, and what both sides of an operation have. */
export function labelsOf(tree: Tree, node: SyntaxNode = tree.root): Set<string> {
  const children = childrenOf(node)
  switch (node.name) {
    case 'VectorSelector': {
      const name = textOf(tree, node.getChild('Identifier')!)
      const own = definitionOf(name)?.labels ?? []
      return new Set(
        name in RECORDED || name in KEPT_SERIES
          ? own
          : [...own, ...TARGET_LABELS, ...(name.endsWith('_bucket') ? ['le'] : [])],
      )
    }
    case 'AggregateExpr': {
      const by = node.getChild('AggregateModifier')?.getChild('GroupingLabels')
      return new Set(by === null || by === undefined ? [] : by.getChildren('LabelName').map((one) => textOf(tree, one)))
    }
    case 'FunctionCall':
      return labelsOfCall(tree, node)
    case 'BinaryExpr': {
      const sides = children.filter(({ name }) => !/Modifier|Clause/.test(name))
      const [left, operator, right] = [sides[0]!, sides[1]!, sides.at(-1)!]
      if (KEEPS_LEFT.includes(operator.name) || SCALARS.includes(right.name)) return labelsOf(tree, left)
      if (SCALARS.includes(left.name)) return labelsOf(tree, right)
      const clause = node.getChild('MatchingModifierClause')
      if (clause?.getChild('GroupLeft')) return labelsOf(tree, left)
      if (clause?.getChild('GroupRight')) return labelsOf(tree, right)
      if (clause && operator.name !== 'Or')
        return new Set(
          clause
            .getChild('GroupingLabels')!
            .getChildren('LabelName')
            .map((one) => textOf(tree, one)),
        )
      const [one, other] = [labelsOf(tree, left), labelsOf(tree, right)]
      if (isScalar(tree, left)) return other
      return isScalar(tree, right) ? one : new Set([...one].filter((label) => other.has(label)))
    }
    default:
      // Brackets, offsets, ranges, signs.
      return children.length === 0 ? new Set() : labelsOf(tree, children[0]!)
  }
}
function isScalar(tree: Tree, node: SyntaxNode): boolean {
  return textOf(tree, node) === 'time()' || /^[\d.\s*()]+$/.test(textOf(tree, node))
}
function labelsOfCall(tree: Tree, node: SyntaxNode): Set<string> {
  const name = textOf(tree, node.getChild('FunctionIdentifier')!)
  const parameters = childrenOf(node.getChild('FunctionCallBody')!)
  if (name === 'vector' || name === 'time') return new Set()
  if (name === 'absent') {
    const matchers = nodesOf({ ...tree, root: parameters[0]! }, 'UnquotedLabelMatcher')
    return new Set(matchers.map((one) => textOf(tree, one.getChild('LabelName')!)))
  }
  const vector = parameters.find((one) => !SCALARS.includes(one.name))!
  const labels = labelsOf(tree, vector)
  if (name === 'histogram_quantile') labels.delete('le')
  return labels
}
function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = []
  for (let child = node.firstChild; child !== null; child = child.nextSibling) children.push(child)
  return children
}
