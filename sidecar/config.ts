import { z } from 'zod'
import { budgetsConfigSchema } from './budgets/budgets.ts'
import { langfuseConfigSchema } from './exporters/langfuse.ts'
import { lokiConfigSchema } from './exporters/loki.ts'
import { otlpConfigSchema } from './exporters/otlp.ts'
import { LOG_LEVELS } from './logger.ts'
import { attributionConfigSchema } from './pipeline/attribute.ts'
import { semanticCacheConfigSchema } from './pipeline/read-cache.ts'
import { redactionConfigSchema } from './pipeline/redact.ts'
import { secretSchema } from './secret.ts'
import { parseYaml, placeOf, readText } from './yaml-document.ts'

const MEBIBYTE = 1024 * 1024
const UNITS: Record<string, number> = {
  B: 1,
  KiB: 1024,
  MiB: MEBIBYTE,
  GiB: 1024 * MEBIBYTE,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
}
/** `512MiB`, `2GiB`, or a plain number of bytes. */
const byteSize = z.union(
  [
    z.number().int().positive(),
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

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

/** `observer.yaml`: one file, every field with a default. Each part's schema stands beside the part. */
export const configSchema = z
  .strictObject({
    listen: z
      .strictObject({
        host: z.string().default('127.0.0.1'),
        port: z.number().int().min(0).max(65_535).default(8086),
        /** Also listen on a unix socket: the cheapest way for a plugin on the same machine. */
        socket: z.string().startsWith('/', 'give an absolute path').optional(),
        /** What the plugin sends as `Authorization: Bearer …`. Needed as soon as others than this machine can reach the port. */
        token: secretSchema.optional(),
        maxBodyBytes: byteSize.default(16 * MEBIBYTE),
      })
      .prefault({}),
    data: z.string().min(1).default('./data'),
    log: z.strictObject({ level: z.enum(LOG_LEVELS).default('INFO') }).prefault({}),
    spool: z.strictObject({ limit: byteSize.default(1024 * MEBIBYTE) }).prefault({}),
    ledger: z
      .strictObject({
        /** Tenants and models beyond these fold into `__other__` (metric labels are bounded). */
        maxTenants: z.number().int().positive().default(1000),
        maxModels: z.number().int().positive().default(500),
        /** Lines of `/metrics` that tenants, providers and models may make together; beyond it models fold as well. */
        maxSeries: z.number().int().min(1000).default(200_000),
        /** A series that has not grown for so long leaves `/metrics`, and comes back with its value. */
        idleSeriesDays: z.number().positive().default(7),
        /** A capture that the tap numbered and that has not come for this long is reported as lost. */
        /** Longer than the 60 s for which Kong lets an event wait for a plugin server that stands still. */
        gapGraceSeconds: z.number().positive().default(90),
        /** How long each call keeps a line of its own, so that `reprice` can price it again. */
        callRetentionDays: z.number().positive().max(3660).default(62),
      })
      .prefault({}),
    /** A whole copy of the store, beside the running sidecar; the newest `keep` are kept. */
    backup: z
      .strictObject({
        enabled: z.boolean().default(true),
        everyHours: z.number().positive().default(24),
        keep: z.number().int().positive().default(3),
        /** By default `backups` in the data folder. */
        folder: z.string().min(1).optional(),
      })
      .prefault({}),
    budgets: budgetsConfigSchema.prefault({}),
    content: z
      .strictObject({
        /** Whether prompts and answers are kept at all, redacted; a route's plugin can still say no. */
        enabled: z.boolean().default(true),
        maxBytes: byteSize.default(64 * 1024),
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
        whenContentOff: z.boolean().default(false),
        workers: z.number().int().min(1).max(16).default(1),
        /** Text that may wait for its count; beyond it calls go on with usage unknown, counted. */
        queueBytes: byteSize.default(8 * MEBIBYTE),
        /** Of a call with more text an even share is counted, and the rest taken to be like it. */
        maxTextBytes: byteSize.default(256 * 1024),
        /** How long a batch may wait for its counts: less than the plugin's send_timeout_ms. */
        timeoutMs: z.number().int().positive().default(2000),
      })
      .prefault({}),
    /** Host or Kong service name → provider, where neither the host nor the wire format tells it. */
    providers: z.record(z.string(), z.string()).default({}),
    exporters: z
      .strictObject({
        otlp: otlpConfigSchema.optional(),
        langfuse: langfuseConfigSchema.optional(),
        loki: lokiConfigSchema.optional(),
      })
      .prefault({}),
  })
  .superRefine((config, context) => {
    if (!LOOPBACK.has(config.listen.host) && config.listen.token === undefined)
      context.addIssue({
        code: 'custom',
        path: ['listen', 'token'],
        message: `listening on ${config.listen.host} lets others than this machine in: set a token, or listen on 127.0.0.1`,
      })
  })
export type Config = z.infer<typeof configSchema>

/** Environment variables that stand above the file. Any other OBSERVER_… variable is a mistake and refused. */
const ENVIRONMENT: Record<string, { path: readonly string[]; number?: true }> = {
  OBSERVER_LISTEN_HOST: { path: ['listen', 'host'] },
  OBSERVER_LISTEN_PORT: { path: ['listen', 'port'], number: true },
  OBSERVER_LISTEN_SOCKET: { path: ['listen', 'socket'] },
  OBSERVER_TOKEN: { path: ['listen', 'token'] },
  OBSERVER_DATA: { path: ['data'] },
  OBSERVER_LOG_LEVEL: { path: ['log', 'level'] },
  OBSERVER_SPOOL_LIMIT: { path: ['spool', 'limit'] },
  OBSERVER_OTLP_ENDPOINT: { path: ['exporters', 'otlp', 'endpoint'] },
  OBSERVER_LANGFUSE_URL: { path: ['exporters', 'langfuse', 'url'] },
  OBSERVER_LANGFUSE_PUBLIC_KEY: { path: ['exporters', 'langfuse', 'publicKey'] },
  OBSERVER_LANGFUSE_SECRET_KEY: { path: ['exporters', 'langfuse', 'secretKey'] },
  OBSERVER_LOKI_URL: { path: ['exporters', 'loki', 'url'] },
}
/** Read elsewhere: the file's own name. */
const NOT_SETTINGS = new Set(['OBSERVER_CONFIG'])

export type Environment = Readonly<Record<string, string | undefined>>

/** All that is wrong, at once, each with file, line and field. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`the configuration is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Reads `file` (undefined: defaults alone) and the environment. Throws ConfigError with every problem found. */
export function loadConfig(file: string | undefined, environment: Environment): Config {
  const text = file === undefined ? '' : readText(file)
  if (typeof text !== 'string') throw new ConfigError([text.problem])
  return parseConfig(text, file ?? '(defaults)', environment)
}

export function parseConfig(text: string, fileName: string, environment: Environment): Config {
  const document = parseYaml(text, fileName)
  if ('problems' in document) throw new ConfigError(document.problems)
  const raw: unknown = document.toJS() ?? {}
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw new ConfigError([`${fileName}:1: expected a mapping of settings`])

  const settings = raw as Record<string, unknown>
  const fromEnvironment = new Map<string, string>()
  const problems: string[] = []
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('OBSERVER_') || value === undefined || NOT_SETTINGS.has(name)) continue
    const setting = ENVIRONMENT[name]
    if (setting === undefined) {
      problems.push(`${name}: no such setting (known: ${Object.keys(ENVIRONMENT).join(', ')})`)
      continue
    }
    fromEnvironment.set(setting.path.join('.'), name)
    assign(settings, setting.path, setting.number === true && value.trim() !== '' ? Number(value) : value)
  }

  const parsed = configSchema.safeParse(settings)
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const { path, line } = placeOf(document, text, issue)
      const where = fromEnvironment.get(path) ?? `${fileName}:${line}`
      problems.push(`${where}: ${path || '(root)'}: ${issue.message}`)
    }
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  return parsed.data
}

function assign(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = target
  for (const key of path.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {}
    at = at[key] as Record<string, unknown>
  }
  at[path[path.length - 1]!] = value
}
