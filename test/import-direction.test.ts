import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/**
 * Design law 14: imports point one way. A room may import from itself and from the rooms named here, nothing else.
 * Tests and `testing/` folders are free to reach wider within the product, never into dev/.
 */
const ROOMS: Record<string, readonly string[]> = {
  'sidecar/call.ts': [],
  'sidecar/capture.ts': [],
  'sidecar/capture-batch.ts': ['sidecar/capture.ts'],
  'sidecar/frames.ts': ['sidecar/capture-batch.ts', 'sidecar/json-depth.ts'],
  'sidecar/json-depth.ts': [],
  'sidecar/logger.ts': [],
  'sidecar/optional.ts': [],
  'sidecar/secret.ts': [],
  'sidecar/unix-socket.ts': [],
  'sidecar/dialects': ['sidecar/call.ts'],
  'sidecar/tenant.ts': [],
  'sidecar/closest-name.ts': [],
  'sidecar/plain-issues.ts': ['sidecar/closest-name.ts'],
  'sidecar/yaml-document.ts': [],
  pricing: ['sidecar/call.ts', 'sidecar/tenant.ts', 'sidecar/plain-issues.ts', 'sidecar/yaml-document.ts'],
  'sidecar/content-json.ts': ['sidecar/call.ts'],
  'sidecar/exporters': ['sidecar/call.ts', 'sidecar/content-json.ts', 'sidecar/secret.ts', 'sidecar/tenant.ts'],
  'sidecar/budgets': ['sidecar/tenant.ts'],
  // call ← ledger ← store ← what writes, delivers and shows ← serve
  'sidecar/ledger': ['sidecar/call.ts', 'sidecar/budgets', 'pricing'],
  'sidecar/store': [
    'sidecar/call.ts',
    'sidecar/content-json.ts',
    'sidecar/logger.ts',
    'sidecar/budgets',
    'sidecar/ledger',
  ],
  'sidecar/metrics': ['sidecar/call.ts', 'sidecar/capture.ts', 'sidecar/ledger', 'sidecar/store'],
  'sidecar/administration': ['sidecar/unix-socket.ts', 'sidecar/ledger', 'sidecar/store'],
  'sidecar/redaction': ['sidecar/call.ts', 'sidecar/secret.ts', 'sidecar/tenant.ts'],
  'sidecar/log-limit.ts': ['sidecar/logger.ts'],
  'sidecar/delivery': ['sidecar/log-limit.ts', 'sidecar/exporters', 'sidecar/store'],
  'sidecar/deliver.ts': [
    'sidecar/delivery',
    'sidecar/exporters',
    'sidecar/log-limit.ts',
    'sidecar/logger.ts',
    'sidecar/store',
  ],
  'sidecar/pipeline': [
    'sidecar/call.ts',
    'sidecar/capture.ts',
    'sidecar/optional.ts',
    'sidecar/tenant.ts',
    'sidecar/dialects',
    'sidecar/redaction',
    'pricing',
  ],
  'sidecar/estimate': ['sidecar/call.ts', 'sidecar/dialects'],
  'sidecar/reconcile': ['sidecar/call.ts', 'sidecar/tenant.ts', 'sidecar/plain-issues.ts', 'sidecar/yaml-document.ts'],
  'sidecar/read-command': ['sidecar/call.ts', 'sidecar/dialects', 'sidecar/pipeline', 'pricing'],
  'sidecar/plain-check.ts': [],
  'sidecar/plain-capture.ts': ['sidecar/capture.ts', 'sidecar/plain-check.ts'],
  'sidecar/intake.ts': [
    'sidecar/plain-capture.ts',
    'sidecar/call.ts',
    'sidecar/capture.ts',
    'sidecar/capture-batch.ts',
    'sidecar/ledger',
    'sidecar/log-limit.ts',
    'sidecar/store',
  ],
  'sidecar/receive.ts': [
    'sidecar/allowed-host.ts',
    'sidecar/capture.ts',
    'sidecar/capture-batch.ts',
    'sidecar/intake.ts',
    'sidecar/frames.ts',
    'sidecar/json-depth.ts',
    'sidecar/log-limit.ts',
    'sidecar/logger.ts',
    'sidecar/store',
  ],
  'sidecar/loopback.ts': [],
  'sidecar/token-strength.ts': [],
  'sidecar/allowed-host.ts': [],
  'sidecar/door-tokens.ts': ['sidecar/loopback.ts', 'sidecar/secret.ts'],
  'sidecar/known-providers.ts': ['sidecar/dialects', 'pricing'],
  'sidecar/config-environment.ts': ['sidecar/closest-name.ts'],
  'sidecar/former-settings.ts': [],
  'sidecar/config.ts': [
    'sidecar/config-environment.ts',
    'sidecar/former-settings.ts',
    'sidecar/loopback.ts',
    'sidecar/plain-issues.ts',
    'sidecar/yaml-document.ts',
    'sidecar/logger.ts',
    'sidecar/secret.ts',
    'sidecar/budgets',
    'sidecar/exporters',
    'sidecar/pipeline',
    'sidecar/redaction',
  ],
  'sidecar/config-finding.ts': [],
  'sidecar/config-check-sinks.ts': ['sidecar/config.ts', 'sidecar/config-environment.ts', 'sidecar/config-finding.ts'],
  'sidecar/config-check.ts': [
    'sidecar/config-check-sinks.ts',
    'sidecar/config-finding.ts',
    'sidecar/closest-name.ts',
    'sidecar/config.ts',
    'sidecar/known-providers.ts',
    'sidecar/loopback.ts',
    'sidecar/secret.ts',
    'sidecar/token-strength.ts',
    'sidecar/yaml-document.ts',
    // What the plugin lets through, and how long it waits.
    'plugin',
    'pricing',
  ],
  'sidecar/config-reload.ts': ['sidecar/config.ts', 'sidecar/secret.ts'],
  'sidecar/config-watch.ts': [
    'sidecar/config.ts',
    'sidecar/config-check.ts',
    'sidecar/config-reload.ts',
    'sidecar/logger.ts',
    'sidecar/secret.ts',
  ],
  // Rules and boards know the tables of metrics alone; rules know no board.
  monitoring: ['sidecar/metrics'],
  dashboards: ['monitoring'],
  // The plugin runs in Kong's process: of the sidecar it knows the types of the wire contract alone.
  plugin: ['sidecar/capture.ts', 'sidecar/capture-batch.ts'],
}
/** May import any room of the product: they wire them. */
const COMPOSITION = ['sidecar/main.ts', 'sidecar/serve.ts', 'sidecar/command-line.ts', 'monitoring/build.ts']

