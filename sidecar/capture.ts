import { z } from 'zod'

/**
 * Capture: what the plugin saw of one request. This file and capture-batch.ts are the wire contract between plugin and
 * sidecar (`POST /v1/captures`), version 2. A sidecar reads this version and the one before it.
 *
 * Field names are those of Kong's log serializer (snake_case), because the tap's Lua builds the same shape.
 * Bodies are base64: strings that are not UTF-8 do not survive Kong's RPC.
 */
export const CAPTURE_VERSION = 2
export const PREVIOUS_CAPTURE_VERSION = 1
/** The version of one message: a tap of the version before may stand in kong.yml beside a new plugin. */
const version = z.union([z.literal(CAPTURE_VERSION), z.literal(PREVIOUS_CAPTURE_VERSION)])

/** Kong sends an empty Lua table where it means an empty list or map. */
const list = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (value) =>
      value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length === 0
        ? []
        : value,
    z.array(item),
  )
const headers = z.preprocess(
  (value) => (Array.isArray(value) && value.length === 0 ? {} : value),
  z.record(
    z.string().max(256),
    z.union([z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.boolean()]))]),
  ),
)
const tags = list(z.string()).nullish()

/** The part of `kong.log.serialize()` that is read; anything else is dropped here. `ai` is passed on as it is. */
export const kongLogSchema = z.object({
  started_at: z.number(),
  client_ip: z.string().nullish(),
  source: z.string().nullish(),
  upstream_uri: z.string().nullish(),
  upstream_status: z.union([z.string(), z.number()]).nullish(),
  workspace: z.string().nullish(),
  workspace_name: z.string().nullish(),
  correlation_id: z.union([z.string(), z.number()]).nullish(),
  trace_id: z.record(z.string(), z.unknown()).nullish(),
  request: z.object({
    id: z.string().min(1).max(256),
    method: z.string().max(32),
    uri: z.string(),
    size: z.coerce.number().nullish(),
    headers,
  }),
  response: z.object({
    status: z.number().int(),
    size: z.coerce.number().nullish(),
    headers,
  }),
  latencies: z
    .object({
      request: z.number().nullish(),
      kong: z.number().nullish(),
      proxy: z.number().nullish(),
      receive: z.number().nullish(),
    })
    .nullish(),
  tries: list(
    z.object({
      ip: z.string().nullish(),
      port: z.number().nullish(),
      /** Epoch milliseconds. */
      balancer_start: z.number().nullish(),
      state: z.string().nullish(),
      code: z.number().nullish(),
    }),
  ).nullish(),
  route: z.object({ id: z.string().nullish(), name: z.string().nullish(), tags }).nullish(),
  service: z
    .object({
      id: z.string().nullish(),
      name: z.string().nullish(),
      host: z.string().nullish(),
      port: z.number().nullish(),
      protocol: z.string().nullish(),
      tags,
    })
    .nullish(),
  consumer: z
    .object({ id: z.string().nullish(), username: z.string().nullish(), custom_id: z.string().nullish(), tags })
    .nullish(),
  authenticated_entity: z.object({ id: z.string().nullish() }).nullish(),
  ai: z.unknown().optional(),
})
export type KongLog = z.infer<typeof kongLogSchema>

