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

const BEHIND = 'a sink is behind for milliseconds, unless it is away'
const LOSSES = 'nothing is lost'
const WATCHERS = 'rules can be evaluated, and nobody notifies'
const STORE = 'the disk is well'
const NO_SUCH_INCIDENT = 'it takes a faulty disk: the tests of sidecar/store have one'

export const QUIET_QUERIES: Readonly<Record<string, Quiet>> = {
  'llm-overview: Alerts that fire A': { ordinary: 'empty', why: 'no alert fires but the watchdog' },
  'llm-telemetry: Captures lost A': { ordinary: 'zero', why: LOSSES },
  'llm-telemetry: Dead letters A': { ordinary: 'zero', why: 'no sink refuses a call for good' },
  'llm-telemetry: Log used A': { ordinary: 'sometimes', why: BEHIND },
  'llm-telemetry: Losses A': { ordinary: 'zero', why: LOSSES },
  'llm-telemetry: Losses B': { ordinary: 'zero', why: LOSSES, zeroInIncident: 'nothing comes after it was given up' },
  'llm-telemetry: Losses C': { ordinary: 'zero', why: LOSSES, zeroInIncident: 'nothing comes after it was given up' },
  'llm-telemetry: Losses D': { ordinary: 'zero', why: 'no hook of the tap fails' },
  'llm-telemetry: Errors of the plugin A': { ordinary: 'sometimes', why: 'the plugin has none' },
  'llm-telemetry: Requests refused A': { ordinary: 'zero', why: 'the plugin has the right token' },
  'llm-telemetry: Size of the store C': { ordinary: 'sometimes', why: BEHIND },
  'llm-telemetry: Size of the store E': { ordinary: 'zero', why: 'no sink refuses a call for good' },
  'llm-telemetry: Trouble of the store A': { ordinary: 'zero', why: STORE, zeroInIncident: NO_SUCH_INCIDENT },
  'llm-telemetry: Trouble of the store B': { ordinary: 'zero', why: STORE, zeroInIncident: NO_SUCH_INCIDENT },
  'llm-telemetry: Trouble of the store C': { ordinary: 'zero', why: 'nobody puts an older file back' },
  'llm-telemetry: Lag A': { ordinary: 'sometimes', why: BEHIND },
  'llm-telemetry: Calls that wait A': { ordinary: 'sometimes', why: BEHIND },
  'llm-telemetry: Calls that wait B': {
    ordinary: 'zero',
    why: 'no tenant has a key or a limit of its own',
    zeroInIncident: 'the stand-in sinks refuse all tenants alike',
  },
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
