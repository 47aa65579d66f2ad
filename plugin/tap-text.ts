import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The tap: Lua that looks at request and answer as they pass Kong (plugin/tap/). Each chunk runs in a hook of pre-function,
 * but for the one that reads the request's body: that is in post-function, the last of all plugins.
 *
 * It never delays, changes or fails a request: each hook runs under pcall, and a chunk does nothing when it is loaded that
 * could raise. It needs no more than Kong's default sandbox: no require, no setmetatable. What the hooks of one request
 * share is kong.ctx.shared.llm_observer_tap; what a chunk keeps over requests are its upvalues: one set in each worker
 * process, for each configuration of the plugin.
 */
export interface Tap {
  'pre-function': Record<TapHook, string>
  'post-function': { access: string }
}

/** The hooks of pre-function that the tap has a chunk for. */
export const TAP_HOOKS = ['access', 'header_filter', 'body_filter', 'log'] as const
export type TapHook = (typeof TAP_HOOKS)[number]

/** Who ships captures to the sidecar: the plugin llm-observer in Kong's plugin server, or the tap by itself. */
export const SHIPS = ['plugin', 'tap'] as const
export type Ship = (typeof SHIPS)[number]

const LOG_PARTS = ['json', 'document', 'capture', 'sidecar'] as const
const part = (name: string) => readFileSync(join(import.meta.dirname, 'tap', `${name}.lua`), 'utf8').trim()

export function readTap(ship: Ship = 'plugin'): Tap {
  const log = [...LOG_PARTS, ship === 'plugin' ? 'to-plugin' : 'to-sidecar'].map(part).join('\n\n')
  return {
    'pre-function': {
      access: `${part('access')}\n`,
      header_filter: `${part('header_filter')}\n`,
      body_filter: `${part('body_filter')}\n`,
      log: `${log}\n`,
    },
    'post-function': { access: `${part('body')}\n` },
  }
}

export interface TapSettings {
  /** Where totals – or, with `ship: tap`, all captures – go; an empty address: nowhere. */
  url?: string | undefined
  token?: string | undefined
  /** With `ship: tap`, which no plugin's configuration reaches: as in the plugin's. */
  content?: 'on' | 'off' | undefined
  global?: boolean | undefined
}

/** The text – a chunk, or a kong.yml that holds it – with these settings in the place of its own. */
export function withSidecar(text: string, { url, token, content, global }: TapSettings): string {
  const set = (before: string, name: string, value: string | undefined) =>
    value === undefined
      ? before
      : before.replaceAll(
          new RegExp(`(local ${name} = )"[^"]*"`, 'g'),
          (_, start: string) => start + JSON.stringify(value),
        )
  const there = set(set(text, 'SIDECAR_URL', url), 'INTAKE_TOKEN', token)
  if (content === undefined && global === undefined) return there
  return there.replace(
    'local CONTENT, GLOBAL = "off", false',
    `local CONTENT, GLOBAL = ${JSON.stringify(content ?? 'off')}, ${global === true}`,
  )
}

/** The tap as Kong's Admin API takes it: the configurations of its two plugins. */
export function tapAsPlugins(ship: Ship, settings: TapSettings) {
  const tap = readTap(ship)
  const config = Object.fromEntries(TAP_HOOKS.map((hook) => [hook, [withSidecar(tap['pre-function'][hook], settings)]]))
  return [
    { name: 'pre-function', config },
    { name: 'post-function', config: { access: [tap['post-function'].access] } },
  ] as const
}
