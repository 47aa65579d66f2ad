/** OpenTelemetry's `gen_ai.provider.name` of the hosts that providers answer on. */
const HOSTS: Readonly<Record<string, string>> = {
  'api.openai.com': 'openai',
  'eu.api.openai.com': 'openai',
  'us.api.openai.com': 'openai',
  'api.anthropic.com': 'anthropic',
  'api.groq.com': 'groq',
  'api.deepseek.com': 'deepseek',
  'api.x.ai': 'x_ai',
  'api.mistral.ai': 'mistral_ai',
  'codestral.mistral.ai': 'mistral_ai',
  'api.together.xyz': 'together',
  'api.together.ai': 'together',
  'openrouter.ai': 'openrouter',
  'api.perplexity.ai': 'perplexity',
  'api.cohere.com': 'cohere',
  'api.cohere.ai': 'cohere',
  'generativelanguage.googleapis.com': 'gcp.gemini',
  'aiplatform.googleapis.com': 'gcp.vertex_ai',
  'api.cerebras.ai': 'cerebras',
  'api.fireworks.ai': 'fireworks',
  'api.inference.crusoecloud.com': 'crusoe',
  'router.huggingface.co': 'huggingface',
  'api-inference.huggingface.co': 'huggingface',
  'api.writer.com': 'writer',
  'api.z.ai': 'z_ai',
  'api.moonshot.ai': 'moonshot_ai',
  'dashscope.aliyuncs.com': 'alibaba_cloud',
  'dashscope-intl.aliyuncs.com': 'alibaba_cloud',
  'api.voyageai.com': 'voyage_ai',
  'ollama.com': 'ollama',
}

/** Hosts that carry a customer's or a region's name. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\.openai\.azure\.(com|us|cn)$/, 'azure.ai.openai'],
  [/\.cognitiveservices\.azure\.com$/, 'azure.ai.openai'],
  [/\.services\.ai\.azure\.com$/, 'azure.ai.inference'],
  [/\.models\.ai\.azure\.com$/, 'azure.ai.inference'],
  [/^bedrock(-runtime|-mantle)?(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws)$/, 'aws.bedrock'],
  [/^[a-z0-9-]+-aiplatform\.googleapis\.com$/, 'gcp.vertex_ai'],
  [/\.snowflakecomputing\.com$/, 'snowflake'],
]

export function providerOfHost(host: string): string | undefined {
  const name = host.toLowerCase().replace(/\.$/, '')
  if (Object.hasOwn(HOSTS, name)) return HOSTS[name]
  return PATTERNS.find(([pattern]) => pattern.test(name))?.[1]
}
