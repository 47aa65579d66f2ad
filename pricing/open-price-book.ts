import { createHash } from 'node:crypto'
import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { z } from 'zod'
import type { Usage } from '../sidecar/call.ts'
import { plainWords } from '../sidecar/plain-issues.ts'
import { problemsOf, readText, readYaml } from '../sidecar/yaml-document.ts'
import type { Catalogue } from './catalogue.ts'
import { makePriceBook, type PriceBook, type PriceKey, type PriceSources } from './price-book.ts'
import { type OperatorPrices, operatorPricesSchema, overridesSchema, type Rule } from './rules.ts'

const CATALOGUE = join(import.meta.dirname, 'catalogue.json')
const SECOND = join(import.meta.dirname, 'catalogue-second.json')
const OVERRIDES = join(import.meta.dirname, 'overrides.yaml')

/** All that is wrong with a price file, each with file, line and field. */
export class PriceFileError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`the prices are not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'PriceFileError'
    this.problems = problems
  }
}

/** The book of the catalogue, our overrides, and the operator's file where there is one. Throws PriceFileError. */
export function openPriceBook(operatorFile?: string): PriceBook {
  return makePriceBook(readSources(operatorFile))
}

function readSources(operatorFile: string | undefined): PriceSources {
  const { catalogue, second, overrides, version } = ownSources()
  const lists = second === undefined ? { catalogue } : { catalogue, second }
  if (operatorFile === undefined) return { ...lists, overrides, version }
  const text = textOf(operatorFile)
  const operator = parsePriceFile(text, operatorFile, operatorPricesSchema) as OperatorPrices
  return { ...lists, overrides, operator, version: `${version}+operator.${fingerprint(text)}` }
}

/** The operator's rules alone, as written; none where the file is not valid or there is none. */
export function readPriceRules(operatorFile: string | undefined): Rule[] {
  try {
    return (operatorFile === undefined ? undefined : readSources(operatorFile).operator)?.rules ?? []
  } catch {
    return []
  }
}

let own: PriceSources | undefined

function ownSources(): PriceSources {
  if (own === undefined) {
    const catalogue = JSON.parse(readFileSync(CATALOGUE, 'utf8')) as Catalogue
    const text = textOf(OVERRIDES)
    const { rules } = parsePriceFile(text, OVERRIDES, overridesSchema)
    const second = JSON.parse(readFileSync(SECOND, 'utf8')) as Catalogue
    const version = `${catalogue.source}+${second.source}+overrides.${fingerprint(text)}`
    own = { catalogue, second, overrides: rules, version }
  }
  return own
}

function textOf(file: string): string {
  const text = readText(file)
  if (typeof text !== 'string') throw new PriceFileError([text.problem])
  return text
}

function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

/** Throws PriceFileError. */
export function parsePriceFile<Schema extends z.ZodType>(
  text: string,
  fileName: string,
  schema: Schema,
): z.output<Schema> {
  const yaml = readYaml(text, fileName)
  if ('problems' in yaml) throw new PriceFileError(yaml.problems)
  const parsed = schema.safeParse(yaml.value, { error: plainWords })
  if (parsed.success) return parsed.data
  throw new PriceFileError(problemsOf(yaml, parsed.error.issues))
}

export interface WatchedPriceBook extends PriceBook {
  /** What the operator should see: when the book in force was loaded, and how often a file was refused. */
  readonly stats: { loadedAt: number; reloads: number; failures: number }
  close(): void
}

export interface WatchOptions {
  now: () => number
  onReload: (version: string) => void
  /** The file as it is now is not valid: the book before it stays in force. */
  onInvalid: (problems: readonly string[]) => void
}

/** The same, following changes of the operator's file. Throws PriceFileError if the file is not valid at the start. */
export function watchPriceBook(operatorFile: string | undefined, options: WatchOptions): WatchedPriceBook {
  let book = openPriceBook(operatorFile)
  const stats = { loadedAt: options.now(), reloads: 0, failures: 0 }
  let refused: string | undefined
  let watcher: FSWatcher | undefined
  let timer: NodeJS.Timeout | undefined

  function reload(file: string): void {
    try {
      const fresh = openPriceBook(file)
      refused = undefined
      if (fresh.version === book.version) return
      book = fresh
      stats.loadedAt = options.now()
      stats.reloads++
      options.onReload(fresh.version)
    } catch (error) {
      // Whatever is wrong with a file, it never ends a process that runs.
      const problems = error instanceof PriceFileError ? error.problems : [`${file}: ${(error as Error).message}`]
      // Said once for one mistake, however often the folder stirs.
      if (refused === problems.join('\n')) return
      refused = problems.join('\n')
      stats.failures++
      options.onInvalid(problems)
    }
  }

  if (operatorFile !== undefined) {
    // The folder, not the file: editors and Kubernetes put another file in its place.
    watcher = watch(dirname(operatorFile), { persistent: false }, (_event, name) => {
      if (name !== null && name !== basename(operatorFile) && !name.startsWith('..')) return
      // A file that is being written is read when it has come to rest.
      clearTimeout(timer)
      timer = setTimeout(() => reload(operatorFile), SETTLE_MS).unref()
    })
    watcher.on('error', (error) => options.onInvalid([`${operatorFile}: changes are not seen (${error.message})`]))
  }

  return {
    get version() {
      return book.version
    },
    get updated() {
      return book.updated
    },
    get display() {
      return book.display
    },
    costOf: (key: PriceKey, usage: Usage) => book.costOf(key, usage),
    stats,
    close() {
      clearTimeout(timer)
      watcher?.close()
    },
  } as WatchedPriceBook
}

const SETTLE_MS = 100
