import { guardedState } from '../server-guard.ts'
import { allShippers } from '../shippers.ts'

// Loaded before the plugin server (--import): on SIGUSR2 the process tells on stderr what it holds.
process.on('SIGUSR2', () => {
  const resources: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const held = allShippers().reduce((sum, shipper) => sum + shipper.held, 0)
  const state = { servers: guardedState(), shippers: allShippers().length, held, resources }
  process.stderr.write(`STATE ${JSON.stringify(state)}\n`)
})
