import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Exchange, firstOf, type Headers } from './exchange.ts'
import { PRE_FUNCTION_HOOKS, type PreFunction, type PreFunctionHook } from './kong-config.ts'
import { logDocument } from './log-document.ts'
import { createLua, type HostFields, type LuaValue, PUSHED, type Reference, Results } from './lua.ts'
import { makeLuaTimers } from './lua-timers.ts'

/**
 * One Lua for the whole gateway, with as much of Kong's `ngx` and `kong` as pre-function code of a log-minded kind
 * needs. Hooks are synchronous, so the request that they belong to is a variable.
 */
export type KongLua = ReturnType<typeof createKongLua>

export interface KongLuaOptions {
  nodeId: string
  workerPid: number
  /** Called before each function of Kong's API, with its name: tests make it throw, as Kong's own may. */
  fault?: (operation: string) => void
}

/** Kong's default for nginx's client_body_buffer_size: a larger body lies in a file. */
const CLIENT_BODY_BUFFER = 8192
const NGX_CONSTANTS = { STDERR: 0, EMERG: 1, ALERT: 2, CRIT: 3, ERR: 4, WARN: 5, NOTICE: 6, INFO: 7, DEBUG: 8 }
const SANDBOX = readFileSync(join(import.meta.dirname, 'sandbox.lua'), 'utf8')

type Chunks = Record<PreFunctionHook, Reference[]>

export function createKongLua({ nodeId, workerPid, fault }: KongLuaOptions) {
  const lua = createLua()
  const entities = new WeakMap<object, Reference>()
  const timers = makeLuaTimers(lua)
  let current: Exchange | undefined

  const request = (): Exchange => {
    if (current === undefined) throw new Error('API disabled in the current context')
    return current
  }
  const now = () => Date.now() / 1000

  /** Tables that are the same in each request are made once. */
  function pushEntity(entity: object): void {
    let held = entities.get(entity)
    if (held === undefined) {
      lua.push(entity as LuaValue)
      held = lua.reference()
      entities.set(entity, held)
    }
    lua.pushReference(held)
  }
  const entity = (value: object | undefined) => {
    if (value === undefined) return undefined
    pushEntity(value)
    return PUSHED
  }
  const header = (headers: Headers, name: string | undefined) =>
    name === undefined ? undefined : firstOf(headers[name.toLowerCase().replaceAll('_', '-')])

  const ngx: HostFields = {
    ...NGX_CONSTANTS,
    OK: 0,
    ERROR: -1,
    now: now,
    time: () => Math.floor(now()),
    update_time: () => undefined,
    encode_base64: (args) => Buffer.from(bufferOf(args.bytes(1)).toString('base64'), 'latin1'),
    decode_base64: (args) => Buffer.from(bufferOf(args.bytes(1)).toString('latin1'), 'base64'),
    log: () => undefined,
    arg: {},
    worker: { pid: () => workerPid, id: () => 0, count: () => 1 },
    timer: timers.timer,
    socket: timers.socket,
    req: { start_time: () => request().startedAt / 1000, get_method: () => request().method },
  }
  const kong: HostFields = {
    version: '3.9.3',
    configuration: {},
    ctx: {},
    request: {
      get_raw_body: (args) => rawBody(request().requestBody, args.number(1)),
      get_header: (args) => header(request().requestHeaders, args.text(1)),
      get_headers: () => request().requestHeaders,
      get_method: () => request().method,
      get_path: () => request().uri.split('?', 1)[0],
      get_path_with_query: () => request().uri,
      get_scheme: () => 'http',
      get_host: () => request().host.replace(/:\d+$/, ''),
      get_port: () => request().port,
      get_start_time: () => request().startedAt,
    },
    response: {
      get_status: () => request().status,
      get_header: (args) => header(request().responseHeaders, args.text(1)),
      get_headers: () => request().responseHeaders,
      get_source: () => request().source,
    },
    client: {
      get_ip: () => request().clientIp,
      get_consumer: () => entity(request().consumer?.entity),
    },
    router: {
      get_route: () => entity(request().route?.entity),
      get_service: () => entity(request().service?.entity),
    },
    node: { get_id: () => nodeId },
    log: {
      ...Object.fromEntries(
        ['debug', 'info', 'notice', 'warn', 'err', 'crit', 'alert'].map((level) => [level, () => undefined]),
      ),
      set_serialize_value: (args) => {
        const name = args.text(1)
        if (name === undefined) throw new Error('key must be a string')
        // Of values, what the tap sets: a mark.
        request().serializeValues[name] = true
        return null
      },
      serialize: () => {
        const { route, service, consumer, ...rest } = logDocument(request())
        lua.push(rest as unknown as LuaValue)
        for (const [name, part] of Object.entries({ route, service, consumer })) {
          if (part === undefined) continue
          pushEntity(part)
          lua.setTop(name)
        }
        return PUSHED
      },
    },
  }

  lua.pushNewTable()
  lua.setFields(withFaults(ngx, 'ngx', fault))
  lua.setGlobal('ngx')
  lua.pushNewTable()
  lua.setFields(withFaults(kong, 'kong', fault))
  lua.setGlobal('kong')
  lua.push(Math.floor(Math.random() * 0x7fffffff))
  lua.setGlobal('seed')
  lua.pushHostFunction((args) => variable(request(), args.text(1) ?? ''))
  lua.setGlobal('variable')
  lua.run(
    `math.randomseed(seed)
     ngx.null = io.stdout
     local get = variable
     ngx.var = setmetatable({}, { __index = function(_, name) return get(name) end })
     setmetatable(kong.log, { __call = function() end })
     local arg, ctx = ngx.arg, kong.ctx
     return function(shared, context) ctx.shared, ngx.ctx = shared, context end,
            function(chunk, last) arg[1], arg[2] = chunk, last end,
            function() return arg[1] end`,
    'kong-api',
    3,
  )
  const readArgument = lua.reference()
  const setArguments = lua.reference()
  const setContext = lua.reference()
  lua.run(SANDBOX, 'sandbox', 1)
  const compileInSandbox = lua.reference()

  const chunksOf = new Map<string, Chunks>()

  function compile(plugin: PreFunction, hook: PreFunctionHook): Reference[] {
    return plugin.chunks[hook].map((source, index) => {
      lua.pushReference(compileInSandbox)
      lua.push(source)
      lua.push(`=pre-function ${hook}[${index + 1}]`)
      lua.call(2, 1)
      return lua.reference()
    })
  }

  return {
    /** Compiles the chunks of a pre-function. Throws where one is no Lua. */
    load(plugin: PreFunction): void {
      const chunks: Partial<Chunks> = {}
      for (const hook of PRE_FUNCTION_HOOKS) chunks[hook] = compile(plugin, hook)
      chunksOf.set(plugin.id, chunks as Chunks)
    },

    begin: () => ({ shared: lua.newTable(), context: lua.newTable() }),
    end(exchange: Exchange): void {
      lua.release(exchange.shared)
      lua.release(exchange.context)
    },

    /** Runs the chunks of a hook; the text of the error that none of them caught. */
    hook(plugin: PreFunction | undefined, hook: PreFunctionHook, exchange: Exchange): string | undefined {
      const chunks = plugin === undefined ? undefined : chunksOf.get(plugin.id)?.[hook]
      if (chunks === undefined || chunks.length === 0) return undefined
      current = exchange
      try {
        lua.pushReference(setContext)
        lua.pushReference(exchange.shared)
        lua.pushReference(exchange.context)
        lua.call(2, 0)
        for (const chunk of chunks) {
          const error = lua.attempt(chunk)
          if (error !== undefined) return error
        }
        return undefined
      } finally {
        current = undefined
      }
    },

    /** body_filter: gives back the chunk as the hooks leave it, or the text of an error. */
    filterBody(
      plugin: PreFunction | undefined,
      exchange: Exchange,
      chunk: Buffer,
      last: boolean,
    ): { chunk: Buffer } | { error: string } {
      if (plugin === undefined || chunksOf.get(plugin.id)?.body_filter.length === 0) return { chunk }
      lua.pushReference(setArguments)
      lua.push(chunk)
      const given = lua.topBytes()
      lua.push(last)
      lua.call(2, 0)
      const error = this.hook(plugin, 'body_filter', exchange)
      if (error !== undefined) return { error }
      lua.pushReference(readArgument)
      lua.call(0, 1)
      const left = lua.topBytes()
      lua.pop(1)
      return { chunk: left === given ? chunk : bufferOf(left) }
    },

    /** As at the end of a worker. */
    close: () => timers.close(),

    /** `kong.ctx.shared[key]` of a request, as MessagePack would carry it. Throws for what it cannot carry. */
    sharedValue: (exchange: Exchange, key: string) => lua.field(exchange.shared, key),
  }
}

