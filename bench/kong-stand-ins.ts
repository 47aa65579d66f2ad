import { randomBytes } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'

/**
 * For bench/kong.sh: a provider that costs next to nothing (`/small`: 4 KB of JSON, `/stream`: 100 events), and sinks that take
 * everything and count what arrived (`GET /count/observed`, `/count/ship-tap`, `/count/http-log`). `node kong-stand-ins.ts PROVIDER SINK COLLECTOR`,
 * ports on loopback.
 */
const [provider, sink, collector] = process.argv.slice(2).map(Number)
/** Answers differ from call to call: equal strings cost LuaJIT less than they do in life. */
const text = (length: number) => randomBytes((length * 3) / 4).toString('base64url')
const answers = Array.from({ length: 1000 }, (_, n) =>
  JSON.stringify({
    id: `chatcmpl-${n}`,
    object: 'chat.completion',
    model: 'gpt-4o',
    choices: [{ index: 0, message: { role: 'assistant', content: text(3800) }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 500, completion_tokens: 900, total_tokens: 1400 },
  }),
)
const event = () =>
  `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: text(8) } }] })}\n\n`
const streams = Array.from({ length: 200 }, () => Array.from({ length: 100 }, event))
let turn = 0

const provide: RequestListener = (request, response) => {
  request.resume()
  turn++
  if (request.url !== '/stream') {
    const answer = answers[turn % answers.length]!
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) })
    response.end(answer)
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const events = streams[turn % streams.length]!
  let at = 0
  const next = () => {
    response.write(events[at++]!)
    if (at < events.length) setImmediate(next)
    else response.end('data: [DONE]\n\n')
  }
  next()
}
/** What stands once in each capture, and once in each document of http-log; content holds no quotes that are not escaped. */
const MARKS = { '/v1/captures': Buffer.from('"sequence":'), '/log': Buffer.from('"latencies":') }
const counts = { '/v1/captures': 0, '/log': 0 }

const take: RequestListener = (request, response) => {
  const { url } = request
  if (request.method === 'GET')
    return void response.end(String(url === '/count/http-log' ? counts['/log'] : counts['/v1/captures']))
  const counted = url === '/v1/captures' || url === '/log' ? url : undefined
  // The end of a chunk, in which a mark may have begun.
  let rest = Buffer.alloc(0)
  request.on('data', (chunk: Buffer) => {
    if (counted === undefined) return
    const mark = MARKS[counted]
    const bytes = Buffer.concat([rest, chunk])
    let at = 0
    for (let found = bytes.indexOf(mark); found >= 0; found = bytes.indexOf(mark, at)) {
      counts[counted]++
      at = found + mark.length
    }
    rest = bytes.subarray(Math.max(at, bytes.length - mark.length + 1))
  })
  request.on('end', () => response.writeHead(url === '/log' ? 200 : 202).end())
}

createServer(provide).listen(provider, '127.0.0.1')
createServer(take).listen(sink, '127.0.0.1')
createServer((request, response) => void request.resume().on('end', () => response.writeHead(200).end())).listen(
  collector,
  '127.0.0.1',
)
