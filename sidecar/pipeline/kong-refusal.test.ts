import { expect, it } from 'vitest'
import { kongRefusal } from './kong-refusal.ts'

it.each([
  [400, '{"error":{"message":"bad request"}}', { guardrail: 'kong.ai-prompt-guard' }],
  [400, '{ "error": { "message": "bad request" } }\n', { guardrail: 'kong.ai-prompt-guard' }],
  [
    400,
    '{"error":{"message":"prompt pattern is blocked"}}',
    { guardrail: 'kong.ai-prompt-guard', reason: 'prompt pattern is blocked' },
  ],
  [
    400,
    '{"message":"prompt doesn\'t match any allowed pattern"}',
    { guardrail: 'kong.ai-prompt-guard', reason: "prompt doesn't match any allowed pattern" },
  ],
  [
    400,
    '{"error":{"message":"request failed content safety check: breached category [Hate] at level 2"}}',
    { guardrail: 'kong.ai-azure-content-safety', reason: 'breached category [Hate] at level 2' },
  ],
])('%i %s is a guard’s', (status, body, event) => {
  expect(kongRefusal(status, body)).toEqual({ stage: 'input', action: 'blocked', ...event })
})

it.each([
  [400, '{"error":{"message":"request body doesn\'t contain valid prompts"}}'],
  [400, '{"error":{"message":"Bad request: the model is unknown"}}'],
  [400, '{"message":"Bad Gateway"}'],
  [403, '{"message":"You cannot consume this service"}'],
  [401, '{"error":{"message":"bad request"}}'],
  [400, 'bad request'],
  [400, '{"error":{"message":"my prompt pattern is blocked by a tree"}}'],
  [400, ''],
  [400, '[]'],
])('%i %s is not', (status, body) => expect(kongRefusal(status, body)).toBeUndefined())
