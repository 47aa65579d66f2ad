import type { Config, Environment } from './config.ts'
import { Secret } from './secret.ts'

/**
 * Settings that take effect in a sidecar that runs, by the beginning of their path; everything else needs a restart.
 * Of `exporters` all but whether there is such a sink, and how it is delivered to.
 */
export const RELOADABLE: readonly string[] = [
  'log',
  'listen.tokens',
  'listen.hosts',
  'attribution',
  'semanticCache',
  'redaction',
  'content',
  'providers',
  'budgets',
  'estimate.whenContentOff',
  'estimate.maxTextBytes',
  'exporters.otlp',
  'exporters.langfuse',
  'exporters.loki',
]

/** A configuration, and what its secrets were when it was read: files change under it. */
export interface Snapshot {
  config: Config
  /** Path of each setting, joined by dots → its value as text; of a secret a fingerprint. */
  settings: ReadonlyMap<string, string>
}

export interface ReloadPlan {
  /** The configuration in force from now on: the new one, with the old values of what needs a restart. */
  snapshot: Snapshot
  /** Settings that changed and take effect. */
  applied: string[]
  /** Settings that changed in the file and stay as they were. */
  needsRestart: string[]
}

export function snapshotOf(config: Config, environment: Environment): Snapshot {
  const settings = new Map<string, string>()
  collect(config, [], settings, environment)
  return { config, settings }
}

/** What a new configuration changes in a sidecar that runs. Pure. */
export function planReload(current: Snapshot, next: Snapshot): ReloadPlan {
  const applied: string[] = []
  const needsRestart: string[] = []
  const paths = new Set([...current.settings.keys(), ...next.settings.keys()])
  for (const path of [...paths].sort()) {
    if (current.settings.get(path) === next.settings.get(path)) continue
    const into = isReloadable(path, current.config, next.config) ? applied : needsRestart
    into.push(path)
  }
  const settings = new Map(next.settings)
  const config = copyOf(next.config)
  for (const path of needsRestart) {
    const old = current.settings.get(path)
    if (old === undefined) settings.delete(path)
    else settings.set(path, old)
  }
  // A sink as a whole first: of one that is not there no single setting can be put back.
  const sections = needsRestart.map(sectionOf).sort((a, b) => a.length - b.length)
  for (const section of sections) take(config, current.config, section)
  return { snapshot: { config, settings }, applied, needsRestart }
}

/** What is put back as a whole where one of its settings needs a restart: it is reloadable as a whole, or not at all. */
function sectionOf(path: string): string[] {
  const names = path.split('.')
  if (DELIVERY.test(path)) return names
  return names.slice(0, ['listen', 'estimate', 'exporters'].includes(names[0]!) ? 2 : 1)
}

/** Read once, when the delivery to a sink begins. */
export const DELIVERY = /^exporters\.\w+\.(lingerMs|poisonAfterMs)$/

function isReloadable(path: string, current: Config, next: Config): boolean {
  // Tokens and host belong together: who listens for others asks them for a token.
  if (isUnder(path, 'listen.tokens') && current.listen.host !== next.listen.host) return false
  // Certificates are exchanged; whether it is TLS, and whether it asks for one, is settled when the port is opened.
  if (isUnder(path, 'listen.tls')) {
    const [before, after] = [current.listen.tls, next.listen.tls]
    return (
      before !== undefined && after !== undefined && (before.clientCa === undefined) === (after.clientCa === undefined)
    )
  }
  const sink = /^exporters\.(otlp|langfuse|loki)\b/.exec(path)?.[1] as keyof Config['exporters'] | undefined
  // A sink that comes or goes has a cursor in the store.
  if (sink !== undefined && (current.exporters[sink] === undefined) !== (next.exporters[sink] === undefined))
    return false
  if (DELIVERY.test(path)) return false
  return RELOADABLE.some((section) => isUnder(path, section))
}

function isUnder(path: string, section: string): boolean {
  return path === section || path.startsWith(`${section}.`)
}

/** Lists are one setting each: an entry that is added is no change of all those behind it. */
function collect(value: unknown, path: string[], settings: Map<string, string>, environment: Environment): void {
  if (value === null || typeof value !== 'object' || value instanceof Secret || Array.isArray(value)) {
    settings.set(path.join('.'), textOf(value, environment))
    return
  }
  for (const [name, member] of Object.entries(value))
    if (member !== undefined) collect(member, [...path, name], settings, environment)
}

function textOf(value: unknown, environment: Environment): string {
  if (value instanceof Secret) return value.fingerprint(environment)
  if (Array.isArray(value)) return `[${value.map((member) => textOf(member, environment)).join(',')}]`
  if (typeof value === 'bigint') return `${value}n`
  if (value !== null && typeof value === 'object')
    return `{${Object.entries(value)
      .map(([name, member]) => `${JSON.stringify(name)}:${textOf(member, environment)}`)
      .join(',')}}`
  return JSON.stringify(value) ?? 'undefined'
}

/** A copy whose sections can be exchanged; secrets and lists are shared. */
function copyOf(config: Config): Config {
  return {
    ...config,
    listen: { ...config.listen },
    estimate: { ...config.estimate },
    exporters: mapSinks(config.exporters),
  }
}

function mapSinks(exporters: Config['exporters']): Config['exporters'] {
  return Object.fromEntries(Object.entries(exporters).map(([name, sink]) => [name, sink && { ...sink }]))
}

function take(into: Config, from: Config, path: readonly string[]): void {
  let target = into as unknown as Record<string, unknown>
  let source = from as unknown as Record<string, unknown>
  for (const name of path.slice(0, -1)) {
    if (target[name] === undefined || source[name] === undefined) return
    target = target[name] as Record<string, unknown>
    source = source[name] as Record<string, unknown>
  }
  const last = path.at(-1)!
  if (source[last] === undefined) delete target[last]
  else target[last] = source[last]
}
