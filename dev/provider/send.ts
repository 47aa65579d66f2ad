import type { ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { brotliCompressSync, createBrotliCompress, createDeflate, createGzip, deflateSync, gzipSync } from 'node:zlib'
import type { Answer } from './answer.ts'
import type { Encoding } from './steering.ts'

export interface Pace {
  latencyMs: number
  /** Asked before each chunk but the first. */
  chunkDelayMs: () => number
  encoding: Encoding | undefined
}

/** Writes the answer, at its pace. Resolves with false where the client was gone before the end. */
export async function send(response: ServerResponse, answer: Answer, pace: Pace): Promise<boolean> {
  if (response.destroyed) return false
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  try {
    if (pace.latencyMs > 0) await wait(pace.latencyMs, undefined, { signal: gone.signal })
    const headers: Record<string, string> = { ...answer.headers, 'x-mock-usage': JSON.stringify(answer.billed) }
    if (pace.encoding !== undefined) headers['content-encoding'] = pace.encoding
    if (Buffer.isBuffer(answer.body)) return await sendWhole(response, answer, answer.body, headers, pace.encoding)
    response.writeHead(answer.status, headers)
    response.flushHeaders()
    const encode = pace.encoding === undefined ? undefined : encoder(pace.encoding)
    let first = true
    for (const chunk of answer.body) {
      const delay = first ? 0 : pace.chunkDelayMs()
      first = false
      // Without a delay too: each chunk is to leave as a chunk of its own.
      await (delay > 0 ? wait(delay, undefined, { signal: gone.signal }) : new Promise(setImmediate))
      await write(response, encode === undefined ? chunk : await encode.write(chunk), gone.signal)
    }
    if (answer.cut === undefined && encode !== undefined) await write(response, await encode.end(), gone.signal)
    return await finish(response, answer)
  } catch (error) {
    if (gone.signal.aborted) return false
    throw error
  }
}

async function sendWhole(
  response: ServerResponse,
  answer: Answer,
  body: Buffer,
  headers: Record<string, string>,
  encoding: Encoding | undefined,
): Promise<boolean> {
  const bytes = encoding === undefined ? body : compressWhole(encoding, body)
  // One byte more than ever comes, where the answer is cut: the client must notice.
  const length = answer.cut === undefined ? bytes.length : Math.max(answer.cut.declaredLength ?? 0, bytes.length + 1)
  response.writeHead(answer.status, { ...headers, 'content-length': String(length) })
  if (answer.cut === undefined) {
    response.end(bytes)
    return true
  }
  await new Promise<void>((resolve) => response.write(bytes, () => resolve()))
  return finish(response, answer)
}

async function finish(response: ServerResponse, answer: Answer): Promise<boolean> {
  if (answer.cut === undefined) {
    response.end()
    return true
  }
  response.socket?.destroy()
  return true
}

/** Resolves once the bytes are handed to the system; fails when the client is gone. */
function write(response: ServerResponse, bytes: Buffer, gone: AbortSignal): Promise<void> {
  if (bytes.length === 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    if (gone.aborted) return reject(gone.reason)
    const onGone = () => reject(gone.reason)
    gone.addEventListener('abort', onGone, { once: true })
    response.write(bytes, (error) => {
      gone.removeEventListener('abort', onGone)
      if (error) reject(error)
      else resolve()
    })
  })
}

function compressWhole(encoding: Encoding, body: Buffer): Buffer {
  if (encoding === 'gzip') return gzipSync(body)
  return encoding === 'br' ? brotliCompressSync(body) : deflateSync(body)
}

/** Compresses chunk by chunk and flushes after each, so that a stream still streams. */
function encoder(encoding: Encoding) {
  const stream = encoding === 'gzip' ? createGzip() : encoding === 'br' ? createBrotliCompress() : createDeflate()
  let ready: Buffer[] = []
  stream.on('data', (chunk: Buffer) => ready.push(chunk))
  const taken = () => {
    const bytes = Buffer.concat(ready)
    ready = []
    return bytes
  }
  return {
    write: (chunk: Buffer) =>
      new Promise<Buffer>((resolve, reject) => {
        stream.once('error', reject)
        stream.write(chunk)
        stream.flush(() => {
          stream.off('error', reject)
          resolve(taken())
        })
      }),
    end: () =>
      new Promise<Buffer>((resolve, reject) => {
        stream.once('error', reject)
        stream.once('end', () => resolve(taken()))
        stream.end()
      }),
  }
}
