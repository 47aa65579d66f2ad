import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Exchange } from './exchange.ts'
import { answerBody, KONG_SERVER, KONG_VIA, type KongAnswer } from './kong-answers.ts'

/**
 * A request that asks for another protocol (WebSocket): after the handshake its bytes pass as they are, and no hook sees
 * them. Resolves when either side has ended.
 */
export function passUpgrade(
  exchange: Exchange,
  upstream: { host: string; port: number },
  client: Duplex,
  head: Buffer,
): Promise<void> {
  return new Promise((resolve) => {
    const startedAt = Date.now()
    exchange.kongMs = startedAt - exchange.startedAt
    exchange.tries.push({
      ip: upstream.host,
      port: upstream.port,
      balancer_start: startedAt,
      balancer_start_ns: startedAt * 1e6,
      balancer_latency: 0,
      balancer_latency_ns: 0,
    })
    const server = connect(upstream)
    let first = true
    const end = () => {
      client.destroy()
      server.destroy()
      resolve()
    }
    server.on('connect', () => {
      const lines = Object.entries(exchange.requestHeaders).flatMap(([name, value]) =>
        [value].flat().map((text) => `${name}: ${text}`),
      )
      server.write(`${exchange.method} ${exchange.upstreamUri} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
      if (head.length > 0) server.write(head)
    })
    server.on('data', (chunk: Buffer) => {
      if (first) {
        first = false
        exchange.source = 'service'
        exchange.waitingMs = Date.now() - startedAt
        const status = /^HTTP\/1\.\d (\d{3})/.exec(chunk.toString('latin1', 0, 20))?.[1]
        exchange.status = Number(status ?? 502)
        exchange.upstreamStatus = status ?? ''
        exchange.responseHeaders = { server: KONG_SERVER, via: KONG_VIA }
      }
      client.write(chunk)
    })
    client.on('data', (chunk: Buffer) => server.write(chunk))
    server.on('error', () => {
      if (first)
        refuseUpgrade(exchange, client, {
          status: 502,
          message: 'An invalid response was received from the upstream server',
        })
      end()
    })
    for (const side of [server, client]) {
      side.on('end', end)
      side.on('close', end)
    }
    client.on('error', end)
  })
}

/** Kong's own answer to a request that asked for an upgrade. */
export function refuseUpgrade(exchange: Exchange, client: Duplex, { status, message, headers }: KongAnswer): void {
  exchange.status = status
  const body = answerBody(message, exchange.id)
  exchange.responseHeaders = { server: KONG_SERVER, 'content-type': 'application/json; charset=utf-8' }
  const lines = Object.entries({
    ...exchange.responseHeaders,
    ...headers,
    'content-length': String(body.length),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}`)
  client.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('\r\n')}\r\n\r\n${body.toString()}`)
}
