import { existsSync, readdirSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { REQUEST_HEADERS, RESPONSE_HEADER_PREFIXES, RESPONSE_HEADERS } from '../plugin/allow-list.ts'
import { SCHEMA } from '../plugin/config.ts'
import { openPriceBook, PriceFileError, readPriceRules } from '../pricing/open-price-book.ts'
import { closestName } from './closest-name.ts'
import { type Config, ConfigError, type ConfigReading, type Environment, readConfig } from './config.ts'
import { addressFindings, headerFindings } from './config-check-sinks.ts'
import { error, type Finding, warning } from './config-finding.ts'
import { tlsOptions } from './door-tls.ts'
import { knownProviders } from './known-providers.ts'
import { isLoopback } from './loopback.ts'
import { secretsOf } from './secret.ts'
import { tokenFault } from './token-strength.ts'
import { problemsOf, readText, readYaml } from './yaml-document.ts'

export interface CheckedConfig {
  config: Config
  /** What may be right and mostly is not: file, line, column, field. */
  warnings: string[]
}

/**
 * Reads file and environment as a start does, and looks at all that a schema cannot: secrets, files, names, addresses,
 * settings that contradict each other. Throws ConfigError with every problem.
 */
export function checkConfig(file: string | undefined, environment: Environment): CheckedConfig {
  const reading = readConfig(file, environment)
  const { sound, problems, warnings } = reading
  if (sound !== undefined) {
    const findings = findingsOf(sound, reading, environment)
    for (const { path, message, level } of findings) {
      const text = reading.describe(path, message)
      const into = level === 'error' ? problems : warnings
      if (!into.includes(text)) into.push(text)
    }
    problems.push(...priceProblems(sound))
  }
  if (reading.config === undefined || problems.length > 0) throw new ConfigError(problems)
  return { config: reading.config, warnings }
}

function findingsOf(config: Config, reading: ConfigReading, environment: Environment): Finding[] {
  const value = reading.yaml?.value
  return [
    ...placeholders(value),
    ...secretFindings(config, environment),
    ...tokenFindings(config, environment),
    ...tlsFindings(config, environment),
    ...addressFindings(config),
    ...headerFindings(config, environment),
    ...tappedHeaderFindings(config),
    ...attributionFindings(config),
    ...providerFindings(config),
    ...timeFindings(config),
    ...contentFindings(config),
    ...dataFindings(config, reading),
  ]
}

/** `${NAME}` is taken literally: nothing fills it in. Patterns of redaction may mean it. */
function placeholders(value: unknown, path: readonly string[] = []): Finding[] {
  if (path[0] === 'redaction') return []
  if (typeof value === 'string') {
    const name = /^\s*\$[{(](\w+)[^})]*[})]\s*$/.exec(value)?.[1] ?? /\$\{(\w+)[^}]*\}/.exec(value)?.[1]
    if (name === undefined) return []
    return [
      error(path, `\${${name}} is not filled in here: write { env: ${name} } where a secret is wanted, else the value`),
    ]
  }
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([name, member]) => placeholders(member, [...path, name]))
}

function secretFindings(config: Config, environment: Environment): Finding[] {
  return secretsOf(config).flatMap(({ path, secret }) => {
    try {
      secret.reveal(environment)
      return []
    } catch (problem) {
      return [error(withoutOnlyIndex(config, path), (problem as Error).message)]
    }
  })
}

/** Path of a token: where there is one alone it may be written without a list. */
function withoutOnlyIndex({ listen }: Config, path: readonly string[]): readonly string[] {
  const [first, second, door] = path
  if (first !== 'listen' || second !== 'tokens') return path
  const tokens = listen.tokens[door as keyof typeof listen.tokens]
  return tokens?.length === 1 ? path.slice(0, 3) : path
}

/** Named already, so that a configuration can hold them; the doors come later. */
const UNUSED_DOORS = new Set(['api', 'admin'])

/** Tokens that are too weak, that HTTP cannot carry, or that open two doors. */
/** What cannot be read is told of each secret. */
function tlsFindings({ listen: { tls } }: Config, environment: Environment): Finding[] {
  if (tls === undefined) return []
  try {
    for (const secret of [tls.cert, tls.key, tls.clientCa]) secret?.reveal(environment)
  } catch {
    return []
  }
  try {
    tlsOptions(tls, environment)
    return []
  } catch (fault) {
    return [error('listen.tls', (fault as Error).message.replace(/^listen\.tls: /, ''))]
  }
}

