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
/** What the tap sets in Kong's log document. */
const TAP_MARK = 'llm_observer_tapped'

export type Read =
  | { json: Buffer; numbered: Numbered | undefined }
  | { drop: PluginDropReason; numbered?: Numbered | undefined }

const WIRE_VERSION: Capture['v'] = 1
const TIMED_OUT = Symbol('timed out')
/** Kong's node id does not change while it runs, and asking is a round trip. */
let nodeId: string | undefined

/** What an instance of the plugin remembers of its last request: the next one is mostly alike. */
export interface Seen {
  tapped: boolean
}

/**
 * One request as a serialized Capture, by one PDK call: the round trip is the price, not what comes with it. `auto` asks
 * for what the last request had, the tap's table or Kong's log document, in which the tap leaves a mark; only where a
 * request is unlike the last does it take two. Once in a process the node id is one more. Never throws: what cannot be
 * read is a drop with its reason.
 */
export async function readCapture(kong: Kong, config: Config, seen: Seen): Promise<Read> {
  let numbered: Numbered | undefined
  const ask = (call: Promise<unknown>) => withTimeLimit(call, config.pdkTimeoutMs)
  try {
    if (config.source === 'tap' || (config.source === 'auto' && seen.tapped)) {
      const tapped = await ask(kong.ctx.shared.get(TAP_KEY))
      if (tapped === TIMED_OUT) return { drop: 'pdk_timeout' }
      if (tapped !== undefined && tapped !== null) {
        numbered = numberOf(tapped)
        return fromTap(tapped, numbered, config)
      }
      if (config.source === 'tap') return { drop: 'invalid' }
      seen.tapped = false
    }
    const serialized = await ask(kong.log.serialize())
    if (serialized === TIMED_OUT) return { drop: 'pdk_timeout' }
    // Kong gives nil, and loses the error, where it cannot serialize.
    if (typeof serialized !== 'string') return { drop: 'pdk_error' }
    const document = parsed(serialized)
    if (config.source === 'auto' && document?.[TAP_MARK] === true) {
      const tapped = await ask(kong.ctx.shared.get(TAP_KEY))
      if (tapped === TIMED_OUT) return { drop: 'pdk_timeout' }
      if (tapped !== undefined && tapped !== null) {
        seen.tapped = true
        numbered = numberOf(tapped)
        return fromTap(tapped, numbered, config)
      }
    }
    if (nodeId === undefined) {
      const id = await ask(kong.node.get_id())
      if (id === TIMED_OUT) return { drop: 'pdk_timeout' }
      if (typeof id !== 'string' || id === '') return { drop: 'pdk_error' }
      nodeId = id
    }
    return fromLog(document, nodeId, config)
  } catch {
    return { drop: 'pdk_error', numbered }
  }
}

/** The tap's table is a Capture already, but for what the operator decides here. */
function fromTap(tapped: unknown, numbered: Numbered | undefined, config: Config): Read {
  if (!isRecord(tapped) || tapped.v !== WIRE_VERSION || !isRecord(tapped.log)) return { drop: 'invalid', numbered }
  tapped.content = config.content
  if (config.scope !== undefined) tapped.scope = config.scope
  if (config.maxContentBytes !== undefined) limitBodies(tapped, config.maxContentBytes)
  return { json: Buffer.from(JSON.stringify(tapped)), numbered }
}

function fromLog(document: unknown, node: string, { content, scope }: Config): Read {
  const log = pickLogDocument(document)
  if (log === undefined) return { drop: 'invalid' }
  return {
    json: Buffer.from(JSON.stringify({ v: WIRE_VERSION, source: 'log', node, content, scope, log })),
    numbered: undefined,
  }
}

function parsed(json: string): Record<string, unknown> | undefined {
  try {
    const document: unknown = JSON.parse(json)
    return isRecord(document) ? document : undefined
  } catch {
    return undefined
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
