import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { budgetsConfigSchema } from './budgets/budgets.ts'
import { applyEnvironment, type Environment, variableOf } from './config-environment.ts'
import { langfuseConfigSchema } from './exporters/langfuse.ts'
import { lokiConfigSchema } from './exporters/loki.ts'
import { otlpConfigSchema } from './exporters/otlp.ts'
import { renameFormerSettings } from './former-settings.ts'
import { LOG_LEVELS } from './logger.ts'
import { isLoopback } from './loopback.ts'
import { attributionConfigSchema } from './pipeline/attribute.ts'
import { semanticCacheConfigSchema } from './pipeline/read-cache.ts'
import { plainWords } from './plain-issues.ts'
import { redactionConfigSchema } from './redaction/redact.ts'
import { secretSchema, withSecretsIn } from './secret.ts'
import { faultsOf, readText, readYaml, type YamlFile } from './yaml-document.ts'

export type { Environment } from './config-environment.ts'

const KIBIBYTE = 1024
const MEBIBYTE = 1024 * KIBIBYTE
const GIBIBYTE = 1024 * MEBIBYTE
const UNITS: Record<string, number> = {
  B: 1,
  KiB: KIBIBYTE,
  MiB: MEBIBYTE,
  GiB: GIBIBYTE,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
}
/** `512MiB`, `2GiB`, or a plain number of bytes, within bounds. */
const byteSize = (least: number, most: number) =>
  z
    .union(
      [
        z.number().int().nonnegative(),
        z
          .string()
          .regex(/^\d+(\.\d+)?\s*(B|KiB|MiB|GiB|KB|MB|GB)$/)
          .transform((text) => {
            const [, number, unit] = /^([\d.]+)\s*(\w+)$/.exec(text)!
            return Math.floor(Number(number) * UNITS[unit!]!)
          }),
      ],
      { error: 'write a size as 512MiB, 2GiB or a number of bytes' },
    )
    .refine((bytes) => bytes >= least && bytes <= most, {
      error: `write a size from ${sizeText(least)} to ${sizeText(most)}`,
      abort: true,
    })

/** A size as an operator writes it. */
export function sizeText(bytes: number): string {
  const unit = (['GiB', 'MiB', 'KiB'] as const).find((name) => bytes >= UNITS[name]! && bytes % UNITS[name]! === 0)
  return unit === undefined ? `${bytes} bytes` : `${bytes / UNITS[unit]!}${unit}`
}

/** One token, or two while one takes the place of the other: either is good. */
const tokens = z
  .union([secretSchema, z.array(secretSchema).min(1).max(2)], {
    error: 'write a token as text, { env: NAME } or { file: PATH }, or a list of two of these',
  })
  .transform((value) => [value].flat())

const HOST_NAME = /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/

