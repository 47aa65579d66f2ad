import { fromAccessLog, fromLedger, fromMetrics, fromSink } from './columns.ts'
import type { Column } from './demo-table.ts'
import { LIST_PRICES } from './list-prices.ts'
import { sumOfMetric } from './metrics-text.ts'
import type { Stack } from './stack.ts'

/** The demo's table and the conservation test are made of the same columns, each from its own source. */
export async function readColumns(stack: Stack): Promise<Column[]> {
  return [
    fromAccessLog(stack.accessLog, LIST_PRICES),
    fromLedger(stack.ledgerFile),
    await fromMetrics(`${stack.sidecarUrl}/metrics`),
    fromSink('OTLP', stack.otlp.perTenant()),
    fromSink('Langfuse', stack.langfuse.perTenant()),
    fromSink('Loki', stack.loki.perTenant()),
  ]
}

/** Whether this many calls are in the ledger and no reader has any left to settle. */
export async function caughtUp(stack: Stack, calls: number): Promise<{ done: boolean; seen: string }> {
  const text = await (await fetch(`${stack.sidecarUrl}/metrics`)).text()
  const counted = sumOfMetric(text, 'llm_calls_total')
  const lag = sumOfMetric(text, 'observer_sink_lag_calls')
  return { done: counted >= calls && lag === 0, seen: `${counted} calls, lag ${lag}` }
}
