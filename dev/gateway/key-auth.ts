import type { Exchange } from './exchange.ts'
import { ANSWERS, type KongAnswer } from './kong-answers.ts'
import type { Credential, KeyAuth } from './kong-config.ts'

const CONSUMER_HEADERS = ['x-consumer-id', 'x-consumer-custom-id', 'x-consumer-username', 'x-credential-identifier']

/**
 * Kong's key-auth: the key stands in a header or in the query. Sets the consumer of the exchange and the headers that
 * the upstream and the log see; gives back the refusal where there is none.
 */
export function authenticate(
  exchange: Exchange,
  plugin: KeyAuth,
  consumers: ReadonlyMap<string, Credential>,
): KongAnswer | undefined {
  const headers = exchange.requestHeaders
  let key: string | string[] | undefined
  for (const name of plugin.keyNames) {
    key = headers[name] ?? fromQuery(exchange.upstreamUri, name)
    if (key === undefined) continue
    if (plugin.hideCredentials) {
      delete headers[name]
      exchange.upstreamUri = withoutArgument(exchange.upstreamUri, name)
    }
    break
  }
  if (Array.isArray(key)) return ANSWERS.duplicateKey
  if (key === undefined || key === '') return ANSWERS.noKey
  const credential = consumers.get(key)
  if (credential === undefined) return ANSWERS.wrongKey

  const { consumer } = credential
  exchange.consumer = consumer
  exchange.credentialId = credential.id
  // What the client sent under these names is not believed.
  for (const name of CONSUMER_HEADERS) delete headers[name]
  headers['x-consumer-id'] = consumer.id
  if (consumer.customId !== undefined) headers['x-consumer-custom-id'] = consumer.customId
  headers['x-consumer-username'] = consumer.username
  headers['x-credential-identifier'] = credential.id
  return undefined
}

function fromQuery(uri: string, name: string): string | string[] | undefined {
  const mark = uri.indexOf('?')
  if (mark < 0) return undefined
  const values = new URLSearchParams(uri.slice(mark + 1)).getAll(name)
  return values.length > 1 ? values : values[0]
}

function withoutArgument(uri: string, name: string): string {
  const mark = uri.indexOf('?')
  if (mark < 0) return uri
  const query = new URLSearchParams(uri.slice(mark + 1))
  if (!query.has(name)) return uri
  query.delete(name)
  return query.size === 0 ? uri.slice(0, mark) : `${uri.slice(0, mark)}?${query}`
}
