import type { Content, Operation } from '../call.ts'
import { type Counts, unitsOf } from '../dialects/counts.ts'
import type { Reading } from '../dialects/dialect.ts'
import { boundTexts } from './bound-texts.ts'
import { type Encoding, encodingOf, familyName } from './encoding-of-model.ts'
import { toolDefinitions } from './tool-definitions.ts'

/** Texts to be counted in one encoding, and how many tokens each has; or why nobody counted them. */
export interface CountJob {
  encoding: Encoding
  texts: readonly string[]
}
export type CountOutcome = readonly number[] | 'queue_full' | 'failed'
export type CountTexts = (job: CountJob) => Promise<CountOutcome>

/**
 * What `usageReason` says of an estimate, after why there was no usage: `stream_cut + o200k_base + lower_bound`. A closed
 * list; beside these the names of the encodings.
 */
export const ESTIMATE_WORDS = [
  'o200k_base_stand_in', // the model's own encoding is not public
  'output_estimated', // the input is the provider's
  'input_not_seen', // the input is not in the number
  'lower_bound', // pictures, sounds, hidden reasoning or text that was not captured are not in the number
  'by_length', // a part of a long text was counted
  'estimate_queue_full', // nothing was counted: too much was waiting
  'estimate_failed', // nothing was counted: it took too long, or a worker broke
] as const
export type EstimateWord = (typeof ESTIMATE_WORDS)[number] | Encoding

/** What is to be counted of one call, and what the counts mean. Holds text: it lives no longer than the count. */
export interface Plan {
  job: CountJob
  /** Which text is what. */
  roles: readonly Role[]
  /** How much longer each text is than what is counted of it. */
  factors: readonly number[]
  /** Tokens that stand beside the texts: around messages and tool calls, in tool definitions. */
  inputOverhead: number
  outputOverhead: number
  /** The input is to be estimated, and there is one in hand. */
  estimatesInput: boolean
  standIn: boolean
  lowerBound: boolean
  words: readonly EstimateWord[]
}
type Role = 'input' | 'output' | 'reasoning'

/** UTF-16 units of text that are counted of one call: 50 ms. */
export const DEFAULT_MAX_TEXT = 256 * 1024

// OpenAI's cookbook, "How to count tokens with tiktoken": around each message, its role, and what primes the answer.
const AROUND_A_MESSAGE = 3
const ROLE = 1
const PRIMES_THE_ANSWER = 3
// Measured on recorded exchanges (docs/usage.md).
const LESS_FOR_REASONING_MODELS = 1
const AROUND_A_TOOL_CALL = 7
const AROUND_A_TOOL_CALL_OF_CLAUDE = 35
const END_OF_A_RESPONSE = 1
const END_OF_CLAUDE = 3

const ESTIMATED: ReadonlySet<Operation> = new Set(['chat', 'text_completion', 'generate_content', 'embeddings'])
/** These think without showing it: what they show is less than what they bill. */
const HIDDEN_REASONING = /^(?:o\d(?![a-z0-9])|gpt-[5-9](?!.*chat)|gemini-(?:2\.5|[3-9]))/
const OPENAI_REASONING = /^(?:o\d(?![a-z0-9])|gpt-[5-9])/

/** What to count of a call whose usage nobody reported, or not to the end; undefined where there is nothing to do. */
export function planEstimate(reading: Reading, maxText: number = DEFAULT_MAX_TEXT): Plan | undefined {
  const { content, usageSource, operation } = reading
  if (usageSource !== 'unknown' && usageSource !== 'partial') return undefined
  if (content === undefined || !reading.billable || !ESTIMATED.has(operation)) return undefined
  // Lines are priced each for itself: nobody knows to which one the missing words belong.
  if (reading.billedLines !== undefined) return undefined
  if (!wasAnswered(reading, content)) return undefined

  const model = reading.responseModel ?? reading.requestModel ?? ''
  const family = familyName(model)
  const { encoding, standIn } = encodingOf(model)
  const found = textsOf(content)
  const reported = reading.counts.input !== undefined
  const input = reported ? [] : found.input
  const tools =
    reported || content.tools === undefined
      ? undefined
      : standIn
        ? { texts: [content.tools], tokens: 0 } // others put the JSON itself into the prompt
        : toolDefinitions(content.tools, encoding)
  const isChat = operation === 'chat' || operation === 'generate_content'
  const aroundMessages =
    isChat && found.messages > 0
      ? found.messages * (AROUND_A_MESSAGE + ROLE) +
        PRIMES_THE_ANSWER -
        (OPENAI_REASONING.test(family) ? LESS_FOR_REASONING_MODELS : 0)
      : 0
  const texts: [Role, string][] = [
    ...[...input, ...(tools?.texts ?? [])].map((text): [Role, string] => ['input', text]),
    ...found.output.map((text): [Role, string] => ['output', text]),
    ...found.reasoning.map((text): [Role, string] => ['reasoning', text]),
  ].filter(([, text]) => text !== '')
  const bounded = boundTexts(
    texts.map(([, text]) => text),
    maxText,
  )
  const lowerBound =
    content.truncated === true ||
    (!reported && (found.messages === 0 || found.otherInput)) ||
    found.otherOutput ||
    HIDDEN_REASONING.test(family) ||
    // The schema of the answer is part of the prompt, and not of what a reading holds.
    (!reported && reading.parameters?.outputType === 'json') ||
    // Other formats show a summary of the thoughts.
    (found.reasoning.length > 0 && reading.dialect !== 'openai-chat')
  const words: EstimateWord[] = [standIn ? 'o200k_base_stand_in' : encoding]
  if (reported) words.push('output_estimated')
  else if (found.messages === 0) words.push('input_not_seen')
  if (lowerBound) words.push('lower_bound')
  if (bounded.cut) words.push('by_length')
  return {
    job: { encoding, texts: bounded.texts },
    roles: texts.map(([role]) => role),
    factors: bounded.factors,
    inputOverhead: aroundMessages + (tools?.tokens ?? 0),
    outputOverhead: aroundAnswer(reading, model, found),
    estimatesInput: !reported && found.messages > 0,
    standIn,
    lowerBound,
    words,
  }
}

