import type { Counts } from './counts.ts'
import { asCount, asList, asObject, asText, type JsonObject } from './json-value.ts'

/*
 * Tools that providers run themselves. One table: which unit a use is billed in; `pricing/overrides.yaml` has the dated
 * price of the unit. `toolCalls` has no list price: the call is marked `tool_fee_unknown`. What the table does not name and
 * what is no tool of the client is taken for a billed one.
 */
type ToolCounts = Pick<Counts, 'webSearches' | 'fileSearches' | 'mapsSearches' | 'liveSearchSources' | 'toolCalls'>
type ToolUnit = keyof ToolCounts | 'free' | 'image'

const TOOLS: Readonly<Record<string, ToolUnit>> = {
  web_search: 'webSearches',
  web_search_preview: 'webSearches',
  google_search: 'webSearches',
  search: 'webSearches',
  live_search: 'liveSearchSources',
  web: 'webSearches',
  x_search: 'webSearches', // xAI: the same price as a search of the web
  file_search: 'fileSearches',
  google_maps: 'mapsSearches',
  image_generation: 'image',
  image_gen: 'image',
  // Billed by containers, sessions, documents or requests whose number or price is not in the answer.
  code_interpreter: 'toolCalls',
  code_execution: 'toolCalls',
  bash_code_execution: 'toolCalls',
  text_editor_code_execution: 'toolCalls',
  shell: 'toolCalls',
  document_search: 'toolCalls',
  collections_search: 'fileSearches', // xAI: the same as its file_search
  document_library: 'toolCalls',
  bing_grounding: 'toolCalls',
  enterprise_web_search: 'toolCalls',
  // Tokens alone.
  computer: 'free',
  computer_use_preview: 'free',
  mcp: 'free',
  mcp_list_tools: 'free',
  mcp_approval_request: 'free',
  function: 'free',
  custom: 'free',
  custom_tool: 'free',
  local_shell: 'free',
  apply_patch: 'free',
  tool_search: 'free',
  web_fetch: 'free',
  url_context: 'free',
  view_image: 'free',
  view_x_video: 'free',
  browse_page: 'free',
}

/** `web_search_call`, `web_search_calls`, `web_search_20250305`, `web_search_requests` are the tool `web_search`. */
function toolName(name: string): string {
  return name
    .toLowerCase()
    .replace(/_\d{4}_?\d\d_?\d\d$/, '')
    .replace(/_(?:calls?|requests?|queries|num_requests)$/, '')
}

function unitOf(name: string): ToolUnit {
  const tool = toolName(name)
  return Object.hasOwn(TOOLS, tool) ? TOOLS[tool]! : 'toolCalls'
}

function add(counts: ToolCounts, unit: ToolUnit, amount: number): void {
  if (unit !== 'free' && unit !== 'image' && amount > 0) counts[unit] = (counts[unit] ?? 0) + amount
}

/** Uses by name: xAI's `server_side_tool_usage_details`, Mistral's `connectors`, OpenAI's `tool_usage`. */
export function usesByName(uses: JsonObject | undefined): ToolCounts {
  const counts: ToolCounts = {}
  for (const name of Object.keys(uses ?? {})) {
    const value = uses![name]
    const inner = asObject(value)
    const amount =
      asCount(value) ??
      asCount(inner?.num_requests) ??
      asCount(inner?.requests) ??
      asCount(inner?.calls) ??
      asCount(inner?.count) ??
      asCount(inner?.invocation)
    add(counts, unitOf(name), amount ?? 0)
  }
  return counts
}

/** Items of a Responses answer. A search is billed; opening a page that was found, or looking for words in it, is not. */
export function usesInItems(items: readonly unknown[]): ToolCounts {
  const counts: ToolCounts = {}
  for (const entry of items) {
    const item = asObject(entry)
    const type = asText(item?.type)
    if (item === undefined || type === undefined || !type.endsWith('_call')) continue
    if (type === 'web_search_call') {
      const action = asText(asObject(item.action)?.type)
      if (action !== undefined && action !== 'search') continue
    }
    // A shell of the client costs nothing; one in OpenAI's container does.
    if (type === 'shell_call' && !hostedShell(item)) continue
    add(counts, unitOf(type), 1)
  }
  return counts
}

function hostedShell(item: JsonObject): boolean {
  const environment = asObject(item.environment)
  return environment === undefined || asText(environment.type)?.startsWith('container') === true
}

/** The tools that a request allows, by name: of OpenAI's, Anthropic's and Gemini's formats. */
export function toolsAskedFor(body: JsonObject | undefined): string[] {
  const names: string[] = []
  for (const entry of asList(body?.tools)) {
    const tool = asObject(entry)
    if (tool === undefined) continue
    const type = asText(tool.type)
    if (type !== undefined) names.push(toolName(type))
    else for (const key of Object.keys(tool)) names.push(key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
  }
  if (asObject(body?.web_search_options) !== undefined) names.push('web_search')
  if (asObject(body?.search_parameters) !== undefined) names.push('live_search')
  for (const plugin of asList(body?.plugins)) {
    const id = asText(asObject(plugin)?.id)
    if (id !== undefined) names.push(id)
  }
  return names
}

/** Whether a part of the answer that nobody saw may hold a billed use of a tool. */
export function mayBillTools(body: JsonObject | undefined, requestTruncated: boolean): boolean {
  if (body === undefined || requestTruncated) return true
  return toolsAskedFor(body).some((name) => {
    const unit = unitOf(name)
    return unit !== 'free' && name !== 'function_declarations' && name !== 'functions' && name !== 'retrieval'
  })
}
