import { decimalUsd } from '../call.ts'
import { cleanLabel } from './fold-labels.ts'
import type { Period } from './period.ts'
import type { RepriceSummary } from './reprice.ts'
import type { UnpricedList } from './unpriced.ts'

/** What `reprice` did, for a person. */
export function repriceText(
  summary: RepriceSummary,
  { from, to, dryRun, bookVersion }: Period & { dryRun: boolean; bookVersion: string },
): string {
  const { seen, adjusted, unchanged, free, merged, keptFrom, tenants, unpriced } = summary
  const all = tenants.reduce(
    (sum, { adjusted: calls, up, down }) => ({ calls: sum.calls + calls, up: sum.up + up, down: sum.down + down }),
    { calls: 0, up: 0n, down: 0n },
  )
  const line = (name: string, calls: number, up: bigint, down: bigint) => [
    name,
    grouped(calls),
    decimalUsd(up),
    decimalUsd(-down),
    decimalUsd(up - down),
  ]
  const parts = [
    `Calls from ${from} to ${to} (UTC), priced as of their start by ${bookVersion}:\n`,
    table(
      ['', 'calls'],
      [
        ['seen', grouped(seen)],
        [dryRun ? 'would be adjusted' : 'adjusted', grouped(adjusted)],
        ['unchanged', grouped(unchanged)],
        ['free at any price', grouped(free)],
        ...(merged === 0 ? [] : [['bills too long to be kept', grouped(merged)]]),
      ],
    ),
  ]
  if (keptFrom !== undefined)
    parts.push(
      `\nCalls that started before ${instant(keptFrom)} are not kept (ledger.callRetentionDays): they were not looked at.\n`,
    )
  if (tenants.length > 0)
    parts.push(
      '\n',
      table(
        ['tenant', 'calls', 'up USD', 'down USD', 'difference USD'],
        [
          ...tenants.map(({ tenant, adjusted: calls, up, down }) => line(tenant, calls, up, down)),
          line('all', all.calls, all.up, all.down),
        ],
      ),
    )
  if (unpriced.length > 0)
    parts.push(
      '\nUnpriced:\n',
      table(
        ['provider', 'model', 'reason', 'calls'],
        unpriced.map(({ provider, model, reason, calls }) => [provider, model, reason, grouped(calls)]),
        3,
      ),
    )
  if (dryRun) parts.push('\nNothing was written (--dry-run).\n')
  return parts.join('')
}

export function unpricedText({ keptFrom, models }: UnpricedList): string {
  const since = keptFrom === 0 ? '' : `Calls are kept since ${instant(keptFrom)}.\n`
  if (models.length === 0) return `No unpriced calls. ${since}`.trim().concat('\n')
  const rows = models.map(({ provider, model, reason, calls, firstAt, lastAt }) => [
    provider,
    model,
    reason,
    instant(firstAt),
    instant(lastAt),
    grouped(calls),
  ])
  return table(['provider', 'model', 'reason', 'first seen', 'last seen', 'calls'], rows, 5) + since
}

export function unpricedJson({ keptFrom, models }: UnpricedList): string {
  return `${JSON.stringify({
    kept_from: keptFrom === 0 ? null : new Date(keptFrom).toISOString(),
    models: models.map(({ provider, model, reason, calls, firstAt, lastAt }) => ({
      provider,
      model,
      reason,
      calls,
      first_seen: new Date(firstAt).toISOString(),
      last_seen: new Date(lastAt).toISOString(),
    })),
  })}\n`
}

/** The first columns are text, the others numbers. Names come from clients: nothing in them may steer a terminal. */
function table(header: readonly string[], rows: readonly (readonly string[])[], textColumns = 1): string {
  const lines = [header, ...rows.map((row) => row.map(cleanLabel))]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column < textColumns ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
    .concat('\n')
}

function instant(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}
