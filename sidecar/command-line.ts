import { parseArgs } from 'node:util'
import type { Ship } from '../plugin/tap-text.ts'
import { boundsOf, type Period } from './ledger/period.ts'
import { optional } from './optional.ts'
import { EXPORTS } from './reconcile/run.ts'
import { tenantKey } from './tenant.ts'

export const USAGE = `usage: kong-llm-observer [command] [options]

commands
  serve                        run the sidecar (default)
  check                        add up the whole store anew: checksums, sums, numbers; ends with 1 where something is wrong
  backup [FILE]                a whole copy of the store, also of a running sidecar
  confirm-rollback             an older store was put back, and you know it: makes the sidecar ready again
  dead-letters list            calls that a sink will never take, with the reason
  dead-letters replay          send them to their sink again
  read FILE.jsonl              usage and cost of recorded exchanges, one JSON line each (- reads the standard input)
  reprice --from DAY --to DAY  price past calls by today's prices: adjusting entries in the ledger, beside what was counted
  unpriced                     models without a price in the ledger: reason, calls, first and last seen
  reconcile FILE…              a provider's own usage or cost export against the ledger, by day, model and key
  plugin-server                Kong's settings that start kong-js-pluginserver with the plugin, for this machine
  tap                          the tap as a plugin of Kong's Admin API (JSON): its pre-function, or --post-function

options
  -c, --config FILE            observer.yaml (default: $OBSERVER_CONFIG, else ./observer.yaml where it exists)
      --check-config           check the configuration, say all that is wrong with it, and end
      --sink NAME              dead-letters: only those of one sink
      --explain                read: how each number came about, for a person
      --from, --to DAY         reprice, unpriced, reconcile: days in UTC, both included, as 2026-11-30
      --tenant, --provider, --model NAME
                               reprice: only the calls of these
      --dry-run                reprice: say what would be adjusted, and write nothing
      --json                   unpriced, reconcile: for a program
      --names FILE             reconcile: whose key is whose tenant, which meter is which model
      --tolerance PERCENT      reconcile: how far apart the totals may be (default 0.5)
      --sidecar-url, --intake-token TEXT
                               tap: where totals are told, as in the plugin's configuration
      --post-function          tap: its other part, which reads the request's body
      --ship plugin | tap      tap: who ships captures to the sidecar (default plugin); with tap also
      --content on, --global   whether content may rest, and whether it stands on no route and no service
      --version, --help
`

export type Command =
  | { name: 'serve' | 'check-config'; config?: string }
  | { name: 'check' | 'confirm-rollback'; config?: string }
  | { name: 'backup'; file?: string; config?: string }
  | { name: 'dead-letters'; action: 'list' | 'replay'; config?: string; sink?: string }
  | { name: 'read'; file: string; explain: boolean; config?: string }
  | ({ name: 'reprice'; dryRun: boolean; config?: string; tenant?: string; provider?: string; model?: string } & Period)
  | { name: 'unpriced'; period?: Period; json: boolean; config?: string }
  | ReconcileCommand
  | TapCommand
  | { name: 'plugin-server' | 'version' | 'help' }

export interface TapCommand {
  name: 'tap'
  ship: Ship
  postFunction: boolean
  sidecarUrl?: string
  intakeToken?: string
  content?: 'on' | 'off'
  global: boolean
}

export interface ReconcileCommand extends Period {
  name: 'reconcile'
  provider: string
  files: string[]
  names?: string
  /** A share: 0.005 is half a percent. */
  tolerance: number
  json: boolean
  config?: string
}

export class UsageError extends Error {}

