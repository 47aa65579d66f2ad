import { Agent, request } from 'undici'

/**
 * Requests at a fixed rate, whatever the answers take; prints p50 and p99 in milliseconds, counted from the moment when each
 * was due, or was sent if that was earlier (timers are a millisecond rough). `node constant-rate.ts URL REQUESTS_A_SECOND SECONDS`
 */
const [url, rate, seconds] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])]
const dispatcher = new Agent({ connections: 64, connect: { rejectUnauthorized: false } })
const took: number[] = []
const total = rate * seconds
const begun = performance.now()
const body = 'x'.repeat(2048)
const running: Promise<void>[] = []

async function one(due: number): Promise<void> {
  const from = Math.min(due, performance.now() - begun)
  const { body: answer } = await request(url, { dispatcher, method: 'POST', body })
  await answer.dump()
  took.push(performance.now() - begun - from)
}
for (let sent = 0; sent < total; sent++) {
  const due = (sent * 1000) / rate
  const early = due - (performance.now() - begun)
  if (early > 1) await new Promise((resolve) => setTimeout(resolve, early))
  running.push(one(due))
}
await Promise.all(running)
await dispatcher.close()
took.sort((a, b) => a - b)
const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))]!.toFixed(2)
process.stdout.write(`p50 ${at(0.5)} ms   p99 ${at(0.99)} ms   ${took.length} requests\n`)
