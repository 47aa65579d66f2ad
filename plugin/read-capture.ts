import type { Capture, LossReason } from '../sidecar/capture.ts'
import type { Config } from './config.ts'
import type { ErrorKind } from './errors.ts'
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

/**
 * A capture; or a numbered one that will never come; or an error: the tap has numbered the request, and its number is
 * not known here, so that it shows as a gap and must not be told lost as well.
 */
export type Read =
  | { json: Buffer; number: Numbered; node: string | undefined }
  | { loss: LossReason; number: Numbered; node?: string | undefined }
  | { error: ErrorKind }
  | { shipped: true }

const WIRE_VERSION: Capture['v'] = 2
/** Of a tap that stands in kong.yml since before the plugin was upgraded. */
const PREVIOUS_VERSION: Capture['v'] = 1
/** What a tap that ships by itself leaves. */
const SHIPPED = 'shipped'
const TIMED_OUT = Symbol('timed out')
/** Kong's node id does not change while it runs, and asking is a round trip. */
let nodeId: string | undefined

/** What a configuration's instance remembers of its last request: the next one is mostly alike. */
export interface Seen {
  /** Undefined before the first request was read. */
  tapped: boolean | undefined
}

/**
 * One request as a serialized Capture, by one PDK call: the round trip is the price, not what comes with it. Asked for is
 * what the tap has left, and only where it left nothing – no tap on this route, or one that failed – Kong's log document,
 * by a second call. `source: log` asks for that alone. Once in a process the node id is one more call. `number` gives a
 * number of the plugin's own. Never throws.
 */
export async function readCapture(kong: Kong, config: Config, seen: Seen, number: () => Numbered): Promise<Read> {
  const ask = (call: Promise<unknown>) => withTimeLimit(call, config.pdkTimeoutMs)
  // A tapped request has a number that is not known here; of an untapped one nobody else counts the loss.
  const failed = (reason: 'pdk_timeout' | 'pdk_error'): Read =>
    config.source === 'log' || seen.tapped === false
      ? { loss: reason, number: number(), node: nodeId }
      : { error: reason }
  try {
    if (config.source !== 'log') {
      const tapped = await ask(kong.ctx.shared.get(TAP_KEY))
      if (tapped === TIMED_OUT) return failed('pdk_timeout')
      seen.tapped = tapped !== undefined && tapped !== null
      if (tapped === SHIPPED) return { shipped: true }
      if (typeof tapped === 'string') return fromText(tapped, config, number)
      if (seen.tapped) return fromTable(tapped, config, number)
    }
    const serialized = await ask(kong.log.serialize())
    if (serialized === TIMED_OUT) return failed('pdk_timeout')
    // Kong gives nil, and loses the error, where it cannot serialize.
    if (typeof serialized !== 'string') return failed('pdk_error')
    if (nodeId === undefined) {
      const id = await ask(kong.node.get_id())
      if (id === TIMED_OUT) return failed('pdk_timeout')
      if (typeof id !== 'string' || id === '') return failed('pdk_error')
      nodeId = id
    }
    return fromLog(parsed(serialized), nodeId, config, number())
  } catch {
    return failed('pdk_error')
  }
}

/** How the tap begins its text: version, node, and its number where it has given one. */
const TEXT_HEAD =
  /^\{"v":2,"source":"tap","node":"([^"\\]{1,128})"(?:,"epoch":"([^"\\]{1,64})","sequence":([0-9]{1,16}))?,/

/** The tap's text is a Capture already: what the operator decides here is written in front of it, and nothing is parsed. */
function fromText(text: string, config: Config, own: () => Numbered): Read {
  const head = TEXT_HEAD.exec(text)
  // Longer than the limit it may be for other reasons than its bodies: then it is looked at.
  const limited = config.maxContentBytes !== undefined && text.length > config.maxContentBytes
  if (head === null || limited) return fromTable(parsed(text), config, own)
  const [, node, epoch, sequence] = head
  const number: Numbered = epoch === undefined ? own() : [epoch, Number(sequence)]
  let front = `{"content":"${config.content}"`
  if (config.scope !== undefined) front += `,"scope":"${config.scope}"`
  if (epoch === undefined) front += `,"epoch":"${number[0]}","sequence":${number[1]}`
  return { json: Buffer.from(`${front},${text.slice(1)}`), number, node }
}

/** A Capture as a table: of a tap of the version before, or one that is changed here. */
function fromTable(tapped: unknown, config: Config, own: () => Numbered): Read {
  const known = numberOf(tapped)
  const node = nodeOf(tapped)
  const version = isRecord(tapped) ? tapped.v : undefined
  if (!isRecord(tapped) || !isRecord(tapped.log) || (version !== WIRE_VERSION && version !== PREVIOUS_VERSION))
    return known === undefined ? { error: 'tap_table_invalid' } : { loss: 'invalid', number: known, node }
  const number = known ?? own()
  tapped.epoch = number[0]
  tapped.sequence = number[1]
  tapped.content = config.content
  if (config.scope !== undefined) tapped.scope = config.scope
  if (config.maxContentBytes !== undefined) limitBodies(tapped, config.maxContentBytes)
  return { json: Buffer.from(JSON.stringify(tapped)), number, node }
}

function fromLog(document: unknown, node: string, { content, scope }: Config, number: Numbered): Read {
  const log = pickLogDocument(document)
  if (log === undefined) return { loss: 'invalid', number, node }
  const [epoch, sequence] = number
  const capture = { v: WIRE_VERSION, source: 'log', node, epoch, sequence, content, scope, log }
  return { json: Buffer.from(JSON.stringify(capture)), number, node }
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

function nodeOf(tapped: unknown): string | undefined {
  return isRecord(tapped) && typeof tapped.node === 'string' && tapped.node !== '' ? tapped.node : undefined
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
