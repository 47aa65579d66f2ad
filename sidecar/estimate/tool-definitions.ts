import { asList, asObject, asText, type JsonObject, parseJson } from '../dialects/json-value.ts'

/** What a list of tool definitions adds to a prompt: texts to count, and tokens that are always there. */
export interface ToolDefinitions {
  texts: string[]
  tokens: number
}

/**
 * Tokens of the form in which OpenAI's models see tools, as OpenAI's cookbook measured them ("How to count tokens with
 * tiktoken"): not documented by contract, and nested objects, which the cookbook leaves out, are counted like flat ones.
 */
const FUNCTION = { o200k_base: 7, older: 10 }
const PROPERTIES = 3
const PROPERTY = 3
const ENUM = -3
const ENUM_ITEM = 3
const END = 12
/** Schemas nest; what nests deeper than any real one is not followed. */
const MAX_DEPTH = 32

/** `tools`: JSON text of the definitions, in any provider's form. */
export function toolDefinitions(tools: string, encoding: string): ToolDefinitions {
  const found: ToolDefinitions = { texts: [], tokens: 0 }
  const definitions = asList(parseJson(tools)).flatMap(functionsOf)
  if (definitions.length === 0) {
    found.texts.push(tools)
    return found
  }
  for (const { name, description, schema } of definitions) {
    found.tokens += encoding === 'o200k_base' ? FUNCTION.o200k_base : FUNCTION.older
    found.texts.push(`${name}:${withoutStop(description)}`)
    if (schema !== undefined) addSchema(found, schema, 0)
  }
  found.tokens += END
  return found
}

interface FunctionDefinition {
  name: string
  description: string
  schema: JsonObject | undefined
}

/** OpenAI's chat and Responses, Anthropic's, Gemini's and Bedrock's forms. A tool that is no function has its type. */
function functionsOf(tool: unknown): FunctionDefinition[] {
  const outer = asObject(tool)
  if (outer === undefined) return []
  const declared = asList(outer.functionDeclarations ?? outer.function_declarations)
  if (declared.length > 0) return declared.flatMap(functionsOf)
  const own = asObject(outer.function) ?? asObject(outer.custom) ?? asObject(outer.toolSpec) ?? outer
  const inputSchema = asObject(own.inputSchema)
  return [
    {
      name: asText(own.name) ?? asText(own.type) ?? '',
      description: asText(own.description) ?? '',
      schema: asObject(own.parameters) ?? asObject(own.input_schema) ?? asObject(inputSchema?.json) ?? inputSchema,
    },
  ]
}

function addSchema(found: ToolDefinitions, schema: JsonObject, depth: number): void {
  if (depth > MAX_DEPTH) return
  const properties = Object.entries(asObject(schema.properties) ?? {})
  if (properties.length > 0) found.tokens += PROPERTIES
  for (const [name, given] of properties) {
    const property = asObject(given) ?? {}
    found.tokens += PROPERTY
    const values = asList(property.enum)
    if (values.length > 0) found.tokens += ENUM + ENUM_ITEM * values.length
    for (const value of values) found.texts.push(String(value))
    found.texts.push(`${name}:${asText(property.type) ?? ''}:${withoutStop(asText(property.description) ?? '')}`)
    addInner(found, property, depth)
  }
  addInner(found, { ...schema, properties: undefined }, depth)
}

function addInner(found: ToolDefinitions, schema: JsonObject, depth: number): void {
  if (asObject(schema.properties) !== undefined) {
    addSchema(found, schema, depth + 1)
    return
  }
  const inner = [schema.items, ...asList(schema.anyOf), ...asList(schema.oneOf), ...asList(schema.allOf)]
  for (const definitions of [schema.$defs, schema.definitions])
    inner.push(...Object.values(asObject(definitions) ?? {}))
  for (const item of inner) {
    const object = asObject(item)
    if (object !== undefined) addSchema(found, object, depth + 1)
  }
}

function withoutStop(description: string): string {
  return description.endsWith('.') ? description.slice(0, -1) : description
}
