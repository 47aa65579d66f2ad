import { type IncomingHttpHeaders, request } from 'node:http'

export interface Received {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  text: string
  json: Record<string, unknown>
  /** The body as it came, one item for each piece that the parser gave. */
  pieces: number
  /** False where the connection broke before the end. */
  complete: boolean
  usage: Record<string, unknown>
}

/** A plain client for the tests: sends one request and reads the answer as far as it comes. */
export function call(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
  method = 'POST',
): Promise<Received> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method, headers: { 'content-type': 'application/json', ...headers }, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        const done = (complete: boolean) => {
          const bytes = Buffer.concat(chunks)
          const text = bytes.toString('utf8')
          let json: Record<string, unknown> = {}
          try {
            json = JSON.parse(text)
          } catch {
            // a stream, or cut: the test looks at `text`
          }
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: bytes,
            text,
            json,
            pieces: chunks.length,
            complete,
            usage: JSON.parse(String(response.headers['x-mock-usage'])),
          })
        }
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => done(true))
        response.on('error', () => done(false))
      },
    )
    sent.on('error', reject)
    sent.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body))
  })
}

/** The events of a server-sent event stream, which must be framed to the letter: fields, then one empty line. */
export function eventsOf(text: string): { event: string | undefined; data: string }[] {
  if (!text.endsWith('\n\n')) throw new Error('the stream does not end with an empty line')
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((block) => {
      const lines = block.split('\n')
      const field = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2))
      const data = field('data')
      if (data.length !== 1 || field('event').length + 1 !== lines.length) throw new Error(`bad framing: ${block}`)
      return { event: field('event')[0], data: data[0]! }
    })
}
