import { afterEach, describe, expect, it, vi } from 'vitest'
import { waitUntil } from '../wait-until.ts'
import { makeMessagePackRpc, RpcError, type RpcOptions } from './message-pack-rpc.ts'
import { type Call, type Reply, startScriptedServer } from './testing/scripted-server.ts'

const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

async function start(reply: (call: Call) => Reply, options: Partial<RpcOptions> = {}) {
  const server = await startScriptedServer(reply)
  const rpc = makeMessagePackRpc({ socketPath: server.socketPath, ...options })
  cleanUp.push(
    () => server.close(),
    () => rpc.close(),
  )
  return { server, rpc }
}

describe('MessagePack-RPC', () => {
  it('gives results, and the server’s errors as such', async () => {
    const { rpc } = await start(({ method }) => (method === 'good' ? { result: 'ä' } : { error: 'no' }))
    expect(await rpc.call('good', {})).toBe('ä')
    await expect(rpc.call('bad', {})).rejects.toThrow(new RpcError('no'))
    expect(rpc.connections()).toEqual({ idle: 1, busy: 0 })
  })

  it('keeps no more idle connections than it may', async () => {
    const { rpc } = await start(() => ({ result: 1 }), { maxIdle: 2 })
    await Promise.all(Array.from({ length: 6 }, () => rpc.call('any', {})))
    expect(rpc.connections()).toEqual({ idle: 2, busy: 0 })
  })

  it('lets an idle connection go after a while', async () => {
    const { rpc } = await start(() => ({ result: 1 }), { idleMs: 10 })
    await rpc.call('any', {})
    await waitUntil(async () => rpc.connections().idle === 0)
    expect(rpc.connections()).toEqual({ idle: 0, busy: 0 })
    expect(await rpc.call('any', {})).toBe(1)
  })

  it('takes no answer that belongs to another call', async () => {
    const { rpc } = await start(({ id }) => ({ result: 1, id: id + 1 }))
    await expect(rpc.call('any', {})).rejects.toThrow('an answer that nobody asked for')
    expect(rpc.connections()).toEqual({ idle: 0, busy: 0 })
  })

  it('tells when the server hangs up, and not when it hangs up itself', async () => {
    const onServerGone = vi.fn()
    const { server, rpc } = await start(({ method }) => (method === 'any' ? { result: 1 } : 'silence'), {
      onServerGone,
    })
    await rpc.call('any', {})
    server.hangUp()
    await waitUntil(async () => onServerGone.mock.calls.length === 1)
    const unanswered = rpc.call('hang', {})
    rpc.close()
    await expect(unanswered).rejects.toThrow('closed')
    await expect(rpc.call('any', {})).rejects.toThrow('closed')
    expect(onServerGone).toHaveBeenCalledTimes(1)
  })
})
