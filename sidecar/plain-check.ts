import type { z } from 'zod'

/** True: the schema takes the value and gives it back as it is. False says nothing: the schema decides. */
export type PlainCheck = (value: unknown) => boolean

/** What zod tells of a schema: its public `_zod.def`. */
interface Definition {
  type: string
  checks?: readonly { _zod: { def: CheckDefinition } }[]
  coerce?: boolean
  innerType?: z.core.$ZodType
  shape?: Record<string, z.core.$ZodType>
  catchall?: z.core.$ZodType
  element?: z.core.$ZodType
  keyType?: z.core.$ZodType
  valueType?: z.core.$ZodType
  values?: readonly unknown[]
  entries?: Record<string, unknown>
  options?: readonly z.core.$ZodType[]
  discriminator?: string
  in?: z.core.$ZodType
  out?: z.core.$ZodType
  transform?: (value: unknown, payload: { value: unknown; issues: unknown[] }) => unknown
}
interface CheckDefinition {
  check: string
  minimum?: number
  maximum?: number
  value?: number | bigint
  inclusive?: boolean
  format?: string
}

const never: PlainCheck = () => false
/** Types whose values come out of a schema as they went in, or not at all. */
const UNCHANGING = new Set(['string', 'number', 'boolean', 'null', 'literal', 'enum', 'array', 'union'])

/**
 * A check made from a zod schema, for values as JSON.parse gives them: much faster, because it copies nothing and words no
 * problem. It says no to whatever the schema would refuse or change: a member that the schema does not know and would
 * drop, a text that it would make a number. What it does not understand of a schema it says no to as well.
 */
export function makePlainCheck(schema: z.core.$ZodType): PlainCheck {
  const definition = schema._zod.def as unknown as Definition
  const { type, checks = [] } = definition
  if (type !== 'string' && type !== 'number' && checks.length > 0) return never
  switch (type) {
    case 'unknown':
      return () => true
    case 'null':
      return (value) => value === null
    case 'boolean':
      return definition.coerce ? never : (value) => typeof value === 'boolean'
    case 'literal':
      return oneOf(definition.values!)
    case 'enum':
      return oneOf(Object.values(definition.entries!))
    case 'string':
      return textCheck(checks.map(({ _zod }) => _zod.def))
    case 'number':
      return numberCheck(checks.map(({ _zod }) => _zod.def))
    case 'optional':
      return makePlainCheck(definition.innerType!)
    case 'nullable': {
      const inner = makePlainCheck(definition.innerType!)
      return (value) => value === null || inner(value)
    }
    case 'array':
      return listCheck(makePlainCheck(definition.element!))
    case 'record':
      return recordCheck(makePlainCheck(definition.keyType!), makePlainCheck(definition.valueType!))
    case 'object':
      return definition.catchall === undefined || typeOf(definition.catchall) === 'never'
        ? objectCheck(definition.shape!)
        : never
    case 'union':
      return unionCheck(definition)
    case 'pipe':
      return pipeCheck(definition)
    default:
      return never
  }
}

function typeOf(schema: z.core.$ZodType): string {
  return (schema._zod.def as unknown as Definition).type
}

function oneOf(values: readonly unknown[]): PlainCheck {
  if (values.length === 1) return (value) => value === values[0]
  const known = new Set(values)
  return (value) => known.has(value)
}

function textCheck(checks: readonly CheckDefinition[]): PlainCheck {
  let least = 0
  let most = Number.POSITIVE_INFINITY
  for (const { check, minimum, maximum } of checks)
    if (check === 'min_length') least = Math.max(least, minimum!)
    else if (check === 'max_length') most = Math.min(most, maximum!)
    else return never
  return (value) => typeof value === 'string' && value.length >= least && value.length <= most
}

function numberCheck(checks: readonly CheckDefinition[]): PlainCheck {
  let whole = false
  let least = Number.NEGATIVE_INFINITY
  let above = Number.NEGATIVE_INFINITY
  for (const { check, format, value, inclusive } of checks)
    if (check === 'number_format' && format === 'safeint') whole = true
    else if (check === 'greater_than' && inclusive === true) least = Math.max(least, Number(value))
    else if (check === 'greater_than') above = Math.max(above, Number(value))
    else return never
  return (value) =>
    typeof value === 'number' &&
    (whole ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
    value >= least &&
    value > above
}

function listCheck(element: PlainCheck): PlainCheck {
  return (value) => {
    if (!Array.isArray(value)) return false
    for (let index = 0; index < value.length; index++) if (!element(value[index])) return false
    return true
  }
}

function recordCheck(name: PlainCheck, member: PlainCheck): PlainCheck {
  return (value) => {
    if (!isMap(value)) return false
    for (const key in value) if (key === '__proto__' || !name(key) || !member(value[key])) return false
    return true
  }
}

function objectCheck(shape: Record<string, z.core.$ZodType>): PlainCheck {
  const members = new Map<string, { check: PlainCheck; required: boolean }>()
  let required = 0
  for (const [name, schema] of Object.entries(shape)) {
    const isRequired = typeOf(schema) !== 'optional'
    if (isRequired) required++
    members.set(name, { check: makePlainCheck(schema), required: isRequired })
  }
  return (value) => {
    if (!isMap(value)) return false
    let missing = required
    for (const key in value) {
      const member = members.get(key)
      if (member === undefined || !member.check(value[key])) return false
      if (member.required) missing--
    }
    return missing === 0
  }
}

/** The first option that takes a value decides. So none may change what it takes, but where a member says which it is. */
function unionCheck({ options, discriminator }: Definition): PlainCheck {
  if (discriminator === undefined && !options!.every((option) => UNCHANGING.has(typeOf(option)))) return never
  const checks = options!.map(makePlainCheck)
  return (value) => {
    for (let index = 0; index < checks.length; index++) if (checks[index]!(value)) return true
    return false
  }
}

/** A change before the check: plain is what it leaves as it is. */
function pipeCheck(definition: Definition): PlainCheck {
  const { transform } = definition.in!._zod.def as unknown as Definition
  if (typeOf(definition.in!) !== 'transform' || transform === undefined) return never
  const out = makePlainCheck(definition.out!)
  return (value) => {
    const issues: unknown[] = []
    return transform(value, { value, issues }) === value && issues.length === 0 && out(value)
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
