import fengari, { type LuaFunction, type LuaState } from 'fengari'
import type { Packable } from './message-pack.ts'

/**
 * A Lua in this process (fengari, Lua 5.3). Strings are bytes on its side: a JavaScript string goes in as UTF-8, a
 * Uint8Array as it is, and what comes out is a Uint8Array. Its integers have 32 bits; larger ones go in as floats.
 */
const { lua, lauxlib, lualib, to_luastring: toLuaString } = fengari

export type Reference = number
export type LuaValue =
  | null
  | undefined
  | boolean
  | number
  | string
  | Uint8Array
  | readonly LuaValue[]
  | { readonly [key: string]: LuaValue }
type Answer = LuaValue | Results | Pushed
/**
 * Called from Lua. What it throws is an error in Lua. A promise makes the thread that called it wait: only in what
 * `start` runs.
 */
export type HostFunction = (args: Arguments) => Answer | Promise<LuaValue | Results>
/** More than one result. */
export class Results {
  readonly values: readonly LuaValue[]
  constructor(...values: readonly LuaValue[]) {
    this.values = values
  }
}
/** The function has pushed its one result itself. */
export const PUSHED = Symbol('pushed')
export type Pushed = typeof PUSHED
export interface Arguments {
  text(position: number): string | undefined
  bytes(position: number): Uint8Array | undefined
  /** A string, or the strings of a table and of the tables in it, joined. */
  pieces(position: number): Uint8Array
  number(position: number): number | undefined
  /** Whatever stands there, held until it is released. */
  reference(position: number): Reference
}

export type Lua = ReturnType<typeof createLua>

