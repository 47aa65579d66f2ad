import { spawn } from 'node:child_process'
import { accessSync, appendFileSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { parse, stringify } from 'yaml'
import { startGateway } from '../gateway.ts'

/**
 * The command `kong` as Kong 3.9.3 was seen to behave (docs/kong-editions.md), with the stand-in gateway behind it:
 *   start    reads the declarative file as YAML 1.1; ends with 1 and says why; else leaves a master process behind, which has
 *            one worker. With KONG_NGINX_DAEMON=off it stays, and a signal to it reaches nobody else.
 *   worker   of a master that is root's runs as nobody. One that cannot enter the prefix ends with the fatal code 2; the
 *            master stays, and nobody answers any more.
 *   quit, stop   end master and worker; `config parse` fails as soon as there is an external plugin.
 * STAND_IN_KONG=refused | fatal makes `start` fail, before and after it returned.
 */
interface Plugin {
  name: string
  config?: Record<string, unknown>
}
interface Declarative {
  services: { routes?: { plugins?: Plugin[] }[]; plugins?: Plugin[] }[]
  plugins?: Plugin[]
}
const NOBODY = 65_534
/** What the gateway behind does not know: the routes are there, without it. */
const UNKNOWN = ['http-log', 'opentelemetry', 'file-log']

const [command, ...rest] = process.argv.slice(2)
const env = (name: string) => process.env[name] ?? ''
const option = (...names: string[]) => rest[rest.findIndex((text) => names.includes(text)) + 1]
const prefix = rest.some((text) => text === '-p' || text === '--prefix')
  ? option('-p', '--prefix')!
  : env('KONG_PREFIX')
const pidFile = join(prefix, 'pids', 'nginx.pid')
const errorLog = join(prefix, 'logs', 'error.log')
const portsOf = (listen: string) => [...listen.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port))
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function fail(text: string): never {
  process.stderr.write(`Error: ${text}\n\n  Run with --v (verbose) or --vv (debug) for more details\n`)
  process.exit(1)
}
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
function master(): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8'))
    return alive(pid) ? pid : undefined
  } catch {
    return undefined
  }
}

/** All plugins of the file; Kong's schema asks some fields for a text. */
function readDeclarative(): { file: Declarative; plugins: Plugin[] } {
  const name = env('KONG_DECLARATIVE_CONFIG')
  const file = parse(readFileSync(name, 'utf8'), { version: '1.1', merge: true }) as Declarative
  const plugins = [
    ...(file.plugins ?? []),
    ...file.services.flatMap((service) => [
      ...(service.plugins ?? []),
      ...(service.routes ?? []).flatMap((route) => route.plugins ?? []),
    ]),
  ]
  for (const { name: plugin, config = {} } of plugins)
    for (const field of ['content', 'source', 'ship', 'sidecar_url'])
      if (plugin === 'llm-observer' && field in config && typeof config[field] !== 'string')
        fail(`error parsing declarative config file ${name}:\nin 'config':\n  in '${field}': expected a string`)
  return { file, plugins }
}

async function start(): Promise<void> {
  if (master() !== undefined) fail(`Kong is already running in ${prefix}`)
  if (env('STAND_IN_KONG') === 'refused')
    fail('nginx: [emerg] bind() to 127.0.0.1:8000 failed (98: Address already in use)')
  readDeclarative()
  for (const port of portsOf(env('KONG_PROXY_LISTEN'))) await free(port)
  for (const folder of ['pids', 'logs']) mkdirSync(join(prefix, folder), { recursive: true })
  writeFileSync(errorLog, '')
  const attached = env('KONG_NGINX_DAEMON') === 'off'
  const child = spawn(process.execPath, [import.meta.filename, 'master', '-p', prefix], {
    detached: !attached,
    stdio: attached ? 'inherit' : 'ignore',
  })
  writeFileSync(pidFile, String(child.pid))
  if (attached) child.once('exit', (code) => process.exit(code ?? 1))
  else {
    child.unref()
    process.stdout.write('Kong started\n')
  }
}

function free(port: number): Promise<void> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => fail(`nginx: [emerg] bind() to 127.0.0.1:${port} failed (98: Address already in use)`))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()))
  })
}

