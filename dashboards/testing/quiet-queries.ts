/**
 * Queries of boards that ordinary traffic leaves without a number (`empty`), or with none but 0 (`zero`; `sometimes`: it
 * depends on when Prometheus looked). All others must return something else than 0 (test/boards.servers.test.ts); these must in the
 * incident replay, and an entry that ordinary traffic does not need is an error.
 */
export interface Quiet {
  ordinary: 'empty' | 'zero' | 'sometimes'
  why: string
  /** Why it is 0 in the incident replay too. A number is returned there all the same. */
  zeroInIncident?: string
}

const BEHIND = 'a reader is behind for milliseconds, unless its sink is away'
const LOSSES = 'nothing is lost'
const WATCHERS = 'rules can be evaluated, and nobody notifies'

export const QUIET_QUERIES: Readonly<Record<string, Quiet>> = {
  'llm-overview: Alerts that fire A': { ordinary: 'empty', why: 'no alert fires but the watchdog' },
  'llm-telemetry: Captures lost A': { ordinary: 'zero', why: LOSSES },
  'llm-telemetry: Ledger behind A': {
    ordinary: 'sometimes',
    why: BEHIND,
    zeroInIncident: 'the ledger reads the spool without any sink: it is behind only where the disk is slow',
  },
  'llm-telemetry: Dead letters A': { ordinary: 'zero', why: 'no sink refuses a call for good' },
  'llm-telemetry: Losses A': { ordinary: 'zero', why: LOSSES },
  'llm-telemetry: Losses B': { ordinary: 'zero', why: LOSSES },
  'llm-telemetry: Losses C': { ordinary: 'zero', why: 'no hook of the tap fails' },
  'llm-telemetry: Requests refused A': { ordinary: 'zero', why: 'the plugin has the right token' },
  'llm-telemetry: Lag A': { ordinary: 'sometimes', why: BEHIND },
  'llm-telemetry: Calls that wait A': { ordinary: 'sometimes', why: BEHIND },
  'llm-telemetry: Batches sent again A': { ordinary: 'zero', why: 'every sink takes every batch' },
  'llm-telemetry: Names beyond the limits, malformed amounts A': {
    ordinary: 'zero',
    why: 'models are within the limit',
  },
  'llm-telemetry: Names beyond the limits, malformed amounts B': { ordinary: 'zero', why: 'providers count right' },
  'llm-telemetry: Rules and notifications that failed A': { ordinary: 'zero', why: WATCHERS },
  'llm-telemetry: Rules and notifications that failed B': {
    ordinary: 'zero',
    why: WATCHERS,
    zeroInIncident: 'no Alertmanager runs here; test/alert-delivery.servers.test.ts has a real one whose services fail',
  },
}
