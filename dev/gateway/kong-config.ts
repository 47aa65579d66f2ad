import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

/**
 * The part of Kong's declarative configuration that the stand-in gateway understands: services with nested routes (by
 * path prefix), consumers with key-auth credentials, and plugins on routes, services or globally. Anything else is
 * refused by name: nothing is ignored silently.
 */
export interface KongConfig {
  routes: Route[]
  consumers: ReadonlyMap<string, Credential>
}

export interface Service {
  id: string
  protocol: 'http' | 'https'
  host: string
  port: number
  path: string
  retries: number
  connectTimeoutMs: number
  readTimeoutMs: number
  /** As Kong logs it. */
  entity: Readonly<Record<string, string | number | boolean | string[]>>
}

export interface Route {
  id: string
  name: string
  paths: string[]
  stripPath: boolean
  service: Service
  keyAuth: KeyAuth | undefined
  preFunction: PreFunction | undefined
  /** Of it the access hook alone, after all other plugins. */
  postFunction: PreFunction | undefined
  /** Plugins that Kong does not bring itself: they live in the plugin server. */
  external: ExternalPlugin[]
  entity: Readonly<Record<string, string | number | boolean | string[] | { id: string }>>
}

export interface KeyAuth {
  keyNames: string[]
  hideCredentials: boolean
}

export const PRE_FUNCTION_HOOKS = ['access', 'header_filter', 'body_filter', 'log'] as const
export type PreFunctionHook = (typeof PRE_FUNCTION_HOOKS)[number]
export interface PreFunction {
  /** Of the route that it stands on: each configuration is loaded on its own. */
  id: string
  chunks: Record<PreFunctionHook, string[]>
}

export interface ExternalPlugin {
  id: string
  name: string
  /** What Kong sends to the plugin server: the configuration and its own keys. */
  config: Record<string, unknown>
}

export interface Consumer {
  id: string
  username: string
  customId: string | undefined
  tags: string[]
  entity: Readonly<Record<string, string | number | string[]>>
}
export interface Credential {
  id: string
  consumer: Consumer
}

export const WORKSPACE_ID = uuidOf('workspaces', 'default')
const DEFAULT_TIMEOUT_MS = 60_000
const DEFAULT_RETRIES = 5

export interface ReadOptions {
  /** Merged over every configuration of the plugin named. */
  pluginConfig?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export function readKongConfig(file: string, options: ReadOptions = {}): KongConfig {
  try {
    return parseKongConfig(readFileSync(file, 'utf8'), options)
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error })
  }
}

