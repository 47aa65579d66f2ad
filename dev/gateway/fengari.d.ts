/** The part of fengari 0.1 (Lua 5.3 in JavaScript) that is used here; the package has no types of its own. */
declare module 'fengari' {
  /** Opaque. */
  export interface LuaState {
    readonly isLuaState: never
  }
  export type LuaFunction = (L: LuaState) => number

  export const lua: {
    LUA_OK: number
    LUA_REGISTRYINDEX: number
    LUA_TNIL: number
    LUA_TBOOLEAN: number
    LUA_TNUMBER: number
    LUA_TSTRING: number
    LUA_TTABLE: number
    LUA_YIELD: number
    lua_checkstack(L: LuaState, extra: number): boolean
    lua_createtable(L: LuaState, arraySize: number, recordSize: number): void
    lua_error(L: LuaState): never
    lua_getglobal(L: LuaState, name: Uint8Array): number
    lua_gettop(L: LuaState): number
    lua_insert(L: LuaState, index: number): void
    lua_isinteger(L: LuaState, index: number): boolean
    lua_newthread(L: LuaState): LuaState
    lua_next(L: LuaState, index: number): number
    lua_pcall(L: LuaState, args: number, results: number, handler: number): number
    lua_pop(L: LuaState, count: number): void
    lua_pushboolean(L: LuaState, value: boolean): void
    lua_pushinteger(L: LuaState, value: number): void
    lua_pushjsfunction(L: LuaState, value: LuaFunction): void
    lua_pushlightuserdata(L: LuaState, value: unknown): void
    lua_pushnil(L: LuaState): void
    lua_pushnumber(L: LuaState, value: number): void
    lua_pushstring(L: LuaState, value: Uint8Array | string): Uint8Array
    lua_pushvalue(L: LuaState, index: number): void
    lua_rawget(L: LuaState, index: number): number
    lua_rawgeti(L: LuaState, index: number, key: number): number
    lua_rawlen(L: LuaState, index: number): number
    lua_rawset(L: LuaState, index: number): void
    lua_rawseti(L: LuaState, index: number, key: number): void
    lua_resume(L: LuaState, from: LuaState, args: number): number
    lua_setglobal(L: LuaState, name: Uint8Array): void
    lua_setmetatable(L: LuaState, index: number): void
    lua_settop(L: LuaState, index: number): void
    lua_toboolean(L: LuaState, index: number): boolean
    lua_tonumber(L: LuaState, index: number): number
    lua_tostring(L: LuaState, index: number): Uint8Array | null
    lua_type(L: LuaState, index: number): number
    lua_xmove(from: LuaState, to: LuaState, count: number): void
    lua_yield(L: LuaState, results: number): number
  }
  export const lauxlib: {
    luaL_loadbuffer(L: LuaState, source: Uint8Array, size: number | null, name: Uint8Array): number
    luaL_newstate(): LuaState
    luaL_ref(L: LuaState, table: number): number
    luaL_tolstring(L: LuaState, index: number): Uint8Array
    luaL_unref(L: LuaState, table: number, reference: number): void
  }
  export const lualib: { luaL_openlibs(L: LuaState): void }
  export function to_luastring(value: string): Uint8Array
}