function runMaster(): void {
  let ending = false
  const work = () => {
    const worker = spawn(process.execPath, [import.meta.filename, 'worker', '-p', prefix], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    worker.once('exit', (code) => {
      if (ending) return end()
      const how = code === 2 ? 'fatal code 2 and cannot be respawned' : `code ${code}`
      appendFileSync(errorLog, `[alert] ${process.pid}#0: worker process ${worker.pid} exited with ${how}\n`)
      if (code !== 2) setTimeout(work, 100)
    })
    for (const signal of ['SIGQUIT', 'SIGTERM'] as const) {
      process.removeAllListeners(signal)
      process.on(signal, () => {
        ending = true
        if (!worker.kill(signal === 'SIGQUIT' ? 'SIGTERM' : 'SIGKILL')) end()
      })
    }
  }
  const end = () => {
    rmSync(pidFile, { force: true })
    process.exit(0)
  }
  work()
  setInterval(() => {}, 60_000)
}

async function runWorker(): Promise<void> {
  const { file, plugins } = readDeclarative()
  const accessLog = plugins.find(({ name }) => name === 'file-log')?.config?.path as string | undefined
  const kept = (list: Plugin[] | undefined) => list?.filter(({ name }) => !UNKNOWN.includes(name))
  for (const service of file.services) {
    if (service.plugins !== undefined) service.plugins = kept(service.plugins)!
    for (const route of service.routes ?? []) if (route.plugins !== undefined) route.plugins = kept(route.plugins)!
  }
  if (file.plugins !== undefined) file.plugins = kept(file.plugins)!
  const configFile = join(prefix, 'kong-of-the-worker.yml')
  writeFileSync(configFile, stringify(file, { aliasDuplicateObjects: false }))
  const [port, tls] = portsOf(env('KONG_PROXY_LISTEN'))
  const certificate =
    tls === undefined
      ? undefined
      : { key: readFileSync(env('KONG_SSL_CERT_KEY')), cert: readFileSync(env('KONG_SSL_CERT')) }
  if (process.getuid?.() === 0) {
    process.setgroups?.([])
    process.setgid?.(NOBODY)
    process.setuid?.(NOBODY)
  }
  const may = (path: string, mode: number) => {
    try {
      accessSync(path, mode)
      return true
    } catch {
      return false
    }
  }
  if (env('STAND_IN_KONG') === 'fatal' || !may(prefix, constants.X_OK)) process.exit(2)
  const gateway = await startGateway({
    configFile,
    port: port!,
    pluginServerSocket: env('KONG_PLUGINSERVER_JS_SOCKET'),
    // file-log writes an error for each request that it cannot write, and goes on.
    ...(accessLog !== undefined && may(accessLog, constants.W_OK) && { accessLog }),
  })
  process.once(
    'SIGTERM',
    () =>
      void gateway
        .idle()
        .then(() => gateway.close())
        .then(() => process.exit(0)),
  )
  if (certificate === undefined) return
  createTlsServer(certificate, (client) => {
    const plain = connect(port!, '127.0.0.1')
    client.on('error', () => plain.destroy())
    plain.on('error', () => client.destroy())
    client.pipe(plain).pipe(client)
  }).listen(tls, '127.0.0.1')
}

async function end(signal: 'SIGQUIT' | 'SIGTERM'): Promise<void> {
  const pid = master()
  if (pid === undefined) fail(`nginx not running in prefix: ${prefix}`)
  process.kill(pid, signal)
  while (alive(pid)) await sleep(20)
  process.stdout.write(signal === 'SIGQUIT' ? 'Kong stopped (gracefully)\n' : 'Kong stopped\n')
}

switch (command) {
  case 'version':
    process.stdout.write('3.9.3\n')
    break
  case 'start':
    await start()
    break
  case 'quit':
    await end('SIGQUIT')
    break
  case 'stop':
    await end('SIGTERM')
    break
  case 'config':
    if (readDeclarative().plugins.some(({ name }) => name === 'llm-observer'))
      fail("./kong/runloop/plugin_servers/init.lua:5: attempt to index upvalue 'kong' (a nil value)")
    process.stdout.write('parse successful\n')
    break
  case 'master':
    runMaster()
    break
  case 'worker':
    await runWorker()
    break
  default:
    fail(`no such command: ${command}`)
}
