import { expect, it } from 'vitest'
import { makeCapture } from '../testing/make-capture.ts'
import { isLlmCall } from './is-llm-call.ts'

const page = (uri: string, method = 'GET') =>
  makeCapture({
    capture: { scope: 'global' },
    log: {
      upstream_uri: uri,
      service: { name: 'web', host: 'vllm.internal', port: 8000 },
      request: { id: 'r', method, uri, headers: {} },
    } as never,
  })
const unknown = { dialect: 'unknown', provider: 'unknown' }
const global = makeCapture({ capture: { scope: 'global' } })

it.each([
  ['all that a route’s plugin sees', makeCapture(), unknown, true],
  ['of a global plugin, a web page', page('/index.html'), unknown, false],
  ['of a global plugin, a form', page('/login', 'POST'), unknown, false],
  ['an untapped post to a model’s path', page('/v1/chat/completions?x=1', 'POST'), unknown, true],
  ['an untapped look at it', page('/v1/chat/completions'), unknown, false],
  ['a known provider', global, { ...unknown, provider: 'openai' }, true],
  ['a known format', global, { ...unknown, dialect: 'openai-chat' }, true],
  ['Kong’s AI plugins', makeCapture({ capture: { scope: 'global' }, log: { ai: { proxy: {} } } }), unknown, true],
])('%s', (_what, capture, call, expected) => expect(isLlmCall(capture, call)).toBe(expected))