export function parseKongConfig(yaml: string, options: ReadOptions = {}): KongConfig {
  const root = record(parse(yaml), 'the file')
  only(root, 'the file', ['_format_version', '_transform', 'services', 'consumers', 'plugins'])
  if (root._format_version !== '3.0') throw new Error('_format_version must be "3.0"')
  const global = list(root.plugins, 'plugins')
  const now = Math.floor(Date.now() / 1000)
  const routes: Route[] = []
  list(root.services, 'services').forEach((item, index) => {
    const at = `services[${index}]`
    const fields = record(item, at)
    const service = readService(fields, at, now)
    const ofService = list(fields.plugins, `${at}.plugins`)
    list(fields.routes, `${at}.routes`).forEach((route, n) => {
      routes.push(readRoute(record(route, `${at}.routes[${n}]`), `${at}.routes[${n}]`, service, [global, ofService]))
    })
  })
  return { routes, consumers: readConsumers(list(root.consumers, 'consumers'), now) }

  function readRoute(fields: Fields, at: string, service: Service, outer: readonly (readonly unknown[])[]): Route {
    only(fields, at, ['name', 'paths', 'strip_path', 'tags', 'plugins', 'protocols'])
    const name = text(fields.name, `${at}.name`)
    const paths = strings(fields.paths, `${at}.paths`)
    if (paths.length === 0 || paths.some((path) => !path.startsWith('/')))
      throw new Error(`${at}.paths must hold plain prefixes that begin with "/"`)
    const id = uuidOf('routes', name)
    const tags = strings(fields.tags, `${at}.tags`)
    const stripPath = fields.strip_path !== false
    const route: Route = {
      id,
      name,
      paths,
      stripPath,
      service,
      keyAuth: undefined,
      preFunction: undefined,
      postFunction: undefined,
      external: [],
      entity: {
        id,
        name,
        paths,
        protocols: fields.protocols === undefined ? ['http', 'https'] : strings(fields.protocols, `${at}.protocols`),
        service: { id: service.id },
        strip_path: stripPath,
        preserve_host: false,
        path_handling: 'v0',
        regex_priority: 0,
        request_buffering: true,
        response_buffering: true,
        https_redirect_status_code: 426,
        ws_id: WORKSPACE_ID,
        created_at: now,
        updated_at: now,
        ...(tags.length > 0 && { tags }),
      },
    }
    // Of several configurations of one plugin the nearest alone counts: route, then service, then global.
    const plugins = new Map<string, { config: Fields; at: string; level: number }>()
    for (const [level, items] of [...outer, list(fields.plugins, `${at}.plugins`)].entries())
      items.forEach((item, n) => {
        const plugin = record(item, `${at}.plugins[${n}]`)
        only(plugin, `${at}.plugins[${n}]`, ['name', 'config', 'enabled', 'tags'])
        if (plugin.enabled === false) return
        const config = plugin.config === undefined ? {} : record(plugin.config, `${at}.plugins[${n}].config`)
        plugins.set(text(plugin.name, `${at}.plugins[${n}].name`), {
          config,
          at: `${at}.plugins[${n}].config`,
          level,
        })
      })
    for (const [plugin, { config, at: where, level }] of plugins) {
      if (plugin === 'key-auth') route.keyAuth = readKeyAuth(config, where)
      else if (plugin === 'pre-function') route.preFunction = readPreFunction(config, where, id)
      else if (plugin === 'post-function') route.postFunction = readPostFunction(config, where, id)
      // Kong's own metrics: no request is any different, and there is no status listener here.
      else if (plugin !== 'prometheus')
        route.external.push(externalPlugin(plugin, config, [{}, { service_id: service.id }, { route_id: id }][level]!))
    }
    return route
  }

  /** An instance for each place where the plugin stands: a route, a service, or the gateway. */
  function externalPlugin(
    name: string,
    config: Fields,
    place: { route_id?: string; service_id?: string },
  ): ExternalPlugin {
    const { route_id = '', service_id = '' } = place
    const id = uuidOf('plugins', `${name}:${route_id}:${service_id}`)
    return {
      id,
      name,
      config: {
        ...config,
        ...options.pluginConfig?.[name],
        __key__: `plugins:${name}:${route_id}:${service_id}:::${WORKSPACE_ID}`,
        __seq__: 1,
        __plugin_id: id,
        __ws_id: WORKSPACE_ID,
        ...place,
      },
    }
  }
}

type Fields = Record<string, unknown>

function readService(fields: Fields, at: string, now: number): Service {
  const allowed = ['name', 'url', 'tags', 'routes', 'plugins', 'retries', 'connect_timeout', 'read_timeout']
  only(fields, at, [...allowed, 'write_timeout'])
  const name = text(fields.name, `${at}.name`)
  const url = new URL(text(fields.url, `${at}.url`))
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error(`${at}.url must be http or https`)
  const protocol = url.protocol === 'http:' ? 'http' : 'https'
  const port = url.port === '' ? (protocol === 'http' ? 80 : 443) : Number(url.port)
  const path = url.pathname === '/' ? '' : url.pathname.replace(/\/$/, '')
  const retries = whole(fields.retries, `${at}.retries`, DEFAULT_RETRIES)
  const connectTimeoutMs = whole(fields.connect_timeout, `${at}.connect_timeout`, DEFAULT_TIMEOUT_MS)
  const readTimeoutMs = whole(fields.read_timeout, `${at}.read_timeout`, DEFAULT_TIMEOUT_MS)
  const tags = strings(fields.tags, `${at}.tags`)
  const id = uuidOf('services', name)
  const { hostname: host } = url
  return {
    id,
    protocol,
    host,
    port,
    path,
    retries,
    connectTimeoutMs,
    readTimeoutMs,
    entity: {
      id,
      name,
      protocol,
      host,
      port,
      ...(path !== '' && { path }),
      retries,
      connect_timeout: connectTimeoutMs,
      read_timeout: readTimeoutMs,
      write_timeout: whole(fields.write_timeout, `${at}.write_timeout`, DEFAULT_TIMEOUT_MS),
      enabled: true,
      ws_id: WORKSPACE_ID,
      created_at: now,
      updated_at: now,
      ...(tags.length > 0 && { tags }),
    },
  }
}

