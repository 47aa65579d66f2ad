import { openStore } from '../store/store.ts'
import { makeCall } from './make-call.ts'

// A child that appends numbered calls 1 … n, ten a batch, and says after each how many were acknowledged, until it is done or killed.
const [file, count] = process.argv.slice(2)
const store = await openStore({ file: file!, sinks: [] })
for (let from = 1; from <= Number(count); from += 10) {
  await store.append({
    calls: Array.from({ length: 10 }, (_, index) => {
      const sequence = from + index
      return makeCall({ gateway: { node: 'n', source: 'tap', epoch: 'e', sequence } }, sequence)
    }),
  })
  process.stdout.write(`${from + 9}\n`)
}
await store.close()
