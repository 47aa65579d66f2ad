import type { TlsConfig } from './tls.ts'

/**
 * Configuration of one plugin instance. Kong checks it against `SCHEMA`; where Kong does not (a configuration without
 * `config`, a stand-in gateway), `readConfig` applies the same defaults and the same refusals.
 */
export interface Config {
  source: 'tap' | 'log' | 'auto'
  sidecarUrl: string
  intakeToken: string | undefined
  /** Of https alone. */
  tls: TlsConfig
  content: 'on' | 'off'
  /** `global`: the plugin stands on no route and no service. */
  scope: 'global' | undefined
  maxContentBytes: number | undefined
  queueBytes: number
  batchMaxCalls: number
  batchMaxBytes: number
  lingerMs: number
  sendTimeoutMs: number
  pdkTimeoutMs: number
}

const SOURCES = ['tap', 'log', 'auto'] as const
const CONTENT = ['on', 'off'] as const
const DEFAULT_URL = 'http://127.0.0.1:8086'
const KIBIBYTE = 1024
const MEBIBYTE = 1024 * KIBIBYTE

interface Range {
  between: [low: number, high: number]
  default?: number
}
const RANGES = {
  /** The largest body that is sent on, of request and response each; a longer one is cut. Unset: the tap's own caps. */
  max_content_bytes: { between: [KIBIBYTE, 16 * MEBIBYTE] },
  queue_bytes: { between: [64 * KIBIBYTE, 1024 * MEBIBYTE], default: 64 * MEBIBYTE },
  batch_max_calls: { between: [1, 10_000], default: 100 },
  batch_max_bytes: { between: [KIBIBYTE, 16 * MEBIBYTE], default: MEBIBYTE },
  linger_ms: { between: [0, 60_000], default: 200 },
  send_timeout_ms: { between: [50, 60_000], default: 5000 },
  // Kong gives up its side of a call after 60 s.
  pdk_timeout_ms: { between: [50, 55_000], default: 5000 },
} as const satisfies Record<string, Range>

const integer = (range: Range) => ({ type: 'integer', required: range.default !== undefined, ...range })

/** In the form of Kong's schemas (fields of the record `config`). */
export const SCHEMA = [
  { source: { type: 'string', required: true, default: 'auto', one_of: SOURCES } },
  {
    sidecar_url: {
      type: 'string',
      required: true,
      default: DEFAULT_URL,
      referenceable: true,
      match_any: {
        patterns: ['^https?://[^%s?#@]+$', '^unix:/%S+$'],
        err: 'must be http://host:port, https://host:port or unix:/absolute/path',
      },
    },
  },
  { intake_token: { type: 'string', required: false, referenceable: true, encrypted: true } },
  /** Its former name, still read. */
  { sidecar_token: { type: 'string', required: false, referenceable: true, encrypted: true } },
  /** PEM, or an absolute path of a file of it: who signs the sidecar's certificate; the plugin's own and its key. */
  { sidecar_ca: { type: 'string', required: false, referenceable: true } },
  { sidecar_cert: { type: 'string', required: false, referenceable: true } },
  { sidecar_key: { type: 'string', required: false, referenceable: true, encrypted: true } },
  { content: { type: 'string', required: true, default: 'off', one_of: CONTENT } },
  ...Object.entries(RANGES).map(([name, range]) => ({ [name]: integer(range) })),
]

/** Throws one Error that names every wrong field. No value of `intake_token` is ever part of it. */
export function readConfig(raw: unknown): Config {
  const fields = (raw !== null && typeof raw === 'object' ? raw : {}) as Record<string, unknown>
  const problems: string[] = []
  const given = (name: string) => (fields[name] === null ? undefined : fields[name])

  const oneOf = <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
    const value = given(name) ?? fallback
    if (!allowed.includes(value as T)) problems.push(`config.${name} must be one of ${allowed.join(', ')}`)
    return value as T
  }
  const number = (name: keyof typeof RANGES): number | undefined => {
    const range: Range = RANGES[name]
    const value = given(name) ?? range.default
    const [low, high] = range.between
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high)
      problems.push(`config.${name} must be an integer from ${low} to ${high}`)
    return value as number
  }
  const url = given('sidecar_url') ?? DEFAULT_URL
  const urlProblem = problemOfUrl(url)
  if (urlProblem !== undefined) problems.push(`config.sidecar_url ${urlProblem}`)
  // Kong resolves a vault reference that it cannot find to an empty string.
  const [name, token] = (['intake_token', 'sidecar_token'] as const)
    .map((field) => [field, given(field) === '' ? undefined : given(field)] as const)
    .find(([, value]) => value !== undefined) ?? ['intake_token', undefined]
  if (token !== undefined && (typeof token !== 'string' || !/^[\x21-\x7e]{1,4096}$/.test(token)))
    problems.push(`config.${name} must be printable ASCII without spaces (value withheld)`)

  const pem = (name: 'sidecar_ca' | 'sidecar_cert' | 'sidecar_key'): string | undefined => {
    const value = given(name)
    if (value === undefined || value === '') return undefined
    if (typeof value !== 'string' || !/^(?:\/\S|\s*-----BEGIN )/.test(value))
      problems.push(`config.${name} must be PEM, or the absolute path of a file of it (value withheld)`)
    return value as string
  }
  const tls: TlsConfig = { ca: pem('sidecar_ca'), cert: pem('sidecar_cert'), key: pem('sidecar_key') }
  if ((tls.cert === undefined) !== (tls.key === undefined))
    problems.push('config.sidecar_cert and config.sidecar_key go together')
  if (Object.values(tls).some((value) => value !== undefined) && !String(url).startsWith('https:'))
    problems.push('config.sidecar_ca, sidecar_cert and sidecar_key are for a sidecar_url of https://')

  const config: Config = {
    source: oneOf('source', SOURCES, 'auto'),
    sidecarUrl: url as string,
    intakeToken: token as string | undefined,
    tls,
    content: oneOf('content', CONTENT, 'off'),
    // Kong puts them beside the configuration of a plugin that stands on one.
    scope: given('route_id') == null && given('service_id') == null ? 'global' : undefined,
    maxContentBytes: number('max_content_bytes'),
    queueBytes: number('queue_bytes')!,
    batchMaxCalls: number('batch_max_calls')!,
    batchMaxBytes: number('batch_max_bytes')!,
    lingerMs: number('linger_ms')!,
    sendTimeoutMs: number('send_timeout_ms')!,
    pdkTimeoutMs: number('pdk_timeout_ms')!,
  }
  if (problems.length > 0) throw new Error(`llm-observer: ${problems.join('; ')}`)
  return config
}

function problemOfUrl(value: unknown): string | undefined {
  const wanted = 'must be http://host:port, https://host:port or unix:/absolute/path'
  if (typeof value !== 'string') return wanted
  if (value.startsWith('unix:')) return /^unix:\/\S+$/.test(value) ? undefined : wanted
  if (!URL.canParse(value)) return wanted
  const url = new URL(value)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return wanted
  if (url.username !== '' || url.password !== '') return 'must not hold credentials: use config.intake_token'
  if (url.search !== '' || url.hash !== '') return `${wanted}, without query or fragment`
  return undefined
}
