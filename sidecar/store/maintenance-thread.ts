import { workerData } from 'node:worker_threads'
import { migrateTwoStores } from './migrate-two-stores.ts'
import { salvage } from './salvage.ts'
import { serveThread } from './thread.ts'
import type { WriterOptions } from './writer.ts'

/** One piece of work that may take minutes, in a thread of its own: its result is what opening gives. */
export type Maintenance =
  | {
      do: 'migrate'
      folder: string
      options: Pick<WriterOptions, 'labelLimits' | 'callRetentionMs' | 'reservedTenants'>
    }
  | { do: 'salvage'; file: string }

serveThread(() => ({ opened: run(workerData as Maintenance), handle: () => {} }))

function run(work: Maintenance): unknown {
  switch (work.do) {
    case 'migrate':
      return migrateTwoStores(work.folder, work.options, Date.now())
    case 'salvage':
      return salvage(work.file, Date.now())
  }
}
