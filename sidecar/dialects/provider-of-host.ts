/** OpenTelemetry's `gen_ai.provider.name` of the hosts that providers answer on. */
const HOSTS: Readonly<Record<string, string>> = {
  'api.openai.com': 'openai',
  'chatgpt.com': 'openai',
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
  'open.bigmodel.cn': 'z_ai',
  'api.moonshot.cn': 'moonshot_ai',
  'dashscope-us.aliyuncs.com': 'alibaba_cloud',
  'api.voyageai.com': 'voyage_ai',
  'ai.mongodb.com': 'voyage_ai',
  'api.jina.ai': 'jina_ai',
  'api.mixedbread.com': 'mixedbread',
  'api.aleph-alpha.com': 'aleph_alpha',
  'api.ai21.com': 'ai21',
  'api.replicate.com': 'replicate',
  'api.deepinfra.com': 'deepinfra',
  'api.novita.ai': 'novita',
  'api.sambanova.ai': 'sambanova',
  'api.hyperbolic.xyz': 'hyperbolic',
  'api.siliconflow.com': 'siliconflow',
  'api.siliconflow.cn': 'siliconflow',
  'api.studio.nebius.com': 'nebius',
  'api.tokenfactory.nebius.com': 'nebius',
  'api.friendli.ai': 'friendli',
  'inference.baseten.co': 'baseten',
  'integrate.api.nvidia.com': 'nvidia',
  'models.github.ai': 'github',
  'models.inference.ai.azure.com': 'github',
  'ai-gateway.vercel.sh': 'vercel',
  'api.upstage.ai': 'upstage',
  'api.minimax.io': 'minimax',
  'api.minimaxi.com': 'minimax',
  'api.stepfun.com': 'stepfun',
  'api.scaleway.ai': 'scaleway',
  'llm.chutes.ai': 'chutes',
  'ollama.com': 'ollama',
  'api.pinecone.io': 'pinecone',
  // Providers of the price lists.
  'api.arcee.ai': 'arcee',
  'api.avian.io': 'avian',
  'api.cloudflare.com': 'cloudflare',
  'api.cursor.com': 'cursor',
  'api.doubleword.ai': 'doubleword',
  'api.githubcopilot.com': 'github-copilot',
  'api.meta.ai': 'meta',
  'api.llama.com': 'meta',
  'oai.endpoints.kepler.ai.cloud.ovh.net': 'ovhcloud',
  'api.quicksilverpro.io': 'quicksilverpro',
  'api.typesafe.ai': 'typesafe',
  'api.minimax.com': 'minimax',
  'api.minimax.chat': 'minimax',
  'api.kimi.com': 'moonshot_ai',
  'api.deepgram.com': 'deepgram',
  'api.assemblyai.com': 'assemblyai',
  'api.lambda.ai': 'lambda',
  'api.lambdalabs.com': 'lambda',
  'inference.api.nscale.com': 'nscale',
  'api.inference.wandb.ai': 'wandb',
  'api.featherless.ai': 'featherless',
  'api.publicai.co': 'publicai',
  'api.gmi-serving.com': 'gmi',
  'inference.do-ai.run': 'gradient',
  'api.morphllm.com': 'morph',
  'api.inceptionlabs.ai': 'inception',
  'api.v0.dev': 'v0',
  'api.stability.ai': 'stability',
  'api.hunyuan.cloud.tencent.com': 'tencent',
  'api.lkeap.cloud.tencent.com': 'tencent',
  'api.xiaomimimo.com': 'xiaomi',
  'api.together.com': 'together',
  'cloudcode-pa.googleapis.com': 'gcp.gemini',
}