/** `observer.yaml`: one file, every field with a default. Each part's schema stands beside the part. */
export const configSchema = z
  .strictObject({
    listen: z
      .strictObject({
        host: z.string().default('127.0.0.1'),
        port: z.number().int().min(0).max(65_535).default(8086),
        /** Also listen on a unix socket: the cheapest way for a plugin on the same machine. */
        socket: z.string().startsWith('/', 'give an absolute path').optional(),
        /** What a client of each door sends as `Authorization: Bearer …`. */
        tokens: z
          .strictObject({
            /** Of plugin and tap. Needed as soon as others than this machine can reach the port. */
            intake: tokens.optional(),
            /** Of Prometheus. `open`: none is asked for. Off loopback one of both is to be written. */
            metrics: z.union([z.literal('open'), tokens]).optional(),
            /** Of readers: tenants' numbers, console. */
            api: tokens.optional(),
            /** Of tools that change what is stored. */
            admin: tokens.optional(),
          })
          .prefault({}),
        /** Names by which clients reach the sidecar, besides addresses, names without a dot and those of Kubernetes. */
        hosts: z
          .array(z.string().regex(HOST_NAME, 'write a host name without port, as observer.example.com'))
          .default([]),
        /** The largest request; a longer one is refused. */
        maxBodyBytes: byteSize(64 * KIBIBYTE, 256 * MEBIBYTE).default(16 * MEBIBYTE),
      })
      .prefault({}),
    data: z.string().min(1).default('./data'),
    log: z.strictObject({ level: z.enum(LOG_LEVELS).default('INFO') }).prefault({}),
    store: z
      .strictObject({
        /** Bytes of the calls that wait for sinks; at the limit the oldest of sinks that lag are dropped, counted. */
        logLimit: byteSize(MEBIBYTE, 16 * 1024 * GIBIBYTE).default(GIBIBYTE),
      })
      .prefault({}),
    ledger: z
      .strictObject({
        /** Tenants and models beyond these fold into `__other__` (metric labels are bounded). */
        maxTenants: z.number().int().min(1).max(100_000).default(1000),
        maxModels: z.number().int().min(1).max(100_000).default(500),
        /** Lines of `/metrics` that tenants, providers and models may make together; beyond it models fold as well. */
        maxSeries: z.number().int().min(1000).max(10_000_000).default(200_000),
        /** A series that has not grown for so long leaves `/metrics`, and comes back with its value. */
        idleSeriesDays: z.number().positive().max(3660).default(7),
        /**
         * A capture that the tap numbered and that has not come for this long is reported as lost. Longer than the 60 s
         * for which Kong lets an event wait for a plugin server that does not answer.
         */
        gapGraceSeconds: z.number().positive().max(86_400).default(90),
        /** How long each call keeps a line of its own, so that `reprice` can price it again. */
        callRetentionDays: z.number().positive().max(3660).default(62),
      })
      .prefault({}),
    /** A whole copy of the store, beside the running sidecar; the newest `keep` are kept. */
    backup: z
      .strictObject({
        enabled: z.boolean().default(true),
        everyHours: z.number().min(0.1).max(8760).default(24),
        keep: z.number().int().min(1).max(1000).default(3),
        /** By default `backups` in the data folder. */
        folder: z.string().min(1).optional(),
      })
      .prefault({}),
    budgets: budgetsConfigSchema.prefault({}),
    content: z
      .strictObject({
        /** Whether prompts and answers are kept at all, redacted; a route's plugin can still say no. */
        enabled: z.boolean().default(true),
        maxBytes: byteSize(KIBIBYTE, 16 * MEBIBYTE).default(64 * KIBIBYTE),
      })
      .prefault({}),
    attribution: attributionConfigSchema.prefault({}),
    semanticCache: semanticCacheConfigSchema.prefault({}),
    redaction: redactionConfigSchema.prefault({}),
    prices: z
      .strictObject({
        /** The operator's own prices (docs/prices.md); followed while the sidecar runs. */
        file: z.string().min(1).optional(),
      })
      .prefault({}),
    estimate: z
      .strictObject({
        /** Whether tokens are counted from the text where the provider reports none; such calls say so. */
        enabled: z.boolean().default(true),
        /** Also where content is off: the text is looked at in memory for this alone and stored nowhere. */
        whenContentOff: z.boolean().default(true),
        workers: z.number().int().min(1).max(16).default(1),
        /** Text that may wait for its count; beyond it calls go on with usage unknown, counted. */
        queueBytes: byteSize(64 * KIBIBYTE, GIBIBYTE).default(8 * MEBIBYTE),
        /** Of a call with more text an even share is counted, and the rest taken to be like it. */
        maxTextBytes: byteSize(KIBIBYTE, 16 * MEBIBYTE).default(256 * KIBIBYTE),
        /** How long a batch may wait for its counts: less than the plugin's send_timeout_ms. */
        timeoutMs: z.number().int().min(1).max(600_000).default(2000),
      })
      .prefault({}),
    /** Host or Kong service name → provider, where neither the host nor the wire format tells it. */
    providers: z.record(z.string().min(1), z.string().min(1)).prefault({}).transform(withHostsInSmallLetters),
    exporters: z
      .strictObject({
        otlp: otlpConfigSchema.optional(),
        langfuse: langfuseConfigSchema.optional(),
        loki: lokiConfigSchema.optional(),
      })
      .prefault({}),
  })
  .superRefine(({ listen, store }, context) => {
    const fault = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: path.split('.'), message })
    if (!isLoopback(listen.host)) {
      const reached = `listening on ${listen.host} lets others than this machine in`
      if (listen.tokens.intake === undefined)
        fault('listen.tokens.intake', `${reached}: set a token (OBSERVER_INTAKE_TOKEN), or listen on 127.0.0.1`)
      if (listen.tokens.metrics === undefined)
        fault('listen.tokens.metrics', `${reached}: set a token for /metrics (OBSERVER_METRICS_TOKEN), or write open`)
    }
    if (store.logLimit < listen.maxBodyBytes)
      fault(
        'store.logLimit',
        `must hold one request of listen.maxBodyBytes: write at least ${sizeText(listen.maxBodyBytes)}`,
      )
  })
export type Config = z.infer<typeof configSchema>

/** All that is wrong, at once, each with file, line, column and field. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`the configuration is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** What was read of file and environment, for config-check.ts. */
export interface ConfigReading {
  /** Undefined where the schema refuses the settings. */
  config: Config | undefined
  /** The same without the settings that are refused. */
  sound: Config | undefined
  problems: string[]
  warnings: string[]
  /** A problem with a field, at its place. */
  describe: (path: readonly string[], message: string) => string
  yaml: YamlFile | undefined
  /** Path of a setting, joined by dots → the variable that gave it. */
  fromEnvironment: ReadonlyMap<string, string>
}

/** Reads `file` (undefined: defaults alone) and the environment. Throws ConfigError with every problem of the schema. */
export function loadConfig(file: string | undefined, environment: Environment): Config {
  return configOf(readConfig(file, environment))
}

export function parseConfig(text: string, fileName: string, environment: Environment): Config {
  return configOf(readSettings(text, fileName, environment))
}

function configOf({ config, problems }: ConfigReading): Config {
  if (config === undefined || problems.length > 0) throw new ConfigError(problems)
  return config
}

