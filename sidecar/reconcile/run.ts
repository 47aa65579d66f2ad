import { parseAnthropicExport } from './anthropic-export.ts'
import { parseAwsExport, parseAzureExport } from './cloud-exports.ts'
import { compare, type LedgerRow, type Names, type Reconciliation, type SourceRow } from './compare.ts'
import { ExportError, type ExportLine } from './export-line.ts'
import { parseOpenAiExport } from './openai-export.ts'

/** Whose exports can be read, and which providers of the ledger they bill. */
export const EXPORTS: Readonly<
  Record<string, { parse: (text: string, file: string) => ExportLine[]; providers: readonly string[] }>
> = {
  openai: { parse: parseOpenAiExport, providers: ['openai'] },
  anthropic: { parse: parseAnthropicExport, providers: ['anthropic'] },
  aws: { parse: parseAwsExport, providers: ['aws.bedrock'] },
  azure: { parse: parseAzureExport, providers: ['azure.ai.openai', 'azure.ai.inference'] },
}

export interface ReconcileInput {
  /** A key of EXPORTS. */
  provider: string
  from: string
  to: string
  files: readonly { name: string; text: string }[]
  ledger: readonly (LedgerRow & { provider: string })[]
  sources: readonly (SourceRow & { provider: string })[]
  names: Names
}

/** Throws ExportError with all that is wrong with the files. */
export function reconcile({ provider, from, to, files, ledger, sources, names }: ReconcileInput): Reconciliation {
  const { parse, providers } = EXPORTS[provider]!
  const problems: string[] = []
  const lines = files.flatMap(({ name, text }) => {
    try {
      return parse(text, name)
    } catch (error) {
      if (!(error instanceof ExportError)) throw error
      problems.push(...error.problems)
      return []
    }
  })
  if (problems.length > 0) throw new ExportError(problems)
  const within = lines.filter(({ day }) => day >= from && day <= to)
  if (within.length === 0)
    throw new ExportError([
      lines.length === 0
        ? `${files.map(({ name }) => name).join(', ')}: no line of this provider's models`
        : `${files.map(({ name }) => name).join(', ')}: no line from ${from} to ${to}; the export has ${lines[0]!.day} to ${lines.at(-1)!.day}`,
    ])
  const ours = <Row extends { provider: string }>(rows: readonly Row[]) =>
    rows.filter((row) => providers.includes(row.provider))
  return compare(within, ours(ledger), ours(sources), names)
}
