import type { Logger } from './logger.ts'

const EVERY_MS = 60_000
const MAX_KINDS = 1000

export interface LogLimit {
  /** At most one line a minute of this kind, which says how many were left out since the last (`suppressed`). */
  warn(kind: string, fields: object, message: string): void
  info(kind: string, fields: object, message: string): void
  error(kind: string, fields: object, message: string): void
}

/**
 * Log lines limited by kind. What is left out is written at level DEBUG. Kinds are few and made of words of closed
 * lists; beyond 1000 the one that is oldest is forgotten.
 */
export function makeLogLimit(logger: Logger, now: () => number = Date.now): LogLimit {
  const kinds = new Map<string, { at: number; suppressed: number }>()
  function write(level: 'info' | 'warn' | 'error', kind: string, fields: object, message: string): void {
    const key = `${level} ${kind}`
    const known = kinds.get(key)
    const at = now()
    if (known !== undefined && at - known.at < EVERY_MS) {
      known.suppressed++
      logger.debug(fields, message)
      return
    }
    kinds.delete(key)
    kinds.set(key, { at, suppressed: 0 })
    if (kinds.size > MAX_KINDS) kinds.delete(kinds.keys().next().value!)
    const suppressed = known?.suppressed ?? 0
    logger[level](suppressed > 0 ? { ...fields, suppressed } : fields, message)
  }
  return {
    info: (kind, fields, message) => write('info', kind, fields, message),
    warn: (kind, fields, message) => write('warn', kind, fields, message),
    error: (kind, fields, message) => write('error', kind, fields, message),
  }
}