export const captureSchema = z.object({
  v: version,
  /** Which way it came: the Lua tap (bodies and times too), or Kong's log document alone. */
  source: z.enum(['tap', 'log']),
  /** kong.node.get_id() */
  node: z.string().min(1).max(128),
  /**
   * Its number. The tap numbers as captures go on their way: one epoch is one Lua chunk in one worker process. What the
   * tap has not numbered the plugin does: one epoch for each sidecar that a plugin process ships to. The first is 1.
   */
  worker: z.number().int().nullish(),
  epoch: z.string().max(64).nullish(),
  sequence: z.number().int().positive().nullish(),
  /** Failed hook calls of this epoch so far (a running total): parts of captures that the tap could not gather. */
  tap_errors: z.number().int().nonnegative().nullish(),
  /** Whether the operator lets content rest on disk for this route. `off`: bodies are read for usage and forgotten. */
  content: z.enum(['on', 'off']),
  /** The plugin stands on no route or service: requests that are no LLM calls come along. */
  scope: z.enum(['global']).nullish(),
  /** The request asked for another protocol; what passes in it is not seen. */
  upgrade: z.enum(['websocket']).nullish(),
  /** Payload (base64url JSON, without head and signature) of a JSON Web Token that Kong has verified. */
  jwt_payload: z.string().max(16_384).nullish(),
  /**
   * Trace headers of every kind as the client sent them, before Kong's own tracing may have changed them; empty where there
   * were none, absent where nobody saw or where they were longer than a trace is.
   */
  client_trace: z.string().max(512).nullish(),
  log: kongLogSchema,
  /** base64. Absent where Kong gave none. */
  request_body: z.string().nullish(),
  request_bytes: z.number().int().nonnegative().nullish(),
  /** Why there is no request body although there was one. */
  request_error: z.string().max(256).nullish(),
  /** base64 of the whole response body or its head … */
  response_body: z.string().nullish(),
  /** … and base64 of its last bytes, where the middle was cut out. */
  response_tail: z.string().nullish(),
  response_bytes: z.number().int().nonnegative().nullish(),
  /**
   * Of results of a batch, one answer a line: sums of the usage objects of all lines as they passed, by model and by the
   * largest step of prompt size that the line's prompt exceeds (32,000, 100,000, 128,000, 200,000, 256,000, 272,000, 512,000;
   * 0: none). `sums` by path: `cache_creation.ephemeral_5m_input_tokens`. Bounded in number, whatever the answer's length.
   */
  usage_lines: z
    .object({
      lines: z.number().int().nonnegative(),
      /** Lines that could not be read, or had no room: then the sums are not the whole. */
      skipped: z.number().int().nonnegative(),
      groups: list(
        z.object({
          model: z.string().max(256).nullish(),
          lines: z.number().int().positive(),
          prompt_over: z.number().int().nonnegative(),
          sums: z.record(z.string().max(128), z.number().nonnegative()),
        }),
      ),
    })
    .nullish(),
  /** The last chunk was seen. False: the client hung up, or the provider broke off. */
  response_complete: z.boolean().nullish(),
  /** Epoch seconds, as ngx.now() gives them. */
  first_byte_at: z.number().nullish(),
  last_byte_at: z.number().nullish(),
})
export type Capture = z.infer<typeof captureSchema>

/**
 * Why a numbered capture will never come. A closed list: it is a metric label. `timed_out`: no answer came to a batch of
 * this one capture, though others were taken. `rejected`: the sidecar refused it, though it took others. `other`: a
 * reason that this sidecar does not know, of a newer plugin.
 */
export const LOSS_REASONS = [
  'queue_full',
  'too_large',
  'rejected',
  'timed_out',
  'pdk_timeout',
  'pdk_error',
  'invalid',
  'shutdown',
  'other',
] as const
export type LossReason = (typeof LOSS_REASONS)[number]

const epoch = z.string().min(1).max(64)
const number = z.number().int().positive()

/**
 * The one message that tells a loss: `count` captures (1 where absent) from `sequence` on will never come. It travels
 * among the captures of a batch; its numbers make it idempotent.
 */
export const tombstoneSchema = z
  .object({
    v: z.literal(CAPTURE_VERSION),
    tombstone: z
      .string()
      .max(64)
      .transform((reason): LossReason => LOSS_REASONS.find((known) => known === reason) ?? 'other'),
    epoch,
    sequence: number,
    count: number.default(1),
    node: z.string().min(1).max(128).optional(),
  })
  .refine(({ sequence, count }) => count - 1 <= Number.MAX_SAFE_INTEGER - sequence, 'its numbers end beyond 2^53 - 1')
export type Tombstone = z.infer<typeof tombstoneSchema>

/** One request to `POST /v1/totals`: the tap's timer says how many captures an epoch has had, so that a lost tail shows. */
export const totalsSchema = z.object({
  v: version,
  node: z.string().min(1).max(128),
  epoch,
  sequence: number,
  tap_errors: z.number().int().nonnegative().optional(),
})
export type Totals = z.infer<typeof totalsSchema>
