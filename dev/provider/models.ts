/** The models that the mock serves. An alias answers as its dated snapshot, as the providers do. */
export interface Model {
  /** The name that stands in the answer. */
  served: string
  reasoning: boolean
}

const openai = new Map<string, Model>()
const anthropic = new Map<string, Model>()

function add(models: Map<string, Model>, alias: string, served: string, reasoning = false): void {
  const model = { served, reasoning }
  models.set(alias, model)
  models.set(served, model)
}

add(openai, 'gpt-4o', 'gpt-4o-2024-08-06')
add(openai, 'gpt-4o-mini', 'gpt-4o-mini-2024-07-18')
add(openai, 'o3', 'o3-2025-04-16', true)
add(openai, 'o4-mini', 'o4-mini-2025-04-16', true)
add(anthropic, 'claude-sonnet-4-5', 'claude-sonnet-4-5-20250929')
add(anthropic, 'claude-haiku-4-5', 'claude-haiku-4-5-20251001')
add(anthropic, 'claude-opus-4-5', 'claude-opus-4-5-20251101')

export const OPENAI_MODELS: ReadonlyMap<string, Model> = openai
export const ANTHROPIC_MODELS: ReadonlyMap<string, Model> = anthropic
