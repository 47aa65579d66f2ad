import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode } from '@msgpack/msgpack'
import { type Unpacked, unpack } from '../message-pack.ts'

export interface Call {
  id: number
  method: string
  argument: Unpacked
  /** Which connection it came on, in the order of their opening. */
  connection: number
}
/** What the server does with a call: a result, an error text, silence, or the end of the connection. */
export type Reply = { result: unknown; id?: number } | { error: string; id?: number } | 'silence' | 'hang up'

/** A plugin server that says what a test wants. It packs with another implementation than the gateway's. */
export async function startScriptedServer(reply: (call: Call) => Reply) {
  const directory = mkdtempSync(join(tmpdir(), 'scripted-server-'))
  const socketPath = join(directory, 's.sock')
  const calls: Call[] = []
  const sockets = new Set<Socket>()
  let connections = 0

  const server = createServer((socket) => {
    const connection = connections++
    let received = Buffer.alloc(0)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      for (let read = unpack(received); read !== undefined; read = unpack(received)) {
        received = received.subarray(read.end)
        const [, id, method, args] = read.value as [number, number, string, Unpacked[]]
        const call = { id, method, argument: args[0]!, connection }
        calls.push(call)
        const replied = reply(call)
        if (replied === 'hang up') socket.destroy()
        else if (replied !== 'silence') {
          const answered = replied.id ?? id
          const bytes = encode(
            'error' in replied ? [1, answered, replied.error, null] : [1, answered, null, replied.result],
          )
          // In two pieces: an answer may come split anywhere.
          socket.write(bytes.subarray(0, bytes.length >> 1))
          socket.write(bytes.subarray(bytes.length >> 1))
        }
        if (received.length === 0) break
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))

  return {
    socketPath,
    calls,
    connections: () => connections,
    hangUp() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
