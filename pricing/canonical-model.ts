/**
 * The name under which price lists know a model, from the name that a path, a request or an answer gives it: in small
 * letters, without the resource that it stands in (`projects/…/models/`, `models/`, ARNs, Databricks' endpoints).
 * Prefixes that change the price (Bedrock's `us.`, `global.`) stay. Pure; never throws.
 */
export function canonicalModel(provider: string, name: string): string {
  let model = name.trim().toLowerCase()
  // Bedrock: foundation models and system-defined profiles end in the id; the id of an application profile says nothing.
  if (model.startsWith('arn:')) model = model.slice(model.lastIndexOf('/') + 1)
  // Google: `projects/p/locations/l/publishers/google/models/gemini-2.5-flash`, `models/…`, `publishers/…`.
  model = model.replace(/^(?:.*\/)?(?:models|tunedmodels)\//, '')
  if (provider === 'gcp.vertex_ai' || provider === 'gcp.gemini') model = model.replace(/^(?:google|anthropic)\//, '')
  if (provider === 'fireworks') model = model.replace(/^accounts\/[^/]+\/(?:models|deployments)\//, '')
  // The provider's own name before its own model: `openai/gpt-5` at OpenAI.
  const owners = OWN_PREFIXES[provider]
  if (owners !== undefined) model = model.replace(owners, '')
  if (provider === 'openrouter') model = model.replace(/:(?:nitro|floor|online|exacto)$/, '')
  if (provider === 'huggingface') model = model.replace(/:[a-z0-9-]+$/, '')
  return model
}

const OWN_PREFIXES: Readonly<Record<string, RegExp>> = {
  openai: /^openai\//,
  'azure.ai.openai': /^(?:openai|azure)\//,
  'azure.ai.inference': /^(?:openai|azure|azure-openai|azureml:\/\/registries\/[^/]+)\//,
  anthropic: /^anthropic\//,
  mistral_ai: /^mistral(?:ai)?\//,
  deepseek: /^deepseek\//,
  x_ai: /^(?:xai|x-ai)\//,
  cohere: /^cohere\//,
  perplexity: /^perplexity\//,
  moonshot_ai: /^moonshot(?:ai)?\//,
  z_ai: /^(?:zai|z-ai|zhipuai|bigmodel)\//,
  minimax: /^minimax\//,
  alibaba_cloud: /^(?:dashscope|alibaba|qwen)\//,
  databricks: /^(?:databricks|system\.ai|endpoints)\//,
  'aws.bedrock': /^bedrock\/(?:converse\/)?/,
}

/**
 * Other names under which a list may hold the same model, in the order in which they are tried: without Google's
 * `-maas`, version marks of Vertex (`@20250929`), a date at the end, `-latest`; of a fine-tuned one its own entry only.
 */
export function modelNames(provider: string, name: string): readonly string[] {
  const canonical = canonicalModel(provider, name)
  const names = new Set([name.trim().toLowerCase(), canonical])
  const plain = canonical.replace(/-maas$/, '').replace(/@(?:\d{8}|default|latest|\d{3})$/, '')
  names.add(plain)
  const last = plain.slice(plain.lastIndexOf('/') + 1)
  if (provider === 'gcp.vertex_ai') names.add(last)
  // A fine-tuned model is listed by its base, `ft:gpt-4.1-2025-04-14`, and never priced as the base itself.
  const tuned = /^ft:[^:]+/.exec(plain)?.[0]
  if (tuned !== undefined) names.add(tuned)
  else {
    names.add(plain.replace(/-latest$/, ''))
    names.add(plain.replace(/[-@:]\d{4}-\d\d-\d\d$|[-@]20\d{6}$|-(?:0[1-9]|1[0-2])\d\d$/, ''))
    names.add(`${plain}-latest`)
  }
  names.delete('')
  return [...names]
}
