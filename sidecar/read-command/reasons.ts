import type { CallReason } from '../call.ts'

/** What each reason on a call means, for `read --explain` and docs/read.md (a test compares them). */
export const REASON_TEXTS: Readonly<Record<CallReason, string>> = {
  unread_usage:
    "the provider's usage object holds a count that no reader took: it may be billed and is not in the amount",
  tier_not_seen:
    'the part of the answer that names the served tier was cut out: flex and batch cost half, priority twice',
  fees_not_seen: 'uses of billed tools may stand in the part of the answer that was cut out',
  tool_fee_unknown: 'the provider ran a tool that it bills, and no price or number of uses is known: not in the amount',
  fee_counted: "a fee's uses were counted from the answer, because the provider reports no number: at least so many",
  read_limit: 'the answer is larger than what one capture may cost to read: its middle was left out',
  attempts_unseen: 'Kong tried several targets: whether an earlier one is billed nobody saw',
  request_model_priced: 'the model that served has no name or no price: the requested one set it',
  provider_guessed: 'an unknown host: priced as the owner of the wire format. Name it under `providers`',
  zero_usage: 'the provider reports zero tokens beside an answer that is there',
  plan: 'a subscription pays: tokens are counted, no list price applies',
  gateway_timeout: 'the gateway gave up waiting: the provider may have answered and billed',
  summed_prompts: 'several passes are reported as one: a price by prompt size may not apply to the sum',
  place_not_priced:
    'it ran in a place (government, China) whose price is not known: the list price of another place counts',
  session_sum_not_billed:
    "a managed agent's session told the sum of its usage: only its events are billed, and a client that never reads them pays nothing here",
  plugin_call_not_billed:
    "plugins of Kong called models of their own for this request (a judge, a transformer, RAG's embeddings): not in the amount",
  refusal_may_be_billed:
    'the provider refused after it had read the prompt, and bills that without telling tokens: not in the amount',
  same_answer_id:
    'another call of this trace has the same answer id: both are billed. Counted by the store (`reasons` metric), on no call itself',
}
