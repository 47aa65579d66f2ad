import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readTap, type Ship, TAP_HOOKS, type TapHook, withSidecar } from '../../plugin/tap-text.ts'
import { makeChild } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import { NGINX_MODULES } from '../servers/binary.ts'

const root = join(import.meta.dirname, '../..')

/** One captured request, as kong-shim.lua writes it. */
export interface Written {
  request: string
  left_over: boolean
  capture: Record<string, unknown> | 'none'
}

/**
 * A real nginx with one worker, in which the tap's chunks run unchanged under a small shim of Kong: `/tapped/…` and
 * `/plain/…` go to the same upstream, `/state` says how many KB Lua holds and how often Kong's serializer was asked.
 */
export async function startNginx(options: {
  directory: string
  upstreamPort: number
  sidecar: { url: string; token: string; content?: 'on' | 'off' }
  ship?: Ship
  /** Changes the text of the log chunk: bounds that no test can reach as they are. */
  change?: (log: string) => string
  /** Lines of nginx's http block. */
  http?: string
}) {
  const { directory } = options
  mkdirSync(directory, { recursive: true })
  const tap = readTap(options.ship)
  const chunkOf = (hook: TapHook) => {
    const chunk = withSidecar(tap['pre-function'][hook], options.sidecar)
    return hook === 'log' ? (options.change?.(chunk) ?? chunk) : chunk
  }
  for (const hook of TAP_HOOKS) writeFileSync(join(directory, `${hook}.lua`), chunkOf(hook))
  writeFileSync(join(directory, 'body.lua'), tap['post-function'].access)
  const capturesFile = join(directory, 'captures.jsonl')
  writeFileSync(capturesFile, '')
  const port = await freePort()
  const http2Port = await freePort()
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  )
  const run = (hook: string) => `${hook}_by_lua_block { shim.run("${hook}") }`
  const proxied = `proxy_pass http://127.0.0.1:${options.upstreamPort}/; proxy_http_version 1.1; proxy_buffering off; proxy_set_header Connection "";`
  const configFile = join(directory, 'nginx.conf')
  writeFileSync(
    configFile,
    `${NGINX_MODULES.map((file) => `load_module ${file};`).join('\n')}
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log notice;
events { worker_connections 4096; }
http {
  access_log off;
  ${temp.join('\n  ')}
  client_body_buffer_size 8k;
  client_max_body_size 0;
  lua_socket_log_errors off;
  ${options.http ?? ''}
  init_worker_by_lua_block {
    shim = assert(loadfile("${import.meta.dirname}/kong-shim.lua"))()
    shim.load("${directory}", "${root}/dev/gateway/sandbox.lua")
  }
  server {
    listen 127.0.0.1:${port};
    location /plain/ { ${proxied} }
    listen 127.0.0.1:${http2Port} http2;
    location /tapped/ {
      set $upstream_uri '';
      ${TAP_HOOKS.map(run).join('\n      ')}
      ${proxied}
    }
    location /tapped/unbuffered/ {
      set $upstream_uri '';
      ${TAP_HOOKS.map(run).join('\n      ')}
      ${proxied}
      proxy_request_buffering off;
    }
    location = /state { content_by_lua_block { ngx.say(shim.state()) } }
  }
}
`,
  )
  const url = `http://127.0.0.1:${port}`
  const child = makeChild({
    name: 'nginx',
    command: 'nginx',
    args: ['-p', directory, '-c', configFile, '-e', join(directory, 'start.log')],
    logFile: join(directory, 'nginx.log'),
    ready: async () => (await fetch(`${url}/state`)).ok,
  })
  await child.start()
  return {
    url,
    port,
    /** HTTP/2 without TLS. */
    http2Url: `http://127.0.0.1:${http2Port}`,
    get pid() {
      return child.pid
    },
    captures: (): Written[] =>
      readFileSync(capturesFile, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Written),
    /** What Lua let out. */
    luaErrors: () =>
      readFileSync(join(directory, 'error.log'), 'utf8').match(/^.*\blua\b.*(?:error|failed).*$/gim) ?? [],
    state: async () => (await (await fetch(`${url}/state`)).json()) as { kilobytes: number; serialized: number },
    /** New workers with new chunks, as `kong reload`; the old ones end when their requests have. */
    reload: () => child.signal('SIGHUP'),
    close: () => child.kill('SIGTERM'),
  }
}
export type Nginx = Awaited<ReturnType<typeof startNginx>>
