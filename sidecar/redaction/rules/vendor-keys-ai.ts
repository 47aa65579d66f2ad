import type { TokenRule } from '../rule.ts'
import { key, looksRandom } from './token-row.ts'

/** Model providers and their tools. */
// biome-ignore format: one row a line
export const AI_KEYS: readonly TokenRule[] = [
  key('openai-or-alike', 'sk-[A-Za-z0-9_-]{16,512}', 'sk-{w20}T3BlbkFJ{w20}', 'https://platform.openai.com/docs/api-reference/authentication', {
    check: looksRandom,
    examples: ['sk-{w20}T3BlbkFJ{w20}', 'sk-proj-{k74}T3BlbkFJ{k74}', 'sk-svcacct-{k58}T3BlbkFJ{k58}', 'sk-admin-{k58}T3BlbkFJ{k58}', 'sk-ant-api03-{k93}AA', 'sk-ant-admin01-{k93}AA', 'sk-ant-oat01-{k93}AA', 'sk-or-v1-{h64}', 'sk-lf-{uuid}', 'sk-{h32}', 'sk-{w48}'],
    counterExamples: ['the sk-learn-estimators-in-the-wild', 'sk-short'],
  }),
  key('langfuse-public', 'pk-lf-[a-f0-9-]{36}', 'pk-lf-{uuid}', 'https://langfuse.com/docs/api'),
  key('openai-session', 'sess-[A-Za-z0-9]{40}', 'sess-{w40}', 'https://platform.openai.com/docs'),
  key('hugging-face', 'hf_[A-Za-z0-9]{30,60}', 'hf_{a34}', 'https://huggingface.co/docs/hub/security-tokens'),
  key('hugging-face-oauth', 'hf_oauth_[A-Za-z0-9._-]{20,1024}', 'hf_oauth_{w40}', 'https://huggingface.co/docs/hub/oauth'),
  key('hugging-face-organization', 'api_org_[A-Za-z0-9]{30,60}', 'api_org_{a34}', 'https://huggingface.co/docs/hub/security-tokens'),
  key('groq', 'gsk_[A-Za-z0-9]{40,80}', 'gsk_{w52}', 'https://console.groq.com/docs'),
  key('xai', 'xai-[A-Za-z0-9_-]{60,120}', 'xai-{w80}', 'https://docs.x.ai'),
  key('perplexity', 'pplx-[A-Za-z0-9]{32,96}', 'pplx-{w48}', 'https://docs.perplexity.ai'),
  key('replicate', 'r8_[A-Za-z0-9]{30,60}', 'r8_{w37}', 'https://replicate.com/docs'),
  key('fireworks', 'fw_[A-Za-z0-9]{20,60}', 'fw_{w24}', 'https://docs.fireworks.ai'),
  key('together', 'tgp_v1_[A-Za-z0-9_-]{32,80}', 'tgp_v1_{k43}', 'https://docs.together.ai'),
  key('cerebras', 'csk-[a-z0-9]{32,80}', 'csk-{s48}', 'https://inference-docs.cerebras.ai'),
  key('nvidia-nim', 'nvapi-[A-Za-z0-9_-]{40,120}', 'nvapi-{k64}', 'https://docs.api.nvidia.com'),
  key('langsmith', 'lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}', 'lsv2_pt_{h32}_{h10}', 'https://docs.smith.langchain.com'),
  key('voyage', 'pa-[A-Za-z0-9_-]{40,60}', 'pa-{k43}', 'https://docs.voyageai.com', { check: looksRandom }),
  key('jina', 'jina_[A-Za-z0-9_-]{40,80}', 'jina_{w60}', 'https://jina.ai/api-dashboard'),
  key('tavily', 'tvly-[A-Za-z0-9-]{20,60}', 'tvly-{w32}', 'https://docs.tavily.com'),
  key('pinecone', 'pcsk_[A-Za-z0-9_]{40,120}', 'pcsk_{w63}', 'https://docs.pinecone.io'),
  key('elevenlabs', 'sk_[a-f0-9]{40,64}', 'sk_{h48}', 'https://elevenlabs.io/docs'),
  key('kong-personal-token', 'kpat_[A-Za-z0-9]{30,80}', 'kpat_{w49}', 'https://docs.konghq.com/konnect/api'),
  key('kong-system-token', 'spat_[A-Za-z0-9]{30,80}', 'spat_{w49}', 'https://docs.konghq.com/konnect/api'),
  key('wandb', 'wandb_v1_[A-Za-z0-9_-]{40,120}', 'wandb_v1_{w77}', 'https://docs.wandb.ai'),
  key('firecrawl', 'fc-[a-f0-9]{32}(?![A-Za-z0-9])', 'fc-{h32}', 'https://docs.firecrawl.dev', { counterExamples: ['fc-match and fc-cache'] }),
  key('e2b', 'e2b_[a-f0-9]{40}', 'e2b_{h40}', 'https://e2b.dev/docs'),
  key('modal-id', 'ak-[A-Za-z0-9]{22}(?![A-Za-z0-9_-])', 'ak-{w22}', 'https://modal.com/docs', { check: looksRandom }),
  key('modal-secret', 'as-[A-Za-z0-9]{22}(?![A-Za-z0-9_-])', 'as-{w22}', 'https://modal.com/docs', { check: looksRandom, counterExamples: ['as-a-service-for-everybody'] }),
  key('apify', 'apify_api_[A-Za-z0-9]{30,60}', 'apify_api_{w36}', 'https://docs.apify.com'),
  key('llama-cloud', 'llx-[A-Za-z0-9]{40,60}', 'llx-{w48}', 'https://docs.cloud.llamaindex.ai'),
  key('turbopuffer', 'tpuf_[A-Za-z0-9]{32,60}', 'tpuf_{w32}', 'https://turbopuffer.com/docs'),
  key('browserbase', 'bb_(?:live|test)_[A-Za-z0-9_-]{24,60}', 'bb_live_{w43}', 'https://docs.browserbase.com'),
  key('langsmith-old', 'ls__[a-f0-9]{32}', 'ls__{h32}', 'https://docs.smith.langchain.com'),
]
