import { expect, it } from 'vitest'
import { makeCapture } from '../testing/make-capture.ts'
import { isLlmCall } from './is-llm-call.ts'

const unknown = { dialect: 'unknown', provider: 'unknown' }
const global = makeCapture({ capture: { scope: 'global' } })

it.each([
  ['all that a route’s plugin sees', makeCapture(), unknown, true],
  ['of a global plugin, a web page', global, unknown, false],
  ['a known provider', global, { ...unknown, provider: 'openai' }, true],
  ['a known format', global, { ...unknown, dialect: 'openai-chat' }, true],
  ['Kong’s AI plugins', makeCapture({ capture: { scope: 'global' }, log: { ai: { proxy: {} } } }), unknown, true],
])('%s', (_what, capture, call, expected) => expect(isLlmCall(capture, call)).toBe(expected))