function readConsumers(items: readonly unknown[], now: number): Map<string, Credential> {
  const credentials = new Map<string, Credential>()
  items.forEach((item, index) => {
    const at = `consumers[${index}]`
    const fields = record(item, at)
    only(fields, at, ['username', 'custom_id', 'tags', 'keyauth_credentials'])
    const username = text(fields.username, `${at}.username`)
    const customId = fields.custom_id === undefined ? undefined : text(fields.custom_id, `${at}.custom_id`)
    const tags = strings(fields.tags, `${at}.tags`)
    const id = uuidOf('consumers', username)
    const entity = {
      id,
      username,
      ...(customId !== undefined && { custom_id: customId }),
      ...(tags.length > 0 && { tags }),
      created_at: now,
      updated_at: now,
    }
    const consumer: Consumer = { id, username, customId, tags, entity }
    list(fields.keyauth_credentials, `${at}.keyauth_credentials`).forEach((credential, n) => {
      const where = `${at}.keyauth_credentials[${n}]`
      const key = text(record(credential, where).key, `${where}.key`)
      if (credentials.has(key)) throw new Error(`${where}.key is another consumer's as well`)
      credentials.set(key, { id: uuidOf('keyauth_credentials', key), consumer })
    })
  })
  return credentials
}

function readKeyAuth(config: Fields, at: string): KeyAuth {
  only(config, at, ['key_names', 'hide_credentials'])
  const names = config.key_names === undefined ? ['apikey'] : strings(config.key_names, `${at}.key_names`)
  return { keyNames: names.map((name) => name.toLowerCase()), hideCredentials: config.hide_credentials === true }
}

function readPreFunction(config: Fields, at: string, id: string): PreFunction {
  only(config, at, PRE_FUNCTION_HOOKS)
  const chunks = (hook: PreFunctionHook) => strings(config[hook], `${at}.${hook}`)
  return {
    id,
    chunks: {
      access: chunks('access'),
      header_filter: chunks('header_filter'),
      body_filter: chunks('body_filter'),
      log: chunks('log'),
    },
  }
}

function readPostFunction(config: Fields, at: string, route: string): PreFunction {
  only(config, at, ['access'])
  return readPreFunction(config, at, `${route} post-function`)
}

function record(value: unknown, at: string): Fields {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Error(`${at} must be a map`)
  return value as Fields
}
function list(value: unknown, at: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new Error(`${at} must be a list`)
  return value
}
function strings(value: unknown, at: string): string[] {
  return list(value, at).map((item, index) => text(item, `${at}[${index}]`))
}
function text(value: unknown, at: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${at} must be a text`)
  return value
}
function whole(value: unknown, at: string, fallback: number): number {
  if (value === undefined) return fallback
  if (!Number.isInteger(value) || (value as number) < 0) throw new Error(`${at} must be a whole number`)
  return value as number
}
function only(fields: Fields, at: string, known: readonly string[]): void {
  for (const name of Object.keys(fields))
    if (!known.includes(name)) throw new Error(`${at}.${name} is not supported by the stand-in gateway`)
}

/** The same entity has the same id at every start, as Kong's own ids in DB-less mode have. */
function uuidOf(kind: string, name: string): string {
  const hash = createHash('sha1').update(`${kind}\0${name}`).digest('hex')
  const variant = ((Number.parseInt(hash[16]!, 16) & 0x3) | 0x8).toString(16)
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `5${hash.slice(13, 16)}`,
    `${variant}${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-')
}
