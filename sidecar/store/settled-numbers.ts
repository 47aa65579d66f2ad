import { DatabaseSync } from 'node:sqlite'
import { decodeHoles, isSettled } from './numbers.ts'
import { epochKey } from './open-database.ts'

export interface SettledNumbers {
  isSettled(epoch: string, sequence: number): boolean
  close(): void
}

/**
 * What the file says of a capture's number, on the event loop's own read-only connection: one look-up by key. It saves the
 * work of reading a capture again; a file that cannot be read now says no, and the writer decides.
 */
export function makeSettledNumbers(file: string): SettledNumbers {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 0 })
  const select = database.prepare('SELECT highest, closed_below, holes FROM epochs WHERE epoch = ?')
  return {
    isSettled(epoch, sequence) {
      try {
        const row = select.get(epochKey(epoch)) as
          | { highest: number; closed_below: number; holes: Uint8Array | null }
          | undefined
        if (row === undefined || sequence > row.highest || sequence <= row.closed_below) return false
        return isSettled(
          { highest: row.highest, closedBelow: row.closed_below, holes: decodeHoles(row.holes) },
          sequence,
        )
      } catch {
        return false
      }
    },
    close: () => database.close(),
  }
}