function withFaults(fields: HostFields, path: string, fault: KongLuaOptions['fault']): HostFields {
  if (fault === undefined) return fields
  const faulty: HostFields = {}
  for (const [name, field] of Object.entries(fields)) {
    const operation = `${path}.${name}`
    if (typeof field === 'function')
      faulty[name] = (args) => {
        fault(operation)
        return field(args)
      }
    else if (field !== null && typeof field === 'object' && !(field instanceof Uint8Array))
      faulty[name] = withFaults(field, operation, fault)
    else faulty[name] = field
  }
  return faulty
}

function rawBody(body: Buffer | undefined, maxFileSize: number | undefined): LuaValue | Results {
  if (body === undefined) return new Results(null, 'client disconnected')
  if (body.length <= CLIENT_BODY_BUFFER) return body
  if (maxFileSize === undefined)
    return new Results(
      null,
      "request body did not fit into client body buffer, consider raising 'client_body_buffer_size'",
    )
  if (maxFileSize > 0 && body.length > maxFileSize)
    return new Results(null, `request body file too big: ${body.length} > ${maxFileSize}`)
  return body
}

function variable(exchange: Exchange, name: string): string | undefined {
  if (name.startsWith('http_')) return firstOf(exchange.requestHeaders[name.slice(5).replaceAll('_', '-')])
  switch (name) {
    case 'request_method':
      return exchange.method
    case 'request_uri':
      return exchange.uri
    case 'uri':
      return exchange.uri.split('?', 1)[0]
    case 'remote_addr':
      return exchange.clientIp
    case 'scheme':
      return 'http'
    case 'status':
      return String(exchange.status)
    case 'upstream_status':
      return exchange.upstreamStatus
    case 'upstream_uri':
      return exchange.upstreamUri
    case 'bytes_sent':
      return String(exchange.responseSize)
    case 'request_id':
      return exchange.id
    case 'request_length':
      return String(exchange.requestSize)
    default:
      return undefined
  }
}

function bufferOf(bytes: Uint8Array | undefined | null): Buffer {
  return bytes == null ? Buffer.alloc(0) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
