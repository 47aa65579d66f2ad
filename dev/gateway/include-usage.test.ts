import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ASKING, inFengari, OPTIONS, OTHERS, type SnippetRequest } from './testing/include-usage.ts'

const sentFor = (body: string | undefined, parts: Partial<SnippetRequest> = {}) => inFengari([{ body, ...parts }])[0]!

describe('a request that asks for a stream', () => {
  it.each(ASKING)('%s gets the option, and nothing else changes', (body) => {
    const sent = sentFor(body)
    expect(sent).toBe(body.replace('{', `{${OPTIONS}`))
    expect(JSON.parse(sent)).toEqual({ ...JSON.parse(body), stream_options: { include_usage: true } })
  })

  it('completions and Azure’s deployments too', () => {
    const body = '{"stream":true}'
    for (const path of ['/v1/completions', '/openai/deployments/x/chat/completions', '/v1/chat/completions/'])
      expect(sentFor(body, { path })).toBe(`{${OPTIONS}"stream":true}`)
    expect(sentFor(body, { encoding: 'identity' })).toContain(OPTIONS)
  })
})

describe('every other request is left alone', () => {
  it.each(OTHERS.map((body) => [body?.slice(0, 60), body]))('%s', (_start, body) => {
    expect(sentFor(body)).toBe('unchanged')
  })

  it.each<Partial<SnippetRequest>>([
    { method: 'GET' },
    { path: '/v1/responses' },
    { path: '/v1/messages' },
    { path: '/v1/chat/completions/chatcmpl-1' },
    { encoding: 'gzip' },
  ])('%o', (parts) => {
    expect(sentFor('{"stream":true}', parts)).toBe('unchanged')
  })
})

it.each(['get_method', 'get_path', 'get_header', 'get_raw_body', 'set_raw_body'])(
  'an error in %s stays in it: the request goes on as it came',
  (fault) => {
    expect(sentFor('{"stream":true}', { fault })).toBe('unchanged')
  },
)

it('any JSON: it is the same but for the option, which comes exactly where it should', () => {
  const member = fc.oneof(
    fc.constantFrom('stream', 'stream_options', 'messages', 'a"b', '\\'),
    fc.string({ maxLength: 6 }),
  )
  const value = fc.oneof(
    fc.boolean(),
    fc.constantFrom('stream', '"stream":true', '{', '}', '\\"'),
    fc.jsonValue({ maxDepth: 3 }),
  )
  const bodies = fc.array(fc.dictionary(member, value, { maxKeys: 5 }), { minLength: 20, maxLength: 20 })
  fc.assert(
    fc.property(bodies, fc.constantFrom(undefined, 2), (given, indent) => {
      const texts = given.map((body) => JSON.stringify(body, undefined, indent))
      inFengari(texts.map((body) => ({ body }))).forEach((sent, index) => {
        const body = given[index]!
        const plain = !Object.keys(body).some((key) => JSON.stringify(key).includes('\\'))
        const asks = body.stream === true && !Object.hasOwn(body, 'stream_options') && plain
        if (!asks) expect(sent).toBe('unchanged')
        else expect(JSON.parse(sent)).toEqual({ ...JSON.parse(texts[index]!), stream_options: { include_usage: true } })
      })
    }),
    { numRuns: 20 },
  )
})
