/** A tool as OpenAI's chat form has it, from which Langfuse reads its name. */
interface ChatTool {
  type: 'function'
  function: { name: string; description?: unknown; parameters?: unknown }
}

/**
 * Tool definitions as the provider has them → in OpenAI's chat form. What is no function of the caller's (a provider's own
 * search, a shape that is not known) stays as it came; a text that is no JSON list, because it was cut, stays that text.
 */
export function chatTools(text: string): unknown {
  let tools: unknown
  try {
    tools = JSON.parse(text)
  } catch {
    return text
  }
  return Array.isArray(tools) ? tools.flatMap(chatTool) : text
}

function chatTool(tool: unknown): unknown[] {
  if (!isRecord(tool)) return [tool]
  // Gemini has a list of functions in one tool, beside tools of its own.
  const declared = tool.functionDeclarations ?? tool.function_declarations
  if (Array.isArray(declared)) return declared.map((each) => functionOf(each) ?? each)
  // Bedrock's Converse.
  if (isRecord(tool.toolSpec)) return [functionOf(tool.toolSpec) ?? tool]
  if (isRecord(tool.function)) return [tool]
  // Anthropic's own tools have a name and a type, and no schema.
  return [('input_schema' in tool || 'parameters' in tool ? functionOf(tool) : undefined) ?? tool]
}

function functionOf(given: unknown): ChatTool | undefined {
  if (!isRecord(given) || typeof given.name !== 'string') return undefined
  const { name, description } = given
  const schema = given.parameters ?? given.parametersJsonSchema ?? given.input_schema ?? given.inputSchema
  const parameters = isRecord(schema) && 'json' in schema ? schema.json : schema
  return {
    type: 'function',
    function: {
      name,
      ...(description !== undefined && { description }),
      ...(parameters !== undefined && { parameters }),
    },
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
