import type { Capture, PluginDropReason } from '../sidecar/capture.ts'
import type { Config } from './config.ts'
import { limitBodies } from './limit-bodies.ts'
import { pickLogDocument } from './log-document.ts'
import type { Numbered } from './queue.ts'

/** The three calls of Kong's PDK that are made, each known to answer in the log phase. */
export interface Kong {
  ctx: { shared: { get(key: string): Promise<unknown> } }
  log: { serialize(): Promise<unknown> }
  node: { get_id(): Promise<unknown> }
}

/** Where the tap leaves its capture. */
export const TAP_KEY = 'llm_observer'

export type Read =
  | { json: Buffer; numbered: Numbered | undefined }
  | { drop: PluginDropReason; numbered?: Numbered | undefined }

const WIRE_VERSION: Capture['v'] = 1
const TIMED_OUT = Symbol('timed out')
/** Kong's node id does not change while it runs, and asking is a round trip. */
let nodeId: string | undefined

/**
 * One request as a serialized Capture, by one PDK call (two where `auto` finds no tap, and once in a process for the
 * node id). Never throws: what cannot be read is a drop with its reason.
 */
export async function readCapture(kong: Kong, config: Config): Promise<Read> {
  let numbered: Numbered | undefined
  try {
    if (config.source !== 'log') {
      const tapped = await withTimeLimit(kong.ctx.shared.get(TAP_KEY), config.pdkTimeoutMs)
      if (tapped === TIMED_OUT) return { drop: 'pdk_timeout' }
      if (tapped !== undefined && tapped !== null) {
        numbered = numberOf(tapped)
        return fromTap(tapped, numbered, config)
      }
      if (config.source === 'tap') return { drop: 'invalid' }
    }
    const serialized = await withTimeLimit(kong.log.serialize(), config.pdkTimeoutMs)
    if (serialized === TIMED_OUT) return { drop: 'pdk_timeout' }
    if (nodeId === undefined) {
      const id = await withTimeLimit(kong.node.get_id(), config.pdkTimeoutMs)
      if (id === TIMED_OUT) return { drop: 'pdk_timeout' }
      if (typeof id !== 'string' || id === '') return { drop: 'pdk_error' }
      nodeId = id
    }
    return fromLog(serialized, nodeId, config)
  } catch {
    return { drop: 'pdk_error', numbered }
  }
}

/** The tap's table is a Capture already, but for what the operator decides here. */
function fromTap(tapped: unknown, numbered: Numbered | undefined, config: Config): Read {
  if (!isRecord(tapped) || tapped.v !== WIRE_VERSION || !isRecord(tapped.log)) return { drop: 'invalid', numbered }
  tapped.content = config.content
  if (config.maxContentBytes !== undefined) limitBodies(tapped, config.maxContentBytes)
  return { json: Buffer.from(JSON.stringify(tapped)), numbered }
}

function fromLog(serialized: unknown, node: string, config: Config): Read {
  // Kong gives nil, and loses the error, where it cannot serialize.
  if (typeof serialized !== 'string') return { drop: 'pdk_error' }
  let document: unknown
  try {
    document = JSON.parse(serialized)
  } catch {
    return { drop: 'invalid' }
  }
  const log = pickLogDocument(document)
  if (log === undefined) return { drop: 'invalid' }
  return {
    json: Buffer.from(JSON.stringify({ v: WIRE_VERSION, source: 'log', node, content: config.content, log })),
    numbered: undefined,
  }
}

function numberOf(tapped: unknown): Numbered | undefined {
  if (!isRecord(tapped)) return undefined
  const { epoch, sequence } = tapped
  if (typeof epoch !== 'string' || epoch.length > 64 || !Number.isSafeInteger(sequence)) return undefined
  return (sequence as number) > 0 ? [epoch, sequence as number] : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** kong-pdk's calls hang for ever when Kong's side of the call dies. A late answer or error is ignored. */
async function withTimeLimit(call: Promise<unknown>, ms: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, ms, TIMED_OUT)
  })
  try {
    return await Promise.race([call, timeout])
  } finally {
    clearTimeout(timer)
  }
}
