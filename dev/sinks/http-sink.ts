import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

/**
 * What a stand-in does instead of its work, `times` requests long or until it is told otherwise. A hanging request is
 * ended by its client. `retryAfter`: seconds, or an HTTP date.
 */
export type Fault = (
  | { kind: 'status'; status: number; retryAfter?: number | string }
  | { kind: 'hang' }
  | { kind: 'reset' }
  | { kind: 'garbage' }
) & { times?: number }

export interface HttpSink {
  url: string
  port: number
  setFault(fault: Fault | undefined): void
  /** Requests that were answered by a fault. */
  faulted(): number
  requests(): number
  /** Body of the last request, decompressed, whatever the answer was. */
  lastBody(): Buffer
  close(): Promise<void>
}

export interface Received {
  request: IncomingMessage
  /** Decompressed. */
  body: Buffer
}
type Reply = { status: number; body?: string; headers?: Record<string, string> }

/** The HTTP of all stand-ins: a port, faults, gzip. What they stand in for is in `handle`. */
export async function startHttpSink(port: number, handle: (received: Received) => Reply): Promise<HttpSink> {
  let fault: Fault | undefined
  let faulted = 0
  let requests = 0
  let faultsLeft = 0
  let lastBody: Buffer = Buffer.alloc(0)
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', () => {
      requests++
      const sent = Buffer.concat(chunks)
      let body: Buffer | undefined
      try {
        body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
        lastBody = body
      } catch {}
      if (fault !== undefined && faultsLeft-- > 0) {
        faulted++
        answerFault(fault, request, response)
        return
      }
      if (body === undefined) {
        response.writeHead(400).end()
        return
      }
      const reply = handle({ request, body })
      response.writeHead(reply.status, reply.headers).end(reply.body)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    setFault(next) {
      fault = next
      faultsLeft = next?.times ?? Number.POSITIVE_INFINITY
    },
    faulted: () => faulted,
    requests: () => requests,
    lastBody: () => lastBody,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answerFault(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
  switch (fault.kind) {
    case 'status': {
      const headers = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }
      response.writeHead(fault.status, headers).end('fault')
      return
    }
    case 'reset':
      response.writeHead(200, { 'content-length': '1000' })
      response.write('half')
      setImmediate(() => request.socket.destroy())
      return
    case 'garbage':
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(Buffer.from([0xff, 0xfe, 0x00, 0x9f]))
      return
    case 'hang':
      return
  }
}
