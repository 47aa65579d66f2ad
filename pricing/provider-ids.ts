/** OpenTelemetry's `gen_ai.provider.name` → the id that genai-prices files the provider's prices under. */
const PROVIDER_IDS: Readonly<Record<string, string>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  'azure.ai.openai': 'azure',
  'azure.ai.inference': 'azure',
  'gcp.gemini': 'google',
  'gcp.vertex_ai': 'google',
  'gcp.gen_ai': 'google',
  'aws.bedrock': 'aws',
  mistral_ai: 'mistral',
  x_ai: 'x-ai',
  deepseek: 'deepseek',
  groq: 'groq',
  together: 'together',
  openrouter: 'openrouter',
  perplexity: 'perplexity',
  cohere: 'cohere',
  cerebras: 'cerebras',
  fireworks: 'fireworks',
  moonshot_ai: 'moonshotai',
  z_ai: 'zai',
  voyage_ai: 'voyageai',
  minimax: 'minimax',
  novita: 'novita',
  avian: 'avian',
  ovhcloud: 'ovhcloud',
  arcee: 'arcee',
  baseten: 'baseten',
  cloudflare: 'cloudflare',
  doubleword: 'doubleword',
}

export function priceProviderId(provider: string): string | undefined {
  return Object.hasOwn(PROVIDER_IDS, provider) ? PROVIDER_IDS[provider] : undefined
}