/** `argv` without node and script. Throws UsageError with a line that says what is wrong. */
export function parseCommandLine(argv: readonly string[]): Command {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(argv)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const { values, positionals } = parsed
  const config = values.config === undefined ? {} : { config: values.config }
  if (values.help) return { name: 'help' }
  if (values.version) return { name: 'version' }
  if (values['check-config']) return { name: 'check-config', ...config }
  const [name = 'serve', action, ...rest] = positionals
  if (name === 'serve' && action === undefined) return { name: 'serve', ...config }
  if (name === 'plugin-server' && action === undefined) return { name: 'plugin-server' }
  if (name === 'tap' && action === undefined) return tapCommand(values)
  if (name === 'read') {
    if (action === undefined || rest.length > 0)
      throw new UsageError('read: name one file of exchanges, or - for the standard input')
    return { name: 'read', file: action, explain: values.explain === true, ...config }
  }
  if ((name === 'check' || name === 'confirm-rollback') && action === undefined) return { name, ...config }
  if (name === 'backup' && rest.length === 0) return { name, ...config, ...optional('file', action) }
  if (name === 'dead-letters' && (action === 'list' || action === 'replay') && rest.length === 0)
    return {
      name: 'dead-letters',
      action,
      ...config,
      ...optional('sink', values.sink ?? values.reader),
    }
  if (name === 'reprice' && action === undefined) {
    const period = periodOf(values)
    if (period === undefined) throw new UsageError('reprice: name the days, as --from 2026-11-01 --to 2026-11-30')
    return {
      name: 'reprice',
      ...period,
      dryRun: values['dry-run'] === true,
      ...config,
      ...optional('tenant', values.tenant === undefined ? undefined : tenantOf(values.tenant)),
      ...optional('provider', values.provider),
      ...optional('model', values.model),
    }
  }
  if (name === 'unpriced' && action === undefined)
    return { name: 'unpriced', json: values.json === true, ...config, ...optional('period', periodOf(values)) }
  if (name === 'reconcile')
    return { ...reconcileCommand(values, action === undefined ? [] : [action, ...rest]), ...config }
  throw new UsageError(`no such command: ${positionals.join(' ')}`)
}

function tapCommand(values: ReturnType<typeof parse>['values']): TapCommand {
  const { ship = 'plugin', content = undefined } = values
  if (ship !== 'plugin' && ship !== 'tap') throw new UsageError(`--ship: plugin or tap, not ${ship}`)
  if (content !== undefined && content !== 'on' && content !== 'off')
    throw new UsageError(`--content: on or off, not ${content}`)
  if (ship === 'plugin' && (content !== undefined || values.global === true))
    throw new UsageError('--content and --global: with --ship tap; else the plugin llm-observer is told')
  return {
    name: 'tap',
    ship,
    postFunction: values['post-function'] === true,
    ...optional('sidecarUrl', values['sidecar-url']),
    // Its former name is still read.
    ...optional('intakeToken', values['intake-token'] ?? values['sidecar-token']),
    ...(content !== undefined && { content }),
    global: values.global === true,
  }
}

function reconcileCommand(values: ReturnType<typeof parse>['values'], files: string[]): ReconcileCommand {
  const known = Object.keys(EXPORTS)
  const { provider, names } = values
  if (provider === undefined || !known.includes(provider))
    throw new UsageError(`reconcile: name whose export it is, as --provider ${known.join(' | ')}`)
  const period = periodOf(values)
  if (period === undefined) throw new UsageError('reconcile: name the days, as --from 2026-11-01 --to 2026-11-30')
  if (files.length === 0) throw new UsageError('reconcile: name the files of the export')
  const percent = Number(values.tolerance ?? '0.5')
  if (!(percent >= 0 && percent <= 100)) throw new UsageError(`--tolerance: a percentage, not ${values.tolerance}`)
  return {
    name: 'reconcile',
    provider,
    ...period,
    files,
    ...optional('names', names),
    tolerance: percent / 100,
    json: values.json === true,
  }
}

/** A tenant by name or key. */
function tenantOf(written: string): string {
  const key = tenantKey(written)
  if (key === undefined) throw new UsageError(`--tenant: no call ever has the tenant ${JSON.stringify(written)}`)
  return key
}

/** Both days, or none. */
function periodOf({ from, to }: { from?: string | undefined; to?: string | undefined }): Period | undefined {
  if (from === undefined && to === undefined) return undefined
  if (from === undefined || to === undefined) throw new UsageError('--from and --to go together')
  try {
    boundsOf({ from, to })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  return { from, to }
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' },
      'check-config': { type: 'boolean' },
      sink: { type: 'string' },
      // Its name up to version 0.1.
      reader: { type: 'string' },
      explain: { type: 'boolean' },
      from: { type: 'string' },
      to: { type: 'string' },
      tenant: { type: 'string' },
      provider: { type: 'string' },
      model: { type: 'string' },
      'sidecar-url': { type: 'string' },
      ship: { type: 'string' },
      content: { type: 'string' },
      global: { type: 'boolean' },
      'post-function': { type: 'boolean' },
      'intake-token': { type: 'string' },
      'sidecar-token': { type: 'string' },
      'dry-run': { type: 'boolean' },
      json: { type: 'boolean' },
      names: { type: 'string' },
      tolerance: { type: 'string' },
      version: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
}
