import { crc32 } from 'node:zlib'

/** One message of AWS's event stream, as Bedrock writes it. */
export function makeAwsMessage(headers: Record<string, string>, payload: unknown): Buffer {
  const parts = Object.entries(headers).map(([name, value]) => {
    const text = Buffer.from(value)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(text.length)
    return Buffer.concat([Buffer.from([Buffer.byteLength(name)]), Buffer.from(name), Buffer.from([7]), length, text])
  })
  const head = Buffer.concat(parts)
  const body = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload))
  const prelude = Buffer.alloc(8)
  prelude.writeUInt32BE(16 + head.length + body.length, 0)
  prelude.writeUInt32BE(head.length, 4)
  const start = Buffer.concat([prelude, checksum(prelude), head, body])
  return Buffer.concat([start, checksum(start)])
}

/** Events of converse-stream: `[type, payload]`. */
export function makeEventStream(events: readonly (readonly [type: string, payload: unknown])[]): Buffer {
  return Buffer.concat(
    events.map(([type, payload]) =>
      makeAwsMessage({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, payload),
    ),
  )
}

/** Chunks of invoke-with-response-stream: each holds the model's own JSON. */
export function makeChunkStream(chunks: readonly unknown[]): Buffer {
  return makeEventStream(
    chunks.map((chunk) => ['chunk', { bytes: Buffer.from(JSON.stringify(chunk)).toString('base64'), p: 'abc' }]),
  )
}

function checksum(bytes: Uint8Array): Buffer {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  return sum
}