function tokenFindings(config: Config, environment: Environment): Finding[] {
  const { listen } = config
  const loopback = isLoopback(listen.host)
  const seen = new Map<string, string>()
  return Object.entries(listen.tokens).flatMap(([door, tokens]) => {
    if (tokens === undefined || tokens === 'open') return []
    const unused = UNUSED_DOORS.has(door)
      ? [warning(['listen', 'tokens', door], 'no door of this version asks for this token')]
      : []
    const faults = tokens.flatMap((token, index) => {
      const path = withoutOnlyIndex(config, ['listen', 'tokens', door, String(index)])
      let text: string
      try {
        text = token.reveal(environment)
      } catch {
        return []
      }
      const findings: Finding[] = []
      const fault = tokenFault(text)
      if (fault?.kind === 'illegal') findings.push(error(path, fault.message))
      if (fault?.kind === 'weak') findings.push((loopback ? warning : error)(path, fault.message))
      const other = seen.get(text)
      if (other !== undefined && other !== door)
        findings.push(warning(path, `is the token of listen.tokens.${other} too: who has one opens both`))
      seen.set(text, door)
      return findings
    })
    return [...unused, ...faults]
  })
}

/** Headers that Kong's side never sends: what reads them finds nothing. */
function tappedHeaderFindings({ attribution, semanticCache }: Config): Finding[] {
  const { rules, user, session, team, app, environment } = attribution
  const lists = { rules, user, session, team, app, environment }
  const asked = Object.entries(lists).flatMap(([list, entries]) =>
    entries.flatMap(({ by, name }, index) =>
      by === 'header' || by === 'trusted_header' ? [{ path: ['attribution', list, String(index)], name }] : [],
    ),
  )
  const ofRequests = asked.flatMap(({ path, name }) => {
    if (REQUEST_HEADERS.includes(name)) return []
    if (CREDENTIAL_HEADER.test(name))
      return [
        error(
          path,
          `${name} never leaves Kong: credentials, cookies and X-Consumer-… are not told (docs/attribution.md)`,
        ),
      ]
    return [
      warning(
        path,
        `${name} is not let through by the tap: add it to the lists in the tap and in plugin/allow-list.ts`,
      ),
    ]
  })
  const ofAnswers = semanticCache.rules.flatMap(({ header }, index) =>
    RESPONSE_HEADERS.includes(header) || RESPONSE_HEADER_PREFIXES.some((prefix) => header.startsWith(prefix))
      ? []
      : [
          warning(
            ['semanticCache', 'rules', String(index), 'header'],
            `${header} is not let through by the tap: add it to the lists in the tap and in plugin/allow-list.ts`,
          ),
        ],
  )
  return [...ofRequests, ...ofAnswers]
}

const CREDENTIAL_HEADER =
  /^(authorization|proxy-authorization|cookie|set-cookie|x-consumer-.*|(x-)?api-?key|x-goog-api-key)$/

function attributionFindings({ attribution }: Config): Finding[] {
  const { rules, trustedRoutes } = attribution
  if (rules.length === 0)
    return [warning('attribution.rules', 'no rule: every call will be of the tenant unattributed')]
  const byClient = rules.every(({ by }) => by === 'path' || by === 'trusted_header')
  if (byClient && trustedRoutes.length === 0)
    return [
      error(
        'attribution.rules',
        `${rules.map(({ by }) => by).join(', ')}: these find a tenant on trustedRoutes alone, and there are none: name the routes`,
      ),
    ]
  return []
}

/** Providers that nobody knows: no list price, no host. */
function providerFindings(config: Config): Finding[] {
  const ofRules = readPriceRules(config.prices.file).flatMap(({ provider }) => provider ?? [])
  const known = new Set([...knownProviders(), ...ofRules])
  return Object.entries(config.providers).flatMap(([name, provider]) => {
    if (known.has(provider)) return []
    const path = ['providers', name]
    const nearest = closestName(provider, knownProviders())
    return [
      nearest === undefined
        ? warning(
            path,
            `no provider is called ${provider}: its calls have a price only by rules of yours (docs/prices.md)`,
          )
        : error(path, `no provider is called ${provider}: did you mean ${nearest}?`),
    ]
  })
}

