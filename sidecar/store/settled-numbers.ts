import { DatabaseSync } from 'node:sqlite'
import { decodeHoles, isSettled, type Numbers } from './numbers.ts'
import { epochKey } from './open-database.ts'

/** Whether a capture with this number is known to be stored or told lost. */
export type IsSettled = (epoch: string, sequence: number) => boolean

export interface SettledNumbers {
  /** Of one batch: each epoch is read once. */
  now(): IsSettled
  close(): void
}

/**
 * What the file says of a capture's number, on the event loop's own read-only connection: one look-up by key. It saves the
 * work of reading a capture again; a file that cannot be read now says no, and the writer decides.
 */
export function makeSettledNumbers(file: string): SettledNumbers {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 0 })
  const select = database.prepare('SELECT highest, closed_below, holes FROM epochs WHERE epoch = ?')
  function read(epoch: string): Numbers | undefined {
    try {
      const row = select.get(epochKey(epoch)) as
        | { highest: number; closed_below: number; holes: Uint8Array | null }
        | undefined
      return row && { highest: row.highest, closedBelow: row.closed_below, holes: decodeHoles(row.holes) }
    } catch {
      return undefined
    }
  }
  return {
    now() {
      const epochs = new Map<string, Numbers | undefined>()
      return (epoch, sequence) => {
        let numbers = epochs.get(epoch)
        if (numbers === undefined && !epochs.has(epoch)) {
          numbers = read(epoch)
          epochs.set(epoch, numbers)
        }
        return numbers !== undefined && isSettled(numbers, sequence)
      }
    },
    close: () => database.close(),
  }
}
