import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Unpacked, unpack } from '../message-pack.ts'

const data = join(import.meta.dirname, '../../../../shared/data')

/** What real Kong 3.9.3 and a plugin server said to each other. */
const SESSION = join(data, 'kong-rpc/session.jsonl')
const KONG_LOGS = join(data, 'kong-3.9.3-logs')

export const recordingsPresent = existsSync(SESSION) && existsSync(KONG_LOGS)
if (!recordingsPresent) {
  if (process.env.CI) throw new Error('CI must have the recordings of real Kong (../shared/data)')
  console.warn('skipped: the recordings of real Kong are not beside the checkout (../shared/data)')
}

export interface RecordedMessage {
  connection: number
  from: 'kong' | 'server'
  bytes: Buffer
  message: Unpacked[]
}

/** All messages in order. `raw`: strings as bytes. */
export function recordedMessages(raw: boolean): RecordedMessage[] {
  const parts = new Map<string, Buffer>()
  const messages: RecordedMessage[] = []
  for (const line of readFileSync(SESSION, 'utf8').trimEnd().split('\n')) {
    const { conn, from, b64 } = JSON.parse(line) as { conn: number; from?: 'kong' | 'server'; b64?: string }
    if (from === undefined || b64 === undefined) continue
    const side = `${conn} ${from}`
    let bytes = Buffer.concat([parts.get(side) ?? Buffer.alloc(0), Buffer.from(b64, 'base64')])
    for (let read = unpack(bytes, { raw }); read !== undefined; read = unpack(bytes, { raw })) {
      messages.push({ connection: conn, from, bytes: bytes.subarray(0, read.end), message: read.value as Unpacked[] })
      bytes = bytes.subarray(read.end)
      if (bytes.length === 0) break
    }
    parts.set(side, bytes)
  }
  const open = [...parts].filter(([, bytes]) => bytes.length > 0)
  if (open.length > 0) throw new Error(`messages without an end: ${open.map(([side]) => side).join(', ')}`)
  return messages
}

/** The log documents in the recorded session, in the order in which Kong sent them. */
export function sessionDocuments(): Record<string, unknown>[] {
  return recordedMessages(false).flatMap(({ from, message }) => {
    const step = from === 'kong' ? (message[3] as Unpacked[])[0] : undefined
    const data = step instanceof Map ? step.get('Data') : undefined
    return typeof data === 'string' && data.startsWith('{"latencies"') ? [JSON.parse(data)] : []
  })
}

export function loggedDocument(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(KONG_LOGS, `${name}.json`), 'utf8'))
}
