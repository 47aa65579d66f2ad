import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { waitUntil } from '../wait-until.ts'
import { createLua } from './lua.ts'
import { makeLuaTimers } from './lua-timers.ts'

const opened: Server[] = []
const sockets = new Set<Socket>()
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  for (const server of opened.splice(0)) await new Promise((resolve) => server.close(resolve))
})

async function listen(on: { port: number } | { path: string }, answer: (asked: string, socket: Socket) => void) {
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => answer(chunk.toString(), socket))
  })
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', ...on }, resolve))
  opened.push(server)
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** A chunk that may use `ngx`, and `say(…)`, whose texts are given back. */
function world() {
  const lua = createLua()
  const timers = makeLuaTimers(lua)
  const said: string[] = []
  lua.pushNewTable()
  lua.setFields({ timer: timers.timer, socket: timers.socket })
  lua.setGlobal('ngx')
  lua.pushHostFunction((args) => {
    said.push(args.text(1) ?? '')
    return null
  })
  lua.setGlobal('say')
  return { said, timers, run: (source: string) => lua.run(source, 'chunk', 0) }
}

const ASK = (connect: string, timeout = 120_000) => `
  ngx.timer.at(0, function(premature)
    local ok, err = pcall(function()
      local sock = ngx.socket.tcp()
      sock:settimeout(120000)
      local connected, why = sock:connect(${connect})
      if not connected then return say("no connection: " .. why) end
      sock:settimeout(${timeout})
      sock:send("hello")
      local line, reason = sock:receive("*l")
      say(line or reason)
      say(sock:receive("*l") or "nothing more")
      sock:close()
    end)
    say(ok and "done" or tostring(err))
  end)
  say("at once")`

describe('a timer', () => {
  it('speaks to a server over TCP, and waits inside of pcall', async () => {
    const port = await listen({ port: 0 }, (asked, socket) => socket.write(`${asked} 1\r\n${asked} 2\n`))
    const { said, run } = world()
    run(ASK(`"127.0.0.1", ${port}`))
    await waitUntil(async () => said.includes('done'))
    expect(said).toEqual(['at once', 'hello 1', 'hello 2', 'done'])
  })

  it('speaks to a unix socket; several at once do not disturb each other', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'timers-'))
    const path = join(directory, 's.sock')
    await listen({ path }, (asked, socket) => setImmediate(() => socket.write(`${asked}\n${asked}\n`)))
    const { said, run } = world()
    for (let n = 0; n < 5; n++) run(ASK(`"unix:${path}"`))
    await waitUntil(async () => said.filter((text) => text === 'done').length === 5)
    expect(said.filter((text) => text === 'hello')).toHaveLength(10)
    rmSync(directory, { recursive: true })
  })

  it('gets nil and the reason: nobody there, no answer in time, hung up', async () => {
    const silent = await listen({ port: 0 }, () => {})
    const rude = await listen({ port: 0 }, (_asked, socket) => socket.destroy())
    const { said, run } = world()
    run(ASK('"127.0.0.1", 1'))
    await waitUntil(async () => said.includes('done'))
    run(ASK(`"127.0.0.1", ${silent}`, 20))
    await waitUntil(async () => said.filter((text) => text === 'done').length === 2)
    run(ASK(`"127.0.0.1", ${rude}`))
    await waitUntil(async () => said.filter((text) => text === 'done').length === 3)
    expect(said).toEqual([
      ...['at once', 'no connection: connection refused', 'done'],
      ...['at once', 'timeout', 'nothing more', 'done'],
      ...['at once', 'closed', 'nothing more', 'done'],
    ])
  })

  it('that waits at the end is run then, and told so; none that would have to wait comes after', async () => {
    const { said, timers, run } = world()
    run('ngx.timer.at(1000, function(premature) say(premature and "premature" or "due") end)')
    await timers.close()
    run('say(ngx.timer.at(1, function() say("after the end") end) and "taken" or "refused")')
    expect(said).toEqual(['premature', 'refused'])
    // As in nginx, a worker that ends still takes one without delay.
    run('say(ngx.timer.at(0, function() say("after the end") end) and "taken" or "refused")')
    await waitUntil(async () => said.length === 4)
    expect(said).toEqual(['premature', 'refused', 'taken', 'after the end'])
  })

  it('whose function raises harms nobody', async () => {
    const { said, timers, run } = world()
    run('ngx.timer.at(0, function() error("oh") end) ngx.timer.at(0, function() say("well") end)')
    await waitUntil(async () => said.includes('well'))
    await timers.close()
  })
})
