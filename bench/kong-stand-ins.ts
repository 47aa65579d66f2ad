import { createServer, type RequestListener } from 'node:http'

/**
 * For bench/kong.sh: a provider that costs next to nothing (`/small`: 4 KB of JSON, `/stream`: 100 events), and sinks that take
 * everything. `node kong-stand-ins.ts PROVIDER SINK COLLECTOR`, ports on loopback.
 */
const [provider, sink, collector] = process.argv.slice(2).map(Number)
const answer = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-4o',
  choices: [{ index: 0, message: { role: 'assistant', content: 'x'.repeat(3800) }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 500, completion_tokens: 900, total_tokens: 1400 },
})
const event = `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'word ' } }] })}\n\n`

const provide: RequestListener = (request, response) => {
  request.resume()
  if (request.url !== '/stream') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) })
    response.end(answer)
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let left = 100
  const next = () => {
    response.write(event)
    if (--left > 0) setImmediate(next)
    else response.end('data: [DONE]\n\n')
  }
  next()
}
const take: RequestListener = (request, response) =>
  void request.resume().on('end', () => response.writeHead(request.url === '/log' ? 200 : 202).end())

createServer(provide).listen(provider, '127.0.0.1')
createServer(take).listen(sink, '127.0.0.1')
createServer((request, response) => void request.resume().on('end', () => response.writeHead(200).end())).listen(
  collector,
  '127.0.0.1',
)