/** Hosts that carry a customer's or a region's name. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/^[a-z]{2}\.api\.openai\.com$/, 'openai'],
  [/\.openai\.azure\.(com|us|cn)$/, 'azure.ai.openai'],
  [/\.cognitiveservices\.azure\.com$/, 'azure.ai.openai'],
  [/\.services\.ai\.azure\.com$/, 'azure.ai.inference'],
  [/\.models\.ai\.azure\.com$/, 'azure.ai.inference'],
  [/\.inference\.ml\.azure\.com$/, 'azure.ai.inference'],
  [/^bedrock(-runtime|-mantle)?(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws)$/, 'aws.bedrock'],
  [/^bedrock-agent-runtime\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$/, 'aws.bedrock'],
  [/\.bedrock(-agent)?-runtime(-fips)?\.[a-z0-9-]+\.vpce\.amazonaws\.com$/, 'aws.bedrock'],
  [/^[a-z0-9-]+-aiplatform\.googleapis\.com$/, 'gcp.vertex_ai'],
  [/^aiplatform\.(us|eu)\.rep\.googleapis\.com$/, 'gcp.vertex_ai'],
  [/^[a-z0-9-]+\.api\.x\.ai$/, 'x_ai'],
  [/\.snowflakecomputing\.com$/, 'snowflake'],
  [/\.ml\.cloud\.ibm\.com$/, 'ibm.watsonx.ai'],
  [/\.(?:cloud|azure)?databricks\.(?:com|net)$/, 'databricks'],
  [/^ark\.[a-z0-9-]+\.(?:volces|bytepluses)\.com$/, 'volcengine'],
  [/^(?:coding(?:-intl)?\.)?dashscope(?:-[a-z]+)?\.aliyuncs\.com$/, 'alibaba_cloud'],
  [/(?:^|\.)elevenlabs\.io$/, 'elevenlabs'],
  [/^(?:api|[a-z]+\.api)\.deepgram\.com$/, 'deepgram'],
  [/^api(?:\.[a-z0-9]+)?\.bfl\.(?:ai|ml)$/, 'black_forest_labs'],
  [/^inference\.generativeai\.[a-z0-9-]+\.oci\.oraclecloud\.com$/, 'oci'],
  [/\.modal\.(?:run|direct)$/, 'modal'],
  [/\.githubcopilot\.com$/, 'github-copilot'],
  [/(?:^|\.)openrouter\.ai$/, 'openrouter'],
  [/\.endpoints\.huggingface\.cloud$/, 'huggingface'],
]

export const PROVIDERS_OF_HOSTS: readonly string[] = [
  ...Object.values(HOSTS),
  ...PATTERNS.map(([, provider]) => provider),
]

export function providerOfHost(host: string): string | undefined {
  const name = host.toLowerCase().replace(/\.$/, '')
  if (Object.hasOwn(HOSTS, name)) return HOSTS[name]
  return PATTERNS.find(([pattern]) => pattern.test(name))?.[1]
}

/** OpenAI's endpoints that keep the data in one region, at a price of their own. */
export function regionOfHost(host: string): string | undefined {
  const azure = /\.openai\.azure\.(us|cn)$/.exec(host)?.[1]
  if (azure !== undefined) return azure === 'us' ? 'us-gov' : 'cn'
  return /^([a-z]{2})\.api\.openai\.com$/.exec(host)?.[1]
}

/** Where a provider has several price lists: Hugging Face's host behind the router, OpenAI's decisions, Zhipu in China. */
export function priceListOf(
  { host, path, responseHeaders }: { host: string; path: string; responseHeaders: Readonly<Record<string, string>> },
  requestModel: string | undefined,
): string | undefined {
  if (host === 'router.huggingface.co') {
    const behind =
      /^\/([a-z0-9-]+)\/(?!chat\/)/.exec(path)?.[1] ??
      responseHeaders['x-inference-provider'] ??
      /:([a-z0-9-]+)$/.exec(requestModel ?? '')?.[1]
    return behind === undefined || behind === 'v1' ? undefined : `huggingface_${behind}`
  }
  if (host === 'open.bigmodel.cn') return 'zhipuai'
  if (/(?:^|\.)api\.openai\.com$/.test(host) && /\/decisions$/.test(path)) return 'openai-decisions'
  return undefined
}
