import type { Content, Message, MessagePart } from '../call.ts'
import { type Counts, unitsOf } from '../dialects/counts.ts'
import type { Reading } from '../dialects/dialect.ts'
import { type EncodingChoice, encodingOf } from './encode.ts'

/** Texts to be counted in one encoding, and how many tokens each has; or why nobody counted them. */
export interface CountJob {
  encoding: EncodingChoice['name']
  texts: readonly string[]
}
export type CountOutcome = readonly number[] | 'queue_full' | 'failed'
export type CountTexts = (job: CountJob) => Promise<CountOutcome>

/** Why there is no usage, where text in hand can stand in for it. */
const CURABLE = new Set(['stream_without_usage', 'stream_cut', 'stream_error', 'body_without_usage', 'body_cut'])
const TEXT_OPERATIONS = new Set(['chat', 'text_completion', 'generate_content', 'embeddings'])

/** OpenAI's chat format: what each message costs around its text, and the start of the answer (their cookbook). */
const TOKENS_PER_MESSAGE = 3
const TOKENS_OF_REPLY = 3
/** Tool definitions are shown to the model in a shorter form than JSON: so much of its tokens, measured (docs/usage.md). */
const TOOLS_SHARE = 0.6
/** A longer text is counted by its beginning, and the rest by its length. */
export const DEFAULT_MAX_TEXT = 256 * 1024

interface Plan {
  job: CountJob
  /** Which texts are what. */
  roles: ('input' | 'tools' | 'output' | 'reasoning')[]
  /** Factor of a text that was cut. */
  factors: number[]
  overhead: number
  standIn: boolean
  /** Something in it has no text that can be counted. */
  lowerBound: boolean
  /** Only the answer is missing: the provider itself said the prompt. */
  outputOnly: boolean
}

/** What must be counted; undefined where the provider's own word stands, or there is no text to count. */
export function planEstimate(reading: Reading, maxText: number = DEFAULT_MAX_TEXT): Plan | undefined {
  const { usageSource, usageReason, content, operation } = reading
  if (!reading.billable || content === undefined || !TEXT_OPERATIONS.has(operation)) return undefined
  const outputOnly =
    usageSource === 'partial' && reading.counts.input !== undefined && reading.billedLines === undefined
  if (!outputOnly && (usageSource !== 'unknown' || !CURABLE.has(usageReason ?? ''))) return undefined
  const answered = content.output?.some(({ parts }) => parts.length > 0) === true
  // Broken off before the first word: nobody knows whether the prompt was read, and nothing was generated.
  if (!answered && operation !== 'embeddings') return undefined
  const model = reading.responseModel ?? reading.requestModel
  if (model === undefined) return undefined

  const { name, standIn } = encodingOf(model)
  const plan: Plan = {
    job: { encoding: name, texts: [] },
    roles: [],
    factors: [],
    overhead: 0,
    standIn,
    lowerBound: content.truncated === true && usageReason !== 'stream_cut' && !outputOnly,
    outputOnly,
  }
  const texts: string[] = []
  const add = (role: Plan['roles'][number], text: string) => {
    if (text === '') return
    plan.roles.push(role)
    plan.factors.push(text.length > maxText ? text.length / maxText : 1)
    texts.push(text.slice(0, maxText))
  }
  if (!outputOnly) addInput(content, operation, plan, add)
  for (const message of content.output ?? []) {
    if (message.parts.some((part) => part.type === 'other')) plan.lowerBound = true
    add(
      'output',
      textOf(message.parts, (part) => part.type !== 'reasoning'),
    )
    add(
      'reasoning',
      textOf(message.parts, (part) => part.type === 'reasoning'),
    )
  }
  plan.job = { encoding: name, texts }
  return plan
}

function addInput(
  content: Content,
  operation: string,
  plan: Plan,
  add: (role: 'input' | 'tools', text: string) => void,
): void {
  const messages: Message[] = [
    ...(content.system === undefined
      ? []
      : [{ role: 'system', parts: [{ type: 'text' as const, content: content.system }] }]),
    ...(content.input ?? []),
  ]
  // No prompt in hand (a form, a body that was not kept): what is counted of the answer is not all.
  if (messages.length === 0) plan.lowerBound = true
  for (const message of messages) {
    if (message.parts.some((part) => part.type === 'other')) plan.lowerBound = true
    add('input', `${operation === 'chat' ? message.role : ''}${textOf(message.parts, () => true)}`)
  }
  if (operation === 'chat') plan.overhead = messages.length * TOKENS_PER_MESSAGE + TOKENS_OF_REPLY
  if (content.tools !== undefined) add('tools', content.tools)
}

function textOf(parts: readonly MessagePart[], wanted: (part: MessagePart) => boolean): string {
  return parts
    .filter(wanted)
    .map((part) => {
      if (part.type === 'tool_call') return `${part.name}${part.arguments}`
      if (part.type === 'tool_call_response') return part.response
      return part.type === 'other' ? '' : part.content
    })
    .join('\n')
}

/** The reading with what was counted in place of what nobody said. */
export function withEstimate(reading: Reading, plan: Plan, outcome: CountOutcome): Reading {
  if (outcome === 'queue_full' || outcome === 'failed') return { ...reading, usageReason: `estimate_${outcome}` }
  const sum = { input: plan.overhead, tools: 0, output: 0, reasoning: 0 }
  outcome.forEach((tokens, index) => {
    sum[plan.roles[index]!] += tokens * plan.factors[index]!
  })
  const input = Math.round(sum.input + sum.tools * TOOLS_SHARE)
  const reasoning = Math.round(sum.reasoning)
  const output = Math.round(sum.output) + reasoning
  const embeds = reading.operation === 'embeddings'
  const counts: Counts = plan.outputOnly
    ? { ...withoutTotal(reading.counts), output: Math.max(reading.counts.output ?? 0, output) }
    : { input, ...(embeds ? {} : { output, ...(reasoning > 0 ? { reasoning } : {}) }) }
  return {
    ...reading,
    counts,
    usage: unitsOf(counts).usage,
    usageSource: 'estimated',
    usageReason: plan.outputOnly
      ? 'output_estimated'
      : plan.lowerBound
        ? 'lower_bound'
        : plan.standIn
          ? 'stand_in_encoding'
          : (reading.usageReason ?? 'estimated'),
  }
}

function withoutTotal({ total: _total, ...counts }: Counts): Counts {
  return counts
}

/** Reading → reading, with an estimate where one is needed. Never fails: what cannot be counted stays unknown. */
export function makeEstimator(count: CountTexts, maxText?: number) {
  return (reading: Reading): Reading | Promise<Reading> => {
    const plan = planEstimate(reading, maxText)
    if (plan === undefined) return reading
    return count(plan.job).then((outcome) => withEstimate(reading, plan, outcome))
  }
}
