import type { GuardrailEvent } from '../call.ts'

const MAX_CATEGORIES = 16
const MAX_NAME = 64
const MAX_REASON = 200

/** One event for each guardrail, stage and action, however many chunks or categories tell of it. */
export type GuardrailEvents = Map<string, GuardrailEvent>

export function addGuardrail(events: GuardrailEvents, event: GuardrailEvent): void {
  const key = `${event.guardrail}/${event.stage}/${event.action}`
  const known = events.get(key)
  events.set(key, known === undefined ? event : merged(known, event))
}

function merged(known: GuardrailEvent, event: GuardrailEvent): GuardrailEvent {
  const reasons = [known.reason, event.reason].flatMap((one) => one?.split(', ') ?? [])
  const reason = [...new Set(reasons)].join(', ')
  const categories = boundedCategories({ ...known.categories, ...event.categories })
  return {
    ...known,
    ...(reason !== '' && { reason: reason.slice(0, MAX_REASON) }),
    ...(categories !== undefined && { categories }),
  }
}

/** Names and what is said of them, bounded; undefined where there are none. */
export function boundedCategories(categories: Readonly<Record<string, string>>): Record<string, string> | undefined {
  const entries = Object.entries(categories).slice(0, MAX_CATEGORIES)
  if (entries.length === 0) return undefined
  return Object.fromEntries(entries.map(([name, value]) => [name.slice(0, MAX_NAME), value.slice(0, MAX_NAME)]))
}

/** An event in which these categories were found: their names are the reason as well. */
export function categorised(
  event: Pick<GuardrailEvent, 'guardrail' | 'stage' | 'action'>,
  categories: Readonly<Record<string, string>>,
): GuardrailEvent {
  const bounded = boundedCategories(categories)
  if (bounded === undefined) return event
  return { ...event, reason: Object.keys(bounded).join(', ').slice(0, MAX_REASON), categories: bounded }
}
