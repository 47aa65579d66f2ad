import { z } from 'zod'
import type { LlmCall } from '../call.ts'

/** What names the trace of a call. */
export const TRACE_NAMES = ['tenant', 'app', 'route', 'operation'] as const
export type TraceName = (typeof TRACE_NAMES)[number]

/**
 * Where a call stands in Langfuse. In a trace of its own it has a root of its own; in an application's it is a child of
 * the application's span. `asRoot`: it is marked as a root beside that, because nobody knows yet whether Langfuse gets the
 * application's span. `money: 'app'`: the application's own generation has usage and cost, ours none.
 */
export type Place = { trace: 'own' } | { trace: 'application'; asRoot: boolean; money: 'gateway' | 'app' }
export const OWN_TRACE: Place = { trace: 'own' }

const join = z.enum(['auto', 'always', 'never'])
const money = z.enum(['auto', 'gateway', 'app'])

/** Of applications whose calls come on trusted routes with a trace of their own. */
export const applicationsSchema = z.strictObject({
  /** Whether the application's spans reach this Langfuse too. */
  join: join.default('auto'),
  /** Which of two generations of one call has usage and cost: the gateway's or the application's. */
  money: money.default('auto'),
  /** By route, where one differs: its name, or its id where it has none. */
  routes: z.record(z.string().min(1), z.strictObject({ join: join.optional(), money: money.optional() })).default({}),
})
export type ApplicationsConfig = z.infer<typeof applicationsSchema>

/** What was seen in Langfuse of an application: whether its spans are there, and whether a generation stands around ours. */
export interface SeenApplication {
  traces: boolean
  generation: boolean
}

interface Settings {
  join: ApplicationsConfig['join']
  money: ApplicationsConfig['money']
}

function settingsOf({ gateway }: LlmCall, { join, money, routes }: ApplicationsConfig): Settings {
  const { route } = gateway
  const own = route !== undefined && Object.hasOwn(routes, route) ? routes[route] : undefined
  return { join: own?.join ?? join, money: own?.money ?? money }
}

/** Whether what is seen of an application in Langfuse changes anything for this call. */
export function dependsOnSeen(call: LlmCall, config: ApplicationsConfig): boolean {
  if (call.trace.parentSpanId === undefined || call.trace.parentBy !== 'caller') return false
  const { join, money } = settingsOf(call, config)
  return join !== 'never' && ((join === 'auto' && call.baggage === undefined) || money === 'auto')
}

/** `seen`: what is known of the application that made a call; undefined where nothing is yet. */
export function makePlaces(
  config: ApplicationsConfig,
  seen: (call: LlmCall) => SeenApplication | undefined = () => undefined,
): (call: LlmCall) => Place {
  return (call) => {
    const { parentSpanId, parentBy } = call.trace
    if (parentSpanId === undefined || parentBy !== 'caller') return OWN_TRACE
    const { join: joins, money: pays } = settingsOf(call, config)
    if (joins === 'never') return OWN_TRACE
    const known = dependsOnSeen(call, config) ? seen(call) : undefined
    // Langfuse's SDK writes such baggage, and it sends its spans there.
    const isTraced = joins === 'always' || call.baggage !== undefined || known?.traces === true
    if (!isTraced && known !== undefined) return OWN_TRACE
    return {
      trace: 'application',
      asRoot: !isTraced,
      money: pays === 'auto' ? (known?.generation === true ? 'app' : 'gateway') : pays,
    }
  }
}
