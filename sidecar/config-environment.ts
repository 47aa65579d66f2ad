import { closestName } from './closest-name.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Environment variables that stand above the file. Any other OBSERVER_… variable is a mistake and refused. */
export const ENVIRONMENT_SETTINGS: Readonly<Record<string, { path: readonly string[]; number?: true }>> = {
  OBSERVER_LISTEN_HOST: { path: ['listen', 'host'] },
  OBSERVER_LISTEN_PORT: { path: ['listen', 'port'], number: true },
  OBSERVER_LISTEN_SOCKET: { path: ['listen', 'socket'] },
  OBSERVER_INTAKE_TOKEN: { path: ['listen', 'tokens', 'intake'] },
  OBSERVER_METRICS_TOKEN: { path: ['listen', 'tokens', 'metrics'] },
  OBSERVER_API_TOKEN: { path: ['listen', 'tokens', 'api'] },
  OBSERVER_ADMIN_TOKEN: { path: ['listen', 'tokens', 'admin'] },
  OBSERVER_DATA: { path: ['data'] },
  OBSERVER_LOG_LEVEL: { path: ['log', 'level'] },
  OBSERVER_STORE_LOG_LIMIT: { path: ['store', 'logLimit'] },
  OBSERVER_OTLP_ENDPOINT: { path: ['exporters', 'otlp', 'endpoint'] },
  OBSERVER_LANGFUSE_URL: { path: ['exporters', 'langfuse', 'url'] },
  OBSERVER_LANGFUSE_PUBLIC_KEY: { path: ['exporters', 'langfuse', 'publicKey'] },
  OBSERVER_LANGFUSE_SECRET_KEY: { path: ['exporters', 'langfuse', 'secretKey'] },
  OBSERVER_LOKI_URL: { path: ['exporters', 'loki', 'url'] },
}
/** Former names, still read. */
const FORMER: Readonly<Record<string, string>> = {
  OBSERVER_TOKEN: 'OBSERVER_INTAKE_TOKEN',
  OBSERVER_SPOOL_LIMIT: 'OBSERVER_STORE_LOG_LIMIT',
}
/** Read elsewhere: the file's own name. */
const NOT_SETTINGS = new Set(['OBSERVER_CONFIG'])

/** What Kubernetes tells every container of a Service named `observer` or `observer-…` in its namespace. */
const SERVICE_LINK =
  /^OBSERVER_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/
const LINK_VALUE = /^(?:tcp|udp|sctp):\/\//

export interface EnvironmentReading {
  /** Path of a setting, joined by dots → the variable that gave it. */
  from: ReadonlyMap<string, string>
  problems: string[]
  warnings: string[]
}

/** Lays the variables over the settings of the file. */
export function applyEnvironment(settings: Record<string, unknown>, environment: Environment): EnvironmentReading {
  const from = new Map<string, string>()
  const problems: string[] = []
  const warnings: string[] = []
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('OBSERVER_') || value === undefined || NOT_SETTINGS.has(name)) continue
    const current = Object.hasOwn(FORMER, name) ? FORMER[name]! : name
    const setting = Object.hasOwn(ENVIRONMENT_SETTINGS, current) ? ENVIRONMENT_SETTINGS[current] : undefined
    if (LINK_VALUE.test(value) && name.includes('PORT')) continue
    if (setting === undefined) {
      if (!SERVICE_LINK.test(name)) problems.push(`${name}: ${unknownText(name)}`)
      continue
    }
    if (current !== name) {
      warnings.push(`${name}: is called ${current} now`)
      if (environment[current] !== undefined) continue
    }
    if (setting.number && !/^\d+$/.test(value.trim())) {
      problems.push(`${name}: ${setting.path.join('.')}: write a whole number, not ${JSON.stringify(value)}`)
      continue
    }
    from.set(setting.path.join('.'), name)
    assign(settings, setting.path, setting.number ? Number(value) : value)
  }
  return { from, problems, warnings }
}

/** The variable that stands for a setting of the file, if there is one. */
export function variableOf(path: string): string | undefined {
  return Object.entries(ENVIRONMENT_SETTINGS).find(([, setting]) => setting.path.join('.') === path)?.[0]
}

function unknownText(name: string): string {
  const nearest = closestName(name, Object.keys(ENVIRONMENT_SETTINGS))
  return nearest === undefined
    ? 'no such setting (docs/configuration.md names all); rename the variable if it is not meant for us'
    : `no such setting; did you mean ${nearest}?`
}

function assign(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = target
  for (const key of path.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {}
    at = at[key] as Record<string, unknown>
  }
  at[path[path.length - 1]!] = value
}