/** Rules for providers whose calls nobody will ever see, and the file itself. */
function priceProblems({ prices, providers }: Config): string[] {
  try {
    openPriceBook(prices.file)
  } catch (problem) {
    if (problem instanceof PriceFileError) return [...problem.problems]
    throw problem
  }
  const named = new Set(Object.values(providers))
  const issues = readPriceRules(prices.file).flatMap(({ provider }, index) =>
    (provider ?? []).flatMap((name) => {
      if (name === '*' || named.has(name) || knownProviders().has(name)) return []
      const nearest = closestName(name, knownProviders())
      return nearest === undefined
        ? []
        : [{ path: ['rules', index, 'provider'], message: `no provider is called ${name}: did you mean ${nearest}?` }]
    }),
  )
  if (prices.file === undefined || issues.length === 0) return []
  const text = readText(prices.file)
  const yaml = readYaml(typeof text === 'string' ? text : '', prices.file)
  return 'problems' in yaml ? yaml.problems : problemsOf(yaml, issues)
}

/** Of a field of the plugin's configuration. */
function pluginField(name: string): { default: number; between: [number, number] } {
  const field = SCHEMA.find((entry) => Object.hasOwn(entry, name)) as Record<string, unknown>
  return field[name] as { default: number; between: [number, number] }
}

const MAX_TIMEOUT_MS = 600_000

/** Time-outs that wait for each other: estimator < plugin, and a sink's within reason. */
function timeFindings({ estimate, exporters, ledger, listen }: Config): Finding[] {
  const findings: Finding[] = []
  const { default: usual, between } = pluginField('send_timeout_ms')
  if (estimate.enabled && estimate.timeoutMs >= between[1])
    findings.push(
      error(
        'estimate.timeoutMs',
        `write less than ${between[1]}: no plugin waits longer for an answer (send_timeout_ms)`,
      ),
    )
  else if (estimate.enabled && estimate.timeoutMs >= usual)
    findings.push(
      warning(
        'estimate.timeoutMs',
        `must be less than the plugin's send_timeout_ms, by default ${usual}: a batch that waits longer comes again`,
      ),
    )
  for (const [name, sink] of Object.entries(exporters))
    if (sink !== undefined && sink.timeoutMs > MAX_TIMEOUT_MS)
      findings.push(error(['exporters', name, 'timeoutMs'], `write at most ${MAX_TIMEOUT_MS}`))
  if (ledger.gapGraceSeconds < KONG_WAITS_SECONDS)
    findings.push(
      warning(
        'ledger.gapGraceSeconds',
        `Kong lets a capture wait for ${KONG_WAITS_SECONDS} s: one that is late will count as lost`,
      ),
    )
  const batch = pluginField('batch_max_bytes').default
  if (listen.maxBodyBytes < 2 * batch)
    findings.push(
      warning(
        'listen.maxBodyBytes',
        `a batch of the plugin has up to ${batch} bytes (batch_max_bytes) and one capture more: write at least ${2 * batch}`,
      ),
    )
  return findings
}

/** How long Kong keeps an event for a plugin server that does not answer. */
const KONG_WAITS_SECONDS = 60

function contentFindings({ content, redaction }: Config): Finding[] {
  if (!content.enabled || redaction.enabled) return []
  return [
    warning('redaction.enabled', 'content is kept and not redacted: prompts rest and are sent as they were written'),
  ]
}

/** A folder that is none; a store that would be left behind: `data` started at the working directory before. */
function dataFindings(config: Config, { yaml, fromEnvironment }: ConfigReading): Finding[] {
  const now = resolve(config.data)
  if (existsSync(now) && !statSync(now).isDirectory())
    return [error('data', `${now} is a file: write the path of a folder`)]
  if (fromEnvironment.has('data')) return []
  const written = (yaml?.value as { data?: unknown } | undefined)?.data
  const before = resolve(typeof written === 'string' ? written : './data')
  if (before === now || !holdsStore(before) || holdsStore(now)) return []
  return [
    error(
      'data',
      `is ${now} (relative to the folder of the configuration file), which holds no store; there is one in ${before}: move it, or write that path`,
    ),
  ]
}

function holdsStore(folder: string): boolean {
  try {
    return readdirSync(folder).some((file) => file.endsWith('.db'))
  } catch {
    return false
  }
}
