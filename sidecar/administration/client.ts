import { existsSync } from 'node:fs'
import { Client } from 'undici'
import { storeFile } from '../store/data-folder.ts'
import type { ErasedSlice } from '../store/erasure.ts'
import { needsMigration } from '../store/migrate-two-stores.ts'
import type { DeadLetter, StoreOptions } from '../store/store.ts'
import { openStore } from '../store/store.ts'
import { somebodyServes } from '../unix-socket.ts'
import { type Administration, administrationSocket } from './server.ts'

export interface OpenedAdministration extends Omit<Administration, 'confirmRollback' | 'rolledBack'> {
  /** How many captures the store had lost when it went back; 0: there was nothing to confirm. */
  confirmRollback(): Promise<number>
  close(): Promise<void>
}

/** Through the running sidecar of the data folder; where none runs, this process opens the store itself. */
export async function administer(
  folder: string,
  options: Pick<StoreOptions, 'policy'> = {},
): Promise<OpenedAdministration> {
  const path = administrationSocket(folder)
  if (await somebodyServes(path)) return remote(path)
  if (!existsSync(storeFile(folder)))
    throw new Error(
      needsMigration(folder)
        ? `${folder}: an older program wrote this store: start this one's sidecar once`
        : `${storeFile(folder)}: there is no store; \`data\` of observer.yaml names its folder`,
    )
  const store = await openStore({ ...options, file: storeFile(folder) })
  return {
    adjust: store.adjust,
    replay: store.replay,
    deadLetters: store.deadLetters,
    erase: store.erase,
    checkpoint: store.checkpoint,
    async confirmRollback() {
      const captures = store.rolledBack
      await store.confirmRollback()
      return captures
    },
    close: store.close,
  }
}

function remote(socketPath: string): OpenedAdministration {
  const client = new Client('http://localhost', { socketPath })
  async function post<T>(path: string, body: unknown): Promise<T> {
    const response = await client.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = (await response.body.json()) as T & { message?: string }
    if (response.statusCode !== 200) throw new Error(`the running sidecar refused: ${answer.message}`)
    return answer
  }
  return {
    adjust: async (adjustments) => (await post<{ written: boolean }>('/adjust', adjustments)).written,
    replay: async (sink, positions) => (await post<{ replayed: number }>('/replay', { sink, positions })).replayed,
    deadLetters: async (sink, after, limit) =>
      (await post<{ letters: DeadLetter[] }>('/dead-letters', { sink, after, limit })).letters,
    erase: (request) => post<ErasedSlice>('/erase', request),
    checkpoint: async () => (await post<{ empty: boolean }>('/checkpoint', {})).empty,
    confirmRollback: async () => (await post<{ captures: number }>('/confirm-rollback', {})).captures,
    close: () => client.close(),
  }
}
