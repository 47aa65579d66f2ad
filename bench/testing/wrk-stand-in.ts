import { Agent, request } from 'undici'

/** As much of wrk as bench/kong.sh reads: a few requests, whatever the time that is asked for. */
const REQUESTS = 25
const url = process.argv.at(-1)!
const dispatcher = new Agent({ connections: 4, connect: { rejectUnauthorized: false } })
const began = performance.now()
let bad = 0
for (let sent = 0; sent < REQUESTS; sent++) {
  const { statusCode, body } = await request(url, { dispatcher, method: 'POST', body: 'x'.repeat(2048) })
  await body.dump()
  if (statusCode >= 300) bad++
}
const seconds = (performance.now() - began) / 1000
await dispatcher.close()
console.log(`  Latency Distribution
     50%  ${((seconds * 1000) / REQUESTS).toFixed(2)}ms
     99%  ${((seconds * 1000) / REQUESTS).toFixed(2)}ms
  ${REQUESTS} requests in ${seconds.toFixed(2)}s, 1.00MB read${bad > 0 ? `\n  Non-2xx or 3xx responses: ${bad}` : ''}
Requests/sec:   ${(REQUESTS / seconds).toFixed(2)}`)
