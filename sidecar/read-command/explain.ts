import { decimalUsd, type UsageUnit } from '../call.ts'
import { unitsOf } from '../dialects/counts.ts'
import { REASON_TEXTS } from './reasons.ts'
import type { ReadOutcome } from './result-line.ts'

const SOURCES: Record<string, string> = {
  provider: "the provider's own numbers in the answer",
  counted: 'units that the provider bills and does not report, counted in request or answer',
  gateway: "the gateway's own number",
  estimated: 'an ESTIMATE: tokens counted from the text, because the provider reported none',
  partial: 'the provider’s numbers so far: the answer ends before its last word',
  none: 'there is nothing to count',
  unknown: 'there is usage, but nothing here says how much',
}

/** For a person: how each number of one exchange came about. */
export function explain({ line, reading, cost }: ReadOutcome): string {
  const out: string[] = []
  const say = (label: string, text: string) => out.push(`  ${label.padEnd(12)}${text}`)
  out.push(`${line.id}`)
  say('format', `${line.dialect} (${line.operation}), provider ${line.provider}${reading.stream ? ', streamed' : ''}`)
  const served = line.response_model ?? line.request_model ?? 'not named'
  const asked = line.request_model !== null && line.request_model !== served ? ` (asked for ${line.request_model})` : ''
  say('model', `${served}${asked}`)
  if (line.error !== null) say('error', [line.error.type, line.error.message].filter(Boolean).join(': '))
  say('usage', `${SOURCES[line.usage_source]}${line.usage_reason === undefined ? '' : ` [${line.usage_reason}]`}`)
  for (const [name, count] of Object.entries(line.usage)) say('', `${name.padEnd(24)}${count}`)
  for (const reason of line.reasons ?? [])
    say(
      'beware',
      `${reason}: ${REASON_TEXTS[reason]}${reason === 'unread_usage' ? ` (${line.unread_usage?.join(', ')})` : ''}`,
    )
  const units = Object.entries(unitsOf(reading.counts).usage)
  if (units.length > 0) say('priced as', units.map(([unit, amount]) => `${unit} ${amount}`).join(' + '))
  for (const { kind, model, counts } of reading.billedLines ?? [])
    say('billed', `${kind}${model === undefined ? '' : ` at ${model}`}: ${unitText(unitsOf(counts).usage)}`)
  if (line.service_tier !== undefined) say('tier', `served as ${line.service_tier}`)
  const attributes = Object.entries(reading.priceAttributes ?? {})
  if (attributes.length > 0) say('price by', attributes.map(([name, value]) => `${name} ${value}`).join(', '))
  if (cost.state === 'priced') {
    say('price', cost.priceId)
    for (const { unit, quantity, usd } of line.cost_lines) say('', `${unit.padEnd(24)}${quantity} → ${usd} USD`)
    say('cost', `${line.total_usd} USD${line.fees_usd === undefined ? '' : `, of it ${line.fees_usd} fees`}`)
    if (cost.cacheSavedPicoUsd !== undefined)
      say('saved', `${decimalUsd(cost.cacheSavedPicoUsd)} USD by the provider's cache`)
  } else if (cost.state === 'free') say('cost', `0 (${cost.reason})`)
  else say('cost', `UNPRICED: ${cost.reason} in ${cost.book}`)
  if (line.reported_usd !== undefined)
    say(
      'reported',
      `${line.reported_usd} USD by the provider itself${line.list_usd === undefined ? '' : `; our list says ${line.list_usd}`}`,
    )
  if (line.answer !== undefined)
    say(
      'answer',
      `${line.answer.key}: ${line.answer.retrieval ? 'retrieved' : 'made'} here${line.answer.final ? '' : ', not its last word'}`,
    )
  for (const event of reading.guardrails)
    say('guardrail', [event.guardrail, event.stage, event.action, event.reason].filter(Boolean).join(' '))
  return `${out.join('\n')}\n`
}

function unitText(usage: Partial<Record<UsageUnit, number>>): string {
  return Object.entries(usage)
    .map(([unit, amount]) => `${unit} ${amount}`)
    .join(' + ')
}
