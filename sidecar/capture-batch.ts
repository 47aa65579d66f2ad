import { z } from 'zod'
import {
  CAPTURE_VERSION,
  LOSS_REASONS,
  type LossReason,
  PREVIOUS_CAPTURE_VERSION,
  type Tombstone,
  tombstoneSchema,
} from './capture.ts'

/** The second half of the wire contract: one request to `POST /v1/captures`, and its answer. */

/** Captures and tombstones of one batch together. */
export const MAX_BATCH_ENTRIES = 20_000
/** Ranges of acknowledged numbers that a batch tells of one epoch: the newest. */
export const MAX_ACKNOWLEDGED_RANGES = 50

const plugin = z.object({ version: z.string().max(64), instance: z.string().max(64) })
const count = z.number().int().nonnegative()
const number = z.number().int().positive()
const epoch = z.string().min(1).max(64)
const entries = z.array(z.unknown()).max(MAX_BATCH_ENTRIES)

/** First and last number, both included. */
const rangeSchema = z.tuple([number, number]).refine(([first, last]) => first <= last, 'a range ends before it begins')
export type NumberRange = [first: number, last: number]

/**
 * Version 2. Captures and tombstones are checked one by one, so that a bad one harms only itself.
 * `acknowledged`: of each epoch that occurs in the batch, numbers that a sidecar has acknowledged to this plugin process
 * before. A sidecar that does not know them has lost its store, or got an older one back.
 * `errors`: the plugin's own errors as running totals of this instance, with the last message of each kind; no content.
 */
export const captureBatchSchema = z.object({
  v: z.literal(CAPTURE_VERSION),
  plugin,
  acknowledged: z
    .array(z.tuple([epoch, z.array(rangeSchema).max(MAX_ACKNOWLEDGED_RANGES)]))
    .max(MAX_BATCH_ENTRIES)
    .optional(),
  errors: z
    .array(
      z.object({
        kind: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/),
        total: count,
        message: z.string().max(512).optional(),
      }),
    )
    .max(64)
    .optional(),
  captures: entries,
})
export type CaptureBatch = z.infer<typeof captureBatchSchema>
export type PluginError = NonNullable<CaptureBatch['errors']>[number]
export type Acknowledged = NonNullable<CaptureBatch['acknowledged']>[number]

/** Version 1: losses as running totals by reason, the numbers of those that were numbered beside. */
const previousBatchSchema = z.object({
  v: z.literal(PREVIOUS_CAPTURE_VERSION),
  plugin,
  dropped: z.array(
    z.object({
      reason: z.enum(LOSS_REASONS),
      total: count,
      sequences: z
        .array(z.tuple([epoch, number]))
        .max(10_000)
        .optional(),
    }),
  ),
  captures: entries,
})

/** The sidecar's answer with status 202: all is accounted for, nothing of it needs to come again. */
export interface BatchAnswer {
  stored: number
  duplicate: number
  /** Numbers that the batch's tombstones told, and that were not known before. */
  lost: number
  /** Captures that are not valid: accounted as lost with reason `invalid`. At most 20 are described. */
  rejected: { index: number; message: string }[]
  /** Identity of the store that took the batch. */
  store: string
}

/** A batch of either version, in the form of version 2. */
export interface Batch {
  plugin: { version: string; instance: string }
  acknowledged: Acknowledged[]
  errors: PluginError[]
  /** `captures` as they came, not checked; undefined where a tombstone stood, so that the index stays. */
  entries: unknown[]
  tombstones: Tombstone[]
  /** Version 1 only: running totals of the instance; `named` of them are among this batch's tombstones. */
  legacyDrops: { reason: LossReason; total: number; named: number }[]
}

export interface BatchProblem {
  kind: 'wrong_version' | 'invalid_batch'
  message: string
}

/** Reads the JSON of a batch of this version or the one before. Never throws. */
export function readBatch(json: unknown): Batch | { problem: BatchProblem } {
  const version = (json as { v?: unknown } | null | undefined)?.v
  if (version === CAPTURE_VERSION) return readCurrent(json)
  if (version === PREVIOUS_CAPTURE_VERSION) return readPrevious(json)
  const said = JSON.stringify(version)?.slice(0, 20)
  return {
    problem: {
      kind: 'wrong_version',
      message: `capture version ${said} is not spoken here; this sidecar reads versions ${PREVIOUS_CAPTURE_VERSION} and ${CAPTURE_VERSION}: upgrade the older of plugin and sidecar`,
    },
  }
}

function readCurrent(json: unknown): Batch | { problem: BatchProblem } {
  const parsed = captureBatchSchema.safeParse(json)
  if (!parsed.success) return invalid(parsed.error)
  const { plugin, acknowledged = [], errors = [], captures } = parsed.data
  const tombstones: Tombstone[] = []
  // A tombstone that is not valid stays an entry: it is refused as the capture that it is none of.
  const entries = captures.map((entry) => {
    if (entry === null || typeof entry !== 'object' || !Object.hasOwn(entry, 'tombstone')) return entry
    const tombstone = tombstoneSchema.safeParse(entry)
    if (!tombstone.success) return entry
    tombstones.push(tombstone.data)
    return undefined
  })
  return { plugin, acknowledged, errors, entries, tombstones, legacyDrops: [] }
}

function readPrevious(json: unknown): Batch | { problem: BatchProblem } {
  const parsed = previousBatchSchema.safeParse(json)
  if (!parsed.success) return invalid(parsed.error)
  const { plugin, dropped, captures } = parsed.data
  return {
    plugin,
    acknowledged: [],
    errors: [],
    entries: captures,
    tombstones: dropped.flatMap(({ reason, sequences = [] }) => tombstonesOf(reason, sequences)),
    legacyDrops: dropped.map(({ reason, total, sequences = [] }) => ({ reason, total, named: sequences.length })),
  }
}

/** Consecutive numbers of an epoch as one tombstone. */
function tombstonesOf(
  reason: LossReason,
  numbers: readonly (readonly [epoch: string, sequence: number])[],
): Tombstone[] {
  const sorted = numbers.toSorted(([a, m], [b, n]) => (a < b ? -1 : a > b ? 1 : m - n))
  const tombstones: Tombstone[] = []
  for (const [epoch, sequence] of sorted) {
    const last = tombstones.at(-1)
    const next = last === undefined ? 0 : last.sequence + last.count
    if (last?.epoch === epoch && sequence === next) last.count++
    else if (last?.epoch !== epoch || sequence > next)
      tombstones.push({ v: CAPTURE_VERSION, tombstone: reason, epoch, sequence, count: 1 })
  }
  return tombstones
}

function invalid(error: z.ZodError): { problem: BatchProblem } {
  const message = error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`)
    .join('; ')
  return { problem: { kind: 'invalid_batch', message } }
}
