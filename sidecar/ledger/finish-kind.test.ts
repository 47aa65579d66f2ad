import { describe, expect, it } from 'vitest'
import { finishKindOf } from './finish-kind.ts'

describe('finish kinds', () => {
  it.each([
    ['stop', 'stop'],
    ['STOP', 'stop'],
    ['end_turn', 'stop'],
    ['MAX_TOKENS', 'length'],
    ['max_tokens', 'length'],
    ['length', 'length'],
    ['tool_use', 'tool_calls'],
    ['guardrail_intervened', 'content_filter'],
    ['SAFETY', 'content_filter'],
    ['refusal', 'refusal'],
    ['constructor', 'other'],
    ['', 'other'],
  ])('%s is %s', (reason, kind) => expect(finishKindOf(reason)).toBe(kind))
})