/** Paths in the file start at its folder, those of the environment at the working directory. */
export function readConfig(file: string | undefined, environment: Environment): ConfigReading {
  if (file === undefined) return readSettings('', NO_FILE, environment)
  const text =
    file === '' ? { problem: 'the name of the configuration file is empty: name one, or none' } : readText(file)
  if (typeof text !== 'string') return unreadable([text.problem])
  return readSettings(text, file, environment, resolve(dirname(file)))
}

const NO_FILE = 'no configuration file'

function unreadable(problems: string[]): ConfigReading {
  return {
    config: undefined,
    sound: undefined,
    problems,
    warnings: [],
    describe: (_, message) => message,
    yaml: undefined,
    fromEnvironment: new Map(),
  }
}

function readSettings(text: string, fileName: string, environment: Environment, folder?: string): ConfigReading {
  const yaml = readYaml(text, fileName)
  if ('problems' in yaml) return unreadable(yaml.problems)
  if (typeof yaml.value !== 'object' || yaml.value === null || Array.isArray(yaml.value))
    return unreadable([`${fileName}:1:1: expected a mapping of settings`])

  const settings = structuredClone(yaml.value) as Record<string, unknown>
  dropEmptySections(settings)
  const { warnings, written } = renameFormerSettings(settings, fileName)
  const given = applyEnvironment(settings, environment)
  warnings.push(...given.warnings)

  const describeFault = ({ path, place, message }: { path: string; place: string; message: string }) => {
    const variable = given.from.get(path)
    if (variable !== undefined) return `${variable}: ${path}: ${message}`
    const section = path.slice(0, path.lastIndexOf('.'))
    const sibling = [...given.from].find(([of]) => of.startsWith(`${section}.`))?.[1]
    const inFile = yaml.document.hasIn(section.split('.')) || written.has(path)
    if (sibling !== undefined && !inFile) {
      const own = variableOf(path)
      return `${sibling}: ${path}: ${message}${own === undefined ? '' : `, as ${own} or in the file`}`
    }
    return fileName === NO_FILE ? `${fileName}: ${path}: ${message}` : `${fileName}:${place}: ${path}: ${message}`
  }
  const problems = [...given.problems]
  const told = new Set<string>()
  let config: Config | undefined
  let sound: Config | undefined
  // Settings that are refused are taken out, so that the others can be looked at too.
  for (let round = 0; round < MAX_ROUNDS && sound === undefined; round++) {
    const parsed = configSchema.safeParse(settings, { error: plainWords })
    if (parsed.success) {
      sound = resolvePaths(parsed.data, given.from, folder)
      if (round === 0) config = sound
      break
    }
    for (const fault of faultsOf(yaml, parsed.error.issues, written)) {
      // What is taken out is missing afterwards: it was told before.
      if (round === 0 || !told.has(fault.path)) problems.push(describeFault(fault))
      told.add(fault.path)
    }
    for (const { path, keys } of parsed.error.issues as { path: PropertyKey[]; keys?: string[] }[])
      for (const target of keys === undefined ? [path] : keys.map((key) => [...path, key])) remove(settings, target)
  }
  return {
    config,
    sound,
    problems,
    warnings,
    describe: (path, message) => faultsOf(yaml, [{ path, message }], written).map(describeFault).join(),
    yaml,
    fromEnvironment: given.from,
  }
}

const MAX_ROUNDS = 20

/** Takes a setting out; of one that is missing, the section that lacks it. */
function remove(settings: Record<string, unknown>, path: readonly PropertyKey[]): void {
  let parent: object = settings
  const sections: [object, PropertyKey][] = []
  for (const name of path) {
    if (!Object.hasOwn(parent, name)) break
    sections.push([parent, name])
    const next = (parent as Record<PropertyKey, unknown>)[name]
    if (typeof next !== 'object' || next === null) break
    parent = next
  }
  const [section, name] = sections.at(-1) ?? []
  if (section !== undefined) delete (section as Record<PropertyKey, unknown>)[name!]
}

/** A section with nothing under its name, as where all of it is commented out, has its defaults. */
function dropEmptySections(settings: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(settings)) if (value === null) delete settings[name]
}

function resolvePaths(config: Config, from: ReadonlyMap<string, string>, folder: string | undefined): Config {
  if (folder === undefined) return config
  const { prices, backup } = config
  return {
    ...withSecretsIn(config, folder),
    data: from.has('data') ? config.data : resolve(folder, config.data),
    backup: backup.folder === undefined ? backup : { ...backup, folder: resolve(folder, backup.folder) },
    prices: prices.file === undefined ? prices : { ...prices, file: resolve(folder, prices.file) },
  }
}

/** Hosts are compared in small letters; names of Kong services stay as they are too. */
function withHostsInSmallLetters(providers: Record<string, string>): Record<string, string> {
  const lower = Object.entries(providers).map(([name, provider]) => [name.toLowerCase(), provider])
  return { ...Object.fromEntries(lower), ...providers }
}
