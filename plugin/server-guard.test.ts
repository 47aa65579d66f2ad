import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode, encode } from '@msgpack/msgpack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCapture } from '../sidecar/testing/make-capture.ts'
import { expireInstances, forgetDeadEvents } from './server-guard.ts'
import { type FakeSidecar, startFakeSidecar } from './testing/fake-sidecar.ts'
import { connectAsKong, request } from './testing/kong-side.ts'
import { type PluginServer, startPluginServer } from './testing/plugin-server.ts'
import { waitUntil } from './testing/wait-until.ts'

describe('the folder of the socket', () => {
  it('is made where it is missing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'no-folder-'))
    const server = await startPluginServer({ directory: join(folder, 'run', 'llm-observer') })
    expect(server.running()).toBe(true)
    await server.stop()
    rmSync(folder, { recursive: true })
  })

  it('that cannot be made is named', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'no-folder-'))
    writeFileSync(join(folder, 'run'), 'a file')
    const directory = join(folder, 'run', 'llm-observer')
    await expect(startPluginServer({ directory })).rejects.toThrow(`"folder":"${directory}"`)
    rmSync(folder, { recursive: true })
  })
})

describe('the guarded plugin server', () => {
  let server: PluginServer
  let fake: FakeSidecar
  beforeAll(async () => {
    server = await startPluginServer({ reportState: true })
    fake = await startFakeSidecar()
  })
  afterAll(async () => {
    await server?.stop()
    await fake?.close()
  })

  /** Sends bytes in pieces, each a write of its own that the server has read, and gives the responses' ids. */
  async function exchange(pieces: readonly Uint8Array[], responses: number): Promise<number[]> {
    const socket = connect(server.socket)
    socket.setNoDelay(true)
    const ids: number[] = []
    let received = Buffer.alloc(0)
    const done = new Promise<void>((resolve, reject) => {
      socket.on('error', reject)
      socket.on('close', () => reject(new Error(`closed after responses ${ids}`)))
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
        for (;;) {
          try {
            const [, id] = decode(received) as [number, number]
            ids.push(id)
            received = received.subarray(encode(decode(received)).length)
          } catch (error) {
            // @msgpack/msgpack says RangeError for a cut message and for one that has another behind it.
            const extra = /Extra (\d+) of/.exec((error as Error).message)
            if (extra === null) break
            const length = received.length - Number(extra[1])
            ids.push((decode(received.subarray(0, length)) as [number, number])[1])
            received = received.subarray(length)
            continue
          }
          if (received.length === 0) break
        }
        if (ids.length >= responses) resolve()
      })
    })
    done.catch(() => {})
    await new Promise((resolve) => socket.once('connect', resolve))
    for (const piece of pieces) {
      await new Promise((resolve) => socket.write(piece, resolve))
      // Two turns of the loop: the server reads what was written before the next piece comes.
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await done
    socket.destroy()
    return ids
  }

  const status = (id: number) => Buffer.from(request(id, 'plugin.GetStatus'))
  const start = (id: number) =>
    Buffer.from(
      request(id, 'plugin.StartInstance', {
        Name: 'llm-observer',
        Config: JSON.stringify({ sidecar_url: 'http://127.0.0.1:9', source: 'tap' }),
      }),
    )

  it('survives a split at every byte of a sequence of messages', async () => {
    const bytes = Buffer.concat([start(1), status(2), status(70_000)])
    const splits = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1)
    // Many connections at once: each split is its own.
    await Promise.all(
      splits.map(async (at) => {
        expect(await exchange([bytes.subarray(0, at), bytes.subarray(at)], 3), `split at ${at}`).toEqual([1, 2, 70_000])
      }),
    )
    expect(server.running()).toBe(true)
  })

  it('survives a message byte by byte', async () => {
    const bytes = Buffer.concat([status(1), status(2)])
    expect(
      await exchange(
        [...bytes].map((byte) => Buffer.of(byte)),
        2,
      ),
    ).toEqual([1, 2])
  })

  it('answers every one of joined messages', async () => {
    const ids = Array.from({ length: 50 }, (_, index) => index + 1)
    const answered = await exchange([Buffer.concat(ids.map(status))], 50)
    expect(answered.toSorted((a, b) => a - b)).toEqual(ids)
  })

  it('answers of two events on one connection the second alone: Kong has given up the first', async () => {
    const kong = await connectAsKong(server.socket)
    const instance = await kong.startInstance({ source: 'tap', sidecar_url: fake.url, linger_ms: 1 })
    kong.close()
    const event = (id: number) =>
      Buffer.from(request(id, 'plugin.HandleEvent', { InstanceId: instance, EventName: 'log' }))
    expect(await exchange([Buffer.concat([event(11), event(12)])], 1)).toEqual([12])
    expect(await exchange([event(13), event(14)], 2)).toEqual([13, 14])
  })

  it('refuses what is no method of it', async () => {
    const kong = await connectAsKong(server.socket)
    await expect(kong.call('plugin.constructor')).rejects.toThrow('not implemented')
    await expect(kong.call('plugin.Unknown')).rejects.toThrow('not implemented')
    await expect(kong.call('other.GetStatus')).rejects.toThrow('not supported')
    kong.close()
  })

  it('takes captures of 300 KB', async () => {
    const kong = await connectAsKong(server.socket)
    const instance = await kong.startInstance({ source: 'tap', sidecar_url: fake.url, linger_ms: 1 })
    for (let n = 1; n <= 5; n++) await kong.event(instance, () => makeCapture({ n, responseBody: 'x'.repeat(225_000) }))
    await waitUntil(() => fake.stored().length === 5, 'stored')
    kong.close()
  })

  it('survives clients that go away: in the middle of a message, of an event, with a reset', async () => {
    const whole = start(1)
    for (const end of ['end', 'destroy', 'resetAndDestroy'] as const) {
      const socket = connect(server.socket)
      socket.on('error', () => {})
      await new Promise((resolve) => socket.once('connect', resolve))
      await new Promise((resolve) => socket.write(whole.subarray(0, 20), resolve))
      // A unix socket knows no RST: there, resetAndDestroy throws.
      if (end === 'resetAndDestroy') socket.destroy(new Error('reset'))
      else socket[end]()
    }
    // Gone before the answers can be written: the server's writes fail (EPIPE, ECONNRESET).
    for (let n = 0; n < 50; n++) {
      const socket = connect(server.socket)
      socket.on('error', () => {})
      await new Promise((resolve) => socket.once('connect', resolve))
      socket.write(Buffer.concat(Array.from({ length: 20 }, (_, id) => status(id))), () => socket.destroy())
    }
    const kong = await connectAsKong(server.socket)
    const instance = await kong.startInstance({ source: 'tap', sidecar_url: fake.url, pdk_timeout_ms: 50 })
    await kong.call('plugin.HandleEvent', { InstanceId: instance, EventName: 'log' })
    kong.close()
    const next = await connectAsKong(server.socket)
    expect(await next.call('plugin.GetStatus')).toMatchObject({ Pid: server.pid })
    next.close()
    await waitUntil(async () => ((await server.state()).resources.PipeWrap ?? 0) <= 3, 'no socket is left')
  })

  it.each([
    ['the byte that MessagePack never uses', Buffer.of(0xc1)],
    ['a number', Buffer.from(encode(7))],
    ['a list without a method', Buffer.from(encode([0, 1]))],
    ['a method that is no text', Buffer.from(encode([0, 1, 5, []]))],
    ['a message that claims 4 GB', Buffer.of(0xdb, 0xff, 0xff, 0xff, 0xff)],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ])('closes the connection on %s, and lives', async (_what, bytes) => {
    const socket = connect(server.socket)
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(bytes)
    await closed
    expect(server.running()).toBe(true)
  })

  it('holds more than 511 connections that it has not accepted yet', async () => {
    process.kill(server.pid, 'SIGSTOP')
    const sockets = Array.from({ length: 900 }, () => connect(server.socket))
    const outcomes = await Promise.all(
      sockets.map(
        (socket) =>
          new Promise<string>((resolve) => {
            socket.once('connect', () => resolve('connected'))
            socket.once('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? 'error'))
          }),
      ),
    ).finally(() => process.kill(server.pid, 'SIGCONT'))
    for (const socket of sockets) socket.destroy()
    expect(new Set(outcomes)).toEqual(new Set(['connected']))
  })

  it('goes on after a hang in which Kong gave up every connection, in the middle of events and with messages unread', async () => {
    const config = { source: 'tap', sidecar_url: fake.url, linger_ms: 1, pdk_timeout_ms: 50 }
    const first = await connectAsKong(server.socket)
    const instance = await first.startInstance(config)
    first.close()
    const before = fake.stored().length
    const event = Buffer.from(request(9, 'plugin.HandleEvent', { InstanceId: instance, EventName: 'log' }))
    const open = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const socket = connect(server.socket)
        socket.on('error', () => {})
        await new Promise((resolve) => socket.once('connect', resolve))
        return socket
      }),
    )
    // The answer to each is asked for, and half of them are there before the hang begins: events wait for their next step.
    for (const socket of open.slice(0, 20))
      await new Promise((resolve) => {
        socket.once('data', resolve)
        socket.write(event)
      })
    process.kill(server.pid, 'SIGSTOP')
    try {
      for (const socket of open) {
        await new Promise((resolve) => socket.write(Buffer.concat([event, status(10), event]), resolve))
        socket.destroy()
      }
    } finally {
      process.kill(server.pid, 'SIGCONT')
    }
    const next = await connectAsKong(server.socket)
    const patient = await next.startInstance({ source: 'tap', sidecar_url: fake.url, linger_ms: 1 })
    for (let n = 1; n <= 5; n++) await next.event(patient, () => makeCapture({ n }))
    await waitUntil(() => fake.stored().length === before + 5, 'it takes events again')
    expect(server.running()).toBe(true)
    next.close()
  })

  it('forgets an event that made no PDK call', async () => {
    const kong = await connectAsKong(server.socket)
    const instance = await kong.startInstance({ sidecar_url: fake.url })
    const { events } = (await server.state()).servers[0]!
    for (let n = 0; n < 20; n++)
      await kong.call('plugin.HandleEvent', { InstanceId: instance, EventName: 'no_such_phase' })
    expect((await server.state()).servers[0]!.events).toBe(events)
    kong.close()
  })
})

describe('what is mended', () => {
  it('forgets events that began before the last rounds, and no other', () => {
    const events = new Map([3, 4, 7, 8].map((id) => [id, {}]))
    forgetDeadEvents({ events }, 7)
    expect([...events.keys()]).toEqual([7, 8])
  })

  it('closes instances that were idle for long', () => {
    const closed: string[] = []
    const instance = (name: string, idle: number) => ({
      isExpired: (seconds: number) => idle > seconds,
      close: () => closed.push(name),
    })
    const instances = new Map([
      [0, instance('old', 4000)],
      [1, instance('young', 10)],
    ])
    expireInstances({ instances }, 3600)
    expect([...instances.keys()]).toEqual([1])
    expect(closed).toEqual(['old'])
  })
})
