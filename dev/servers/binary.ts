import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export const SERVER_BINARIES = [
  'prometheus',
  'promtool',
  'alertmanager',
  'amtool',
  'otelcol',
  'caddy',
  'prom-label-proxy',
  'docker-compose',
  // Not built by dev/install-servers.sh.
  'loki',
  'luajit',
  'nginx',
] as const
export type ServerBinary = (typeof SERVER_BINARIES)[number]

/** Where those come from that dev/install-servers.sh does not build. */
const ELSEWHERE: Partial<Record<ServerBinary, string>> = {
  loki: 'from its makers: github.com/grafana/loki/releases',
  luajit: 'apt-get install luajit2',
  nginx: 'apt-get install nginx libnginx-mod-http-lua',
}
/** nginx is of use with these alone. */
export const NGINX_MODULES = ['ndk_http_module.so', 'ngx_http_lua_module.so'].map((name) =>
  join('/usr/lib/nginx/modules', name),
)

const PINNED = join(import.meta.dirname, '../../.cache/tools/bin')

/** The pinned build of dev/install-servers.sh; else what is on PATH, which may be years older (Debian's is 2.42). */
export function findBinary(name: ServerBinary): string | undefined {
  if (name === 'nginx' && !NGINX_MODULES.every(existsSync)) return undefined
  const folders = [PINNED, ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

export function binary(name: ServerBinary): string {
  const found = findBinary(name)
  if (found === undefined) throw new Error(missing([name]))
  return found
}

/**
 * For tests: whether all of them are there. With CI set, a missing one is an error, never a skip.
 */
export function binariesPresent(...names: ServerBinary[]): boolean {
  const absent = names.filter((name) => findBinary(name) === undefined)
  if (absent.length === 0) return true
  if (process.env.CI) throw new Error(`CI must have them: ${missing(absent)}`)
  console.warn(`skipped: ${missing(absent)}`)
  return false
}

function missing(names: readonly ServerBinary[]): string {
  const built = names.filter((name) => ELSEWHERE[name] === undefined)
  const hints = [
    ...(built.length === 0 ? [] : [`dev/install-servers.sh ${built.join(' ')}`]),
    ...names.flatMap((name) => ELSEWHERE[name] ?? []),
  ]
  return `${names.join(', ')}: not in .cache/tools/bin and not on PATH. Install: ${hints.join('; ')}`
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
