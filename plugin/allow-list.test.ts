import { describe, expect, it } from 'vitest'
import {
  allowedRequestHeaders,
  allowedResponseHeaders,
  REQUEST_HEADERS,
  RESPONSE_HEADER_PREFIXES,
  RESPONSE_HEADERS,
} from './allow-list.ts'
import { readTap } from './tap-text.ts'

describe('allow-list', () => {
  it('lets no credential pass', () => {
    const credentials = {
      authorization: 'a',
      apikey: 'b',
      'x-api-key': 'c',
      'api-key': 'd',
      cookie: 'e',
      'x-consumer-username': 'f',
      'x-goog-api-key': 'g',
    }
    expect(allowedRequestHeaders({ ...credentials, 'Content-Type': 'application/json' })).toEqual({
      'content-type': 'application/json',
    })
    expect(
      allowedResponseHeaders({ 'set-cookie': 'a', 'x-ratelimit-remaining-tokens': '9', 'x-kong-request-id': 'r' }),
    ).toEqual({
      'x-ratelimit-remaining-tokens': '9',
      'x-kong-request-id': 'r',
    })
  })

  it('drops values that the wire contract does not know', () => {
    expect(allowedRequestHeaders({ accept: { deep: 1 }, 'user-agent': ['a', 'b'], traceparent: null })).toEqual({
      'user-agent': ['a', 'b'],
    })
    expect(allowedRequestHeaders([])).toEqual({})
  })

  describe('the tap', () => {
    it('names exactly the same headers', () => {
      const { log } = readTap()['pre-function']
      const listed = (name: string) => {
        const [, list] = new RegExp(`^local ${name} = \\{([^}]*)\\}`, 'm').exec(log)!
        return [...list!.matchAll(/"([^"]+)"/g)].map(([, header]) => header)
      }
      expect(listed('REQUEST_HEADERS')).toEqual(REQUEST_HEADERS)
      expect(listed('RESPONSE_HEADERS')).toEqual(RESPONSE_HEADERS)
      expect(listed('RESPONSE_HEADER_PREFIXES')).toEqual(RESPONSE_HEADER_PREFIXES)
    })
  })
})
