const INTERVAL_MS = 60_000

/**
 * Lines for the operator: one JSON object on stderr (Kong writes it to its error log; stdout belongs to the protocol),
 * each kind at most once a minute. Callers pass counts and closed words only, never content, a token or an error's text.
 */
export interface Notices {
  say(level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, string | number>): void
}

export function makeNotices(
  write: (line: string) => void = (line) => process.stderr.write(line),
  now: () => number = Date.now,
): Notices {
  const lastSaid = new Map<string, number>()
  return {
    say(level, message, fields = {}) {
      const last = lastSaid.get(message)
      if (last !== undefined && now() - last < INTERVAL_MS) return
      lastSaid.set(message, now())
      write(
        `${JSON.stringify({ level, time: new Date(now()).toISOString(), name: 'llm-observer', msg: message, ...fields })}\n`,
      )
    },
  }
}