/**
 * The reading with what was counted. What the provider reported stays: its input as it is, and its running output where
 * that is no less than the words that came – then nothing is estimated.
 */
export function withEstimate(reading: Reading, plan: Plan, outcome: CountOutcome): Reading {
  if (outcome === 'queue_full' || outcome === 'failed')
    return { ...reading, usageReason: reasonOf(reading, [`estimate_${outcome}`]) }
  const sum = { input: plan.inputOverhead, output: plan.outputOverhead, reasoning: 0 }
  outcome.forEach((tokens, index) => {
    sum[plan.roles[index]!] += tokens * plan.factors[index]!
  })
  const { total: _, ...counts }: Counts = reading.counts
  const reasoning = Math.round(sum.reasoning)
  const output = Math.round(sum.output) + reasoning
  if (counts.input !== undefined && counts.output !== undefined && counts.output >= output) return reading
  if (plan.estimatesInput) counts.input = Math.round(sum.input)
  if (reading.operation !== 'embeddings') {
    counts.output = Math.max(counts.output ?? 0, output)
    if (counts.reasoning === undefined && reasoning > 0) counts.reasoning = reasoning
  }
  return {
    ...reading,
    counts,
    usage: unitsOf(counts).usage,
    usageSource: 'estimated',
    usageReason: reasonOf(reading, plan.words),
  }
}

/** Reading → reading, with an estimate where one is needed. Never fails: what cannot be counted stays as it is. */
export function makeEstimator(count: CountTexts, maxText?: number) {
  return (reading: Reading): Reading | Promise<Reading> => {
    let plan: Plan | undefined
    try {
      plan = planEstimate(reading, maxText)
    } catch {
      return { ...reading, usageReason: reasonOf(reading, ['estimate_failed']) }
    }
    if (plan === undefined) return reading
    const planned = plan
    return count(planned.job).then((outcome) => withEstimate(reading, planned, outcome))
  }
}

/** Why there is no usage, and what was done about it. */
function reasonOf({ usageReason }: Reading, words: readonly EstimateWord[]): string {
  return [...(usageReason === undefined ? [] : [usageReason]), ...words].join(' + ')
}

/** Tokens of an answer that are no text: they are there once the answer, or its call of a tool, has come. */
function aroundAnswer({ dialect, finishReasons }: Reading, model: string, { toolCalls }: Texts): number {
  const claude = /claude/i.test(model)
  const end = claude ? END_OF_CLAUDE : dialect === 'openai-responses' ? END_OF_A_RESPONSE : 0
  return (
    toolCalls * (claude ? AROUND_A_TOOL_CALL_OF_CLAUDE : AROUND_A_TOOL_CALL) + (finishReasons === undefined ? 0 : end)
  )
}

/** At least a word came, or the end of an empty answer: an error before the first word is no answer. */
function wasAnswered({ operation, error, usageReason }: Reading, content: Content): boolean {
  // A vector is no text: that its answer came must do.
  if (operation === 'embeddings')
    return error === undefined && (usageReason === 'body_without_usage' || usageReason === 'body_cut')
  return (content.output ?? []).some(
    ({ parts, finishReason }) => parts.length > 0 || (finishReason !== undefined && error === undefined),
  )
}

interface Texts {
  /** The system text counts as one. */
  messages: number
  input: string[]
  output: string[]
  reasoning: string[]
  /** Something is there that is no text. */
  otherInput: boolean
  otherOutput: boolean
  /** Calls of the answer. */
  toolCalls: number
}

function textsOf({ system, input, output }: Content): Texts {
  const texts: Texts = {
    messages: 0,
    input: [],
    output: [],
    reasoning: [],
    otherInput: false,
    otherOutput: false,
    toolCalls: 0,
  }
  if (system !== undefined) {
    texts.messages++
    texts.input.push(system)
  }
  for (const { parts } of input ?? []) {
    texts.messages++
    for (const part of parts) {
      if (part.type === 'text') texts.input.push(part.content)
      else if (part.type === 'tool_call') texts.input.push(part.name, part.arguments)
      else if (part.type === 'tool_call_response') texts.input.push(part.response)
      // Thoughts of earlier answers are not read again by the model.
      else if (part.type === 'other') texts.otherInput = true
    }
  }
  for (const { parts } of output ?? [])
    for (const part of parts) {
      if (part.type === 'text') texts.output.push(part.content)
      else if (part.type === 'reasoning') texts.reasoning.push(part.content)
      else if (part.type === 'tool_call') {
        texts.output.push(part.name, part.arguments)
        texts.toolCalls++
      } else if (part.type === 'tool_call_response') texts.output.push(part.response)
      else texts.otherOutput = true
    }
  return texts
}
