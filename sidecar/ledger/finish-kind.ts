/** Why models stopped, told alike for every provider: a closed list, so that it can be a label. */
export const FINISH_KINDS = ['stop', 'length', 'tool_calls', 'content_filter', 'refusal', 'error', 'other'] as const
export type FinishKind = (typeof FINISH_KINDS)[number]

/** The providers' words, in lower case and with underscores. What is not listed is `other`. */
const KINDS: Readonly<Record<string, FinishKind>> = {
  stop: 'stop',
  end_turn: 'stop',
  stop_sequence: 'stop',
  eos: 'stop',
  eos_token: 'stop',
  complete: 'stop',
  completed: 'stop',
  finish: 'stop',
  success: 'stop',
  endoftext: 'stop',
  length: 'length',
  max_tokens: 'length',
  max_output_tokens: 'length',
  max_length: 'length',
  model_length: 'length',
  model_context_window_exceeded: 'length',
  incomplete: 'length',
  tool_calls: 'tool_calls',
  tool_call: 'tool_calls',
  tool_use: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
  content_filtered: 'content_filter',
  filtered: 'content_filter',
  guardrail_intervened: 'content_filter',
  error_toxic: 'content_filter',
  safety: 'content_filter',
  recitation: 'content_filter',
  blocklist: 'content_filter',
  prohibited_content: 'content_filter',
  spii: 'content_filter',
  image_safety: 'content_filter',
  refusal: 'refusal',
  error: 'error',
  failed: 'error',
  malformed_function_call: 'error',
}

export function finishKindOf(reason: string): FinishKind {
  const word = reason.toLowerCase().replaceAll(/[\s-]/g, '_')
  return Object.hasOwn(KINDS, word) ? KINDS[word]! : 'other'
}
