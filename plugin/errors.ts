import type { PluginError } from '../sidecar/capture-batch.ts'

/**
 * What goes wrong in the plugin server. A closed list. It is told to the sidecar, which logs and counts it: what a plugin
 * server writes Kong logs at level `info`, and its default is `notice`.
 * `pdk_timeout`, `pdk_error`, `tap_table_invalid`: a capture that could not be read and whose number is not known; the
 * tap's number shows as a gap.
 */
export type ErrorKind =
  | 'pdk_timeout'
  | 'pdk_error'
  | 'tap_table_invalid'
  | 'capture_invalid'
  | 'capture_given_up'
  | 'losses_untold'
  | 'sidecar_away'
  | 'sidecar_refuses'
  | 'connection_closed'

/** These the sidecar knows, or learns with the next batch that it takes: none is sent for them alone. */
const WITH_THE_NEXT: ReadonlySet<ErrorKind> = new Set(['sidecar_away', 'sidecar_refuses', 'capture_invalid'])
const MAX_MESSAGE = 300

/** Running totals by kind since this shipper began, with the last message of each. Messages hold no content. */
export interface Errors {
  note(kind: ErrorKind, message?: string, count?: number): void
  /** Something to tell for which a batch is sent. */
  readonly untold: boolean
  /** All totals. */
  report(): PluginError[]
  acknowledged(report: readonly PluginError[]): void
  /** What is untold goes to another shipper's errors. */
  moveTo(other: Errors): void
}

export function makeErrors(): Errors {
  const kinds = new Map<ErrorKind, { total: number; acknowledged: number; message: string | undefined }>()

  return {
    note(kind, message, count = 1) {
      const known = kinds.get(kind) ?? { total: 0, acknowledged: 0, message: undefined }
      known.total += count
      if (message !== undefined) known.message = message.slice(0, MAX_MESSAGE)
      kinds.set(kind, known)
    },
    get untold() {
      for (const [kind, { total, acknowledged }] of kinds)
        if (total > acknowledged && !WITH_THE_NEXT.has(kind)) return true
      return false
    },
    report: () =>
      [...kinds].map(([kind, { total, message }]) =>
        message === undefined ? { kind, total } : { kind, total, message },
      ),
    acknowledged(report) {
      for (const { kind, total } of report) {
        const known = kinds.get(kind as ErrorKind)
        if (known !== undefined) known.acknowledged = Math.max(known.acknowledged, total)
      }
    },
    moveTo(other) {
      for (const [kind, known] of kinds) {
        if (known.total > known.acknowledged) other.note(kind, known.message, known.total - known.acknowledged)
        known.acknowledged = known.total
      }
    },
  }
}