export function createLua() {
  const main: LuaState = lauxlib.luaL_newstate()
  lualib.luaL_openlibs(main)
  /** The thread whose stack is worked on. */
  let L = main
  /** Threads that wait, and for what. */
  const waiting = new Map<LuaState, Promise<LuaValue | Results>>()
  const keys = new Map<string, Uint8Array>()

  /** Names of fields recur in each request. */
  function pushKey(key: string): void {
    let bytes = keys.get(key)
    if (bytes === undefined) {
      bytes = toLuaString(key)
      if (keys.size < 10_000) keys.set(key, bytes)
    }
    lua.lua_pushstring(L, bytes)
  }

  function push(value: LuaValue): void {
    if (value === null || value === undefined) lua.lua_pushnil(L)
    else if (typeof value === 'string') lua.lua_pushstring(L, Buffer.from(value))
    else if (typeof value === 'number') pushNumber(value)
    else if (typeof value === 'boolean') lua.lua_pushboolean(L, value)
    else if (value instanceof Uint8Array) lua.lua_pushstring(L, value)
    else if (Array.isArray(value)) {
      lua.lua_createtable(L, value.length, 0)
      value.forEach((item, index) => {
        push(item)
        lua.lua_rawseti(L, -2, index + 1)
      })
    } else {
      lua.lua_createtable(L, 0, 0)
      for (const key in value as Record<string, LuaValue>) {
        pushKey(key)
        push((value as Record<string, LuaValue>)[key])
        lua.lua_rawset(L, -3)
      }
    }
  }

  function pushNumber(value: number): void {
    if ((value | 0) === value) lua.lua_pushinteger(L, value)
    else lua.lua_pushnumber(L, value)
  }

  /** As lua-MessagePack sees it: a table whose keys are 1 … n is a list, any other a map. Throws for what it cannot pack. */
  function read(index: number): Packable {
    switch (lua.lua_type(L, index)) {
      case lua.LUA_TNIL:
        return undefined
      case lua.LUA_TBOOLEAN:
        return lua.lua_toboolean(L, index)
      case lua.LUA_TNUMBER:
        return lua.lua_tonumber(L, index)
      case lua.LUA_TSTRING:
        return lua.lua_tostring(L, index)!
      case lua.LUA_TTABLE:
        return readTable(index < 0 ? lua.lua_gettop(L) + index + 1 : index)
      default:
        throw new Error('a function, thread or userdata cannot be packed')
    }
  }

  function readTable(index: number): Packable {
    const entries = new Map<string | number, Packable>()
    let isList = true
    let highest = 0
    lua.lua_checkstack(L, 4)
    lua.lua_pushnil(L)
    while (lua.lua_next(L, index) !== 0) {
      const isNumber = lua.lua_type(L, -2) === lua.LUA_TNUMBER
      const key = isNumber ? lua.lua_tonumber(L, -2) : Buffer.from(lua.lua_tostring(L, -2)!).toString()
      if (typeof key === 'number' && Number.isInteger(key) && key > 0) highest = Math.max(highest, key)
      else isList = false
      entries.set(key, read(-1))
      lua.lua_pop(L, 1)
    }
    if (!isList || highest !== entries.size) return entries
    return Array.from({ length: highest }, (_, at) => entries.get(at + 1))
  }

  function hostFunction(call: HostFunction): LuaFunction {
    const args: Arguments = {
      text: (position) => (isString(position) ? Buffer.from(lua.lua_tostring(L, position)!).toString() : undefined),
      pieces: (position) => Buffer.concat(stringsOf(read(position))),
      bytes: (position) => (isString(position) ? lua.lua_tostring(L, position)! : undefined),
      number: (position) => (lua.lua_type(L, position) === lua.LUA_TNUMBER ? lua.lua_tonumber(L, position) : undefined),
      reference(position) {
        lua.lua_pushvalue(L, position)
        return reference()
      },
    }
    return (thread) => {
      const before = L
      L = thread
      try {
        const result = call(args)
        if (result instanceof Promise) waiting.set(thread, result)
        else return result === PUSHED ? 1 : pushResults(result)
      } catch (error) {
        lua.lua_pushstring(L, error instanceof Error ? error.message : String(error))
        return lua.lua_error(L)
      } finally {
        L = before
      }
      return lua.lua_yield(thread, 0)
    }
  }
  function pushResults(result: LuaValue | Results): number {
    const values = result instanceof Results ? result.values : [result]
    for (const value of values) push(value)
    return values.length
  }
  const isString = (position: number) => lua.lua_type(L, position) === lua.LUA_TSTRING

  /** Takes the value on top of the stack. */
  const reference = (): Reference => lauxlib.luaL_ref(L, lua.LUA_REGISTRYINDEX)

  return {
    push,
    read,
    reference,
    release: (held: Reference) => lauxlib.luaL_unref(L, lua.LUA_REGISTRYINDEX, held),
    pushReference: (held: Reference) => void lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, held),
    newTable(): Reference {
      lua.lua_createtable(L, 0, 0)
      return reference()
    },

    /** Sets `table[name]` of the table on top of the stack to the functions and values given, tables nested. */
    setFields(fields: HostFields): void {
      for (const [name, field] of Object.entries(fields)) {
        pushKey(name)
        if (typeof field === 'function') lua.lua_pushjsfunction(L, hostFunction(field))
        else if (field !== null && typeof field === 'object' && !(field instanceof Uint8Array)) {
          lua.lua_createtable(L, 0, 0)
          this.setFields(field)
        } else push(field)
        lua.lua_rawset(L, -3)
      }
    },
    pushNewTable: () => lua.lua_createtable(L, 0, 0),
    pushHostFunction: (called: HostFunction) => lua.lua_pushjsfunction(L, hostFunction(called)),
    /** `table[name] = value`, where the value is on top of the stack and the table below it. */
    setTop(name: string): void {
      pushKey(name)
      lua.lua_insert(L, -2)
      lua.lua_rawset(L, -3)
    },
    setGlobal: (name: string) => lua.lua_setglobal(L, toLuaString(name)),
    pop: (count: number) => lua.lua_pop(L, count),
    /** The string on top of the stack: Lua's own bytes, not a copy. */
    topBytes: () => (isString(-1) ? lua.lua_tostring(L, -1)! : undefined),

    /** Runs source; its results are left on the stack. */
    run(source: string, name: string, results: number): void {
      if (lauxlib.luaL_loadbuffer(L, toLuaString(source), null, toLuaString(`=${name}`)) !== lua.LUA_OK)
        throw new Error(popError())
      call(0, results)
    },
    /** Calls the function below `args` values on the stack. */
    call,

    /** Calls without arguments or results; the error's text where it failed. */
    attempt(held: Reference): string | undefined {
      lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, held)
      return lua.lua_pcall(L, 0, 0, 0) === lua.LUA_OK ? undefined : popError()
    },
    /**
     * Runs a function as a thread of its own, which may wait for promises; the error's text where it failed. Its first
     * part runs at once.
     */
    async start(held: Reference, ...args: readonly LuaValue[]): Promise<string | undefined> {
      const thread = lua.lua_newthread(main)
      const anchor = lauxlib.luaL_ref(main, lua.LUA_REGISTRYINDEX)
      const onThread = <T>(work: () => T): T => {
        const before = L
        L = thread
        try {
          return work()
        } finally {
          L = before
        }
      }
      let count = onThread(() => {
        lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, held)
        for (const value of args) push(value)
        return args.length
      })
      try {
        for (;;) {
          const status = onThread(() => lua.lua_resume(thread, main, count))
          if (status === lua.LUA_OK) return undefined
          if (status !== lua.LUA_YIELD) {
            lua.lua_xmove(thread, main, 1)
            return popError()
          }
          const result = await (waiting.get(thread) ?? Promise.reject(new Error('a thread waits for nothing')))
          waiting.delete(thread)
          count = onThread(() => pushResults(result))
        }
      } finally {
        waiting.delete(thread)
        lauxlib.luaL_unref(main, lua.LUA_REGISTRYINDEX, anchor)
      }
    },
    field(table: Reference, key: string): Packable {
      lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, table)
      pushKey(key)
      lua.lua_rawget(L, -2)
      try {
        return read(-1)
      } finally {
        lua.lua_settop(L, -3)
      }
    },
  }

  function call(args: number, results: number): void {
    if (lua.lua_pcall(L, args, results, 0) !== lua.LUA_OK) throw new Error(popError())
  }
  function popError(): string {
    const text = Buffer.from(lauxlib.luaL_tolstring(L, -1)).toString()
    lua.lua_pop(L, 2)
    return text
  }
}

export interface HostFields {
  [name: string]: HostFunction | HostFields | null | boolean | number | string | Uint8Array
}

function stringsOf(value: Packable): Uint8Array[] {
  if (Array.isArray(value)) return value.flatMap(stringsOf)
  if (value instanceof Map) return [...value.values()].flatMap(stringsOf)
  return value instanceof Uint8Array ? [value] : [Buffer.from(String(value))]
}
