import type { Capture } from '../sidecar/capture.ts'
import { makeCapture } from '../sidecar/testing/make-capture.ts'

const SENTENCE = 'The quick brown fox jumps over the lazy dog while the gateway counts every token of it. '

/** A tapped OpenAI chat call with 4 KB of content: 2 KB of prompt, 2 KB of answer. */
export function benchCapture(n: number): Capture {
  const text = SENTENCE.repeat(24).slice(0, 2048)
  return makeCapture({
    n,
    requestBody: {
      model: 'gpt-4o',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: text },
      ],
      temperature: 0.2,
    },
    responseBody: {
      id: `chatcmpl-${n}`,
      object: 'chat.completion',
      created: 1_795_419_012,
      model: 'gpt-4o-2024-08-06',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text, refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 525,
        completion_tokens: 512,
        total_tokens: 1037,
        prompt_tokens_details: { cached_tokens: 128, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
      },
      service_tier: 'default',
      system_fingerprint: 'fp_bench',
    },
  })
}