interface Import {
  from: string
  to: string
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return entry.name === 'testing' || entry.name === 'fixtures' ? [] : sources(path)
    if (!entry.name.endsWith('.ts') || entry.name.endsWith('.test.ts') || entry.name.endsWith('-contract.ts')) return []
    return [path]
  })
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const specifiers = [
    ...text.matchAll(/^\s*(?:import|export)\b[^'"\n]*?(?:from\s*)?['"](\.[^'"]+)['"]/gm),
    ...text.matchAll(/^\} from ['"](\.[^'"]+)['"]/gm),
  ]
  return specifiers.map((match) => ({
    from: file,
    to: relative(root, normalize(join(root, dirname(file), match[1]!))),
  }))
}

const roomOf = (file: string) => Object.keys(ROOMS).find((room) => file === room || file.startsWith(`${room}/`))

describe('imports point one way', () => {
  const files = ['sidecar', 'pricing', 'plugin', 'monitoring', 'dashboards'].flatMap(sources)

  it('sees the sources', () => {
    expect(files.length).toBeGreaterThan(20)
    expect(files.flatMap(importsOf).length).toBeGreaterThan(30)
  })

  it('every file stands in a room', () => {
    expect(files.filter((file) => roomOf(file) === undefined && !COMPOSITION.includes(file))).toEqual([])
  })

  it('no file imports against the direction', () => {
    const wrong = files
      .filter((file) => !COMPOSITION.includes(file))
      .flatMap(importsOf)
      .filter(({ from, to }) => {
        const room = roomOf(from)
        const target = roomOf(to)
        return room === undefined || target === undefined || (room !== target && !ROOMS[room]!.includes(target))
      })
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  it('rooms have no circle', () => {
    const reaches = (room: string, seen: ReadonlySet<string>): string[] =>
      ROOMS[room]!.flatMap((next) =>
        seen.has(next) ? [`${[...seen].join(' → ')} → ${next}`] : reaches(next, new Set([...seen, next])),
      )
    expect(Object.keys(ROOMS).flatMap((room) => reaches(room, new Set([room])))).toEqual([])
  })

  it('the plugin takes types of the sidecar alone: zod would make each start of the plugin server slower', () => {
    const values = files
      .filter((file) => file.startsWith('plugin/'))
      .flatMap(
        (file) => readFileSync(join(root, file), 'utf8').match(/^import (?!type).*from '\.\.\/sidecar\/.*$/gm) ?? [],
      )
    expect(values).toEqual([])
  })

  it('only main.ts touches env, signals and exit', () => {
    const offenders = files.filter(
      (file) =>
        file.startsWith('sidecar/') &&
        file !== 'sidecar/main.ts' &&
        /process\.(env|exit|on\(|once\()/.test(
          readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''),
        ),
    )
    expect(offenders).toEqual([])
  })
})
