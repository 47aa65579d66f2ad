import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

export interface CountingSink {
  url: string
  /** Calls that have come: how often the mark stood in what came. */
  calls(): number
  /** As it came over the wire. */
  bytes(): number
  close(): void
}

/** A sink that takes everything and looks for nothing but a mark that stands once in each call. */
export async function openCountingSink(status: number, mark: string): Promise<CountingSink> {
  const needle = Buffer.from(mark)
  let calls = 0
  let bytes = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      bytes += body.length
      const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
      for (let at = plain.indexOf(needle); at !== -1; at = plain.indexOf(needle, at + needle.length)) calls++
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: () => calls,
    bytes: () => bytes,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
