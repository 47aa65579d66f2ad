import { existsSync } from 'node:fs'
import { isMarkedDamaged, prepareDataFolder, salvagedFile, storeFile, unmarkDamaged } from './data-folder.ts'
import type { Maintenance } from './maintenance-thread.ts'
import { type MigrationSummary, needsMigration } from './migrate-two-stores.ts'
import type { SalvageSummary } from './salvage.ts'
import { DEFAULT_LIMITS, openStore, reservedTenantsOf, type Store, type StoreOptions } from './store.ts'
import { startThread } from './thread.ts'

/** What happens before the store is open, for the log. */
export type Say = (level: 'info' | 'warn' | 'error', fields: object, message: string) => void

/** Opens the store of a data folder: brings an older one to one file, and reads a damaged one into a new one. */
export async function openDataFolder(folder: string, options: Omit<StoreOptions, 'file'>, say: Say): Promise<Store> {
  const file = storeFile(folder)
  const opened = prepareDataFolder(folder)
  if (opened.length > 0) say('warn', { files: opened }, 'these could be read by other users of this machine; no longer')
  if (needsMigration(folder)) {
    say(
      'info',
      { data: folder },
      'bringing ledger.db and spool.db into one store; captures are refused meanwhile and come again',
    )
    const summary = await maintain<MigrationSummary>({
      do: 'migrate',
      folder,
      options: {
        labelLimits: options.labelLimits ?? DEFAULT_LIMITS,
        callRetentionMs: options.callRetentionMs,
        reservedTenants: reservedTenantsOf(options),
      },
    })
    say('info', summary, 'one store now: observer.db; the old files are kept in before-one-store/')
  }
  if (isMarkedDamaged(file)) {
    if (existsSync(file) || existsSync(salvagedFile(file))) {
      say('warn', { file }, 'the store has a damaged page: what can be read goes into a new file')
      const { kept, copied } = await maintain<SalvageSummary>({ do: 'salvage', file })
      say('error', { kept, ...copied }, 'the store was damaged; run kong-llm-observer check, and compare with a backup')
    }
    unmarkDamaged(file)
  }
  const store = await openStore({ ...options, file })
  // What opening has made.
  prepareDataFolder(folder)
  return store
}

async function maintain<T>(work: Maintenance): Promise<T> {
  const { thread, opened } = await startThread<never, never, T>('maintenance-thread', work)
  await thread.close()
  return opened
}
