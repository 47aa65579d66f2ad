import { asCount, asObject, type JsonObject } from './json-value.ts'

/**
 * Every documented field of `ai` in Kong's log (developer.konghq.com/ai-gateway/ai-audit-log-reference; OSS 3.9, Enterprise to
 * 3.16): read, or ignored for a reason. A path has `[]` for the items of a list. A test changes each field of the documented
 * documents: what is read changes the call, what is ignored does not.
 */
export const KONG_AI_FIELDS: readonly (readonly [path: RegExp, use: 'read' | `ignored: ${string}`])[] = [
  // Calls that Kong's plugins make of their own stand beside the client's: `callsBeside` marks it.
  [
    /^ai\.(?:proxy\.)?(?:ai-)?llm-as-judge\./,
    'ignored: the judge’s own call and its score of another model’s answer; marks plugin_call_not_billed',
  ],
  [
    /^ai\.proxy\.rag-inject\.embeddings_(?:tokens|latency|provider|model)$/,
    'ignored: the embedding of the look-up is a call of its own; marks plugin_call_not_billed',
  ],
  [/^ai\.proxy\.rag-inject\./, 'ignored: where the context came from costs nothing'],
  [/^ai\.compressor\./, 'ignored: tokens that were never sent; Kong’s own count, and the model is the operator’s'],
  [/^ai\.sanitizer\.(?:pii_identified|pii_sanitized|duration)$/, 'read'],
  [/^ai\.sanitizer\.sanitized_items\b/, 'ignored: holds what was hidden'],
  [/^ai\.audit\.azure_content_safety\.[^.]+$/, 'read'],
  // Guards.
  [/^ai\.proxy\.[a-z-]+\.(?:input|output)_block_(?:reason|source)$/, 'read'],
  [/^ai\.proxy\.[a-z-]+\.(?:input|output)_block_detail\[\]\.(?:detected|detector_type)$/, 'read'],
  [/^ai\.proxy\.[a-z-]+\.(?:input|output)_block_detail\[\]\./, 'ignored: ids of the guard’s configuration'],
  [/^ai\.proxy\.[a-z-]+\.(?:input|output)_processing_latency$/, 'read'],
  [/^ai\.proxy\.[a-z-]+\.guards_triggered_count$/, 'read'],
  [/^ai\.proxy\.[a-z-]+\.(?:input_faulty_prompt|output_faulty_response)$/, 'ignored: content that a guard refused'],
  [/^ai\.proxy\.[a-z-]+\.(?:input|output)_block_consumer_id$/, 'ignored: the log’s `consumer` is trusted alone'],
  [
    /^ai\.proxy\.[a-z-]+\.(?:mode|template_id|(?:input|output)_request_uuid|(?:aws|azure|guardrails|lakera)_[a-z_]+)$/,
    'ignored: the guard’s configuration. That AWS masked instead of blocking is told by no field',
  ],
  // The cache.
  [/^ai\.(?:ai-)?proxy\.cache\.(?:cache_status|fetch_latency|embeddings_(?:provider|model|tokens|latency))$/, 'read'],
  [/^ai\.(?:ai-)?proxy\.cache\.vector_db$/, 'ignored: where the cache stands'],
  // The call itself.
  [/^ai(?:\.[a-z-]+)?\.usage\.(?:prompt|completion|input|output)_tokens?(?:_details\.[a-z_]+)?$/, 'read'],
  [/^ai(?:\.[a-z-]+)?\.usage\.total_tokens$/, 'read'],
  [/^ai(?:\.[a-z-]+)?\.usage\.cost$/, 'ignored: Kong’s price, made from the route’s settings and its own counts'],
  [/^ai(?:\.[a-z-]+)?\.usage\.time_(?:per_token|to_first_token)$/, 'ignored: measured by the tap itself'],
  [/^ai(?:\.[a-z-]+)?\.meta\.(?:provider_name|request_model|response_model|request_mode)$/, 'read'],
  [/^ai(?:\.[a-z-]+)?\.meta\.llm_latency$/, 'ignored: measured by the tap itself'],
  [/^ai(?:\.[a-z-]+)?\.meta\.(?:plugin_id|azure_[a-z_]+)$/, 'ignored: configuration'],
  [/^ai(?:\.[a-z-]+)?\.payload\.(?:request|response)$/, 'read'],
  [/^ai\.proxy\.tried_targets\[\]\.(?:ip|host|port|provider|model|status_code|upstream_status)$/, 'read'],
  [/^ai\.proxy\.tried_targets\[\]\./, 'ignored: configuration of the target'],
  // Tool servers and agents.
  [/^ai\.mcp\.mcp_session_id$/, 'read'],
  [/^ai\.mcp\.rpc\[\]\.(?:method|tool_name|error|response_body_size)\b/, 'read'],
  [/^ai\.a2a\.rpc\[\]\.(?:method|context_id|task_id|task_state|error|response_body_size)$/, 'read'],
  [/^ai\.(?:mcp|a2a)\.rpc\[\]\.payload\./, 'ignored: content'],
  [/^ai\.(?:mcp|a2a)\.rpc\[\]\.(?:id|latency|binding|streaming)$/, 'ignored: the call has its own id and duration'],
  [/^ai\.mcp\.audit\[\]\./, 'ignored: who may use a tool is the access log’s'],
]

const PROXIES = ['proxy', 'ai-proxy', 'ai-proxy-advanced']
const CALLERS = [
  'ai-llm-as-judge',
  'llm-as-judge',
  'ai-request-transformer',
  'request-transformer',
  'ai-response-transformer',
  'response-transformer',
]

/** Whether plugins of Kong called models of their own beside the client's call: a judge, transformers, embeddings of RAG. */
export function callsBeside(ai: unknown): boolean {
  const root = asObject(ai)
  if (root === undefined) return false
  const proxies = PROXIES.flatMap((name): JsonObject[] => [asObject(root[name])].filter((own) => own !== undefined))
  for (const proxy of proxies) {
    const rag = asObject(proxy['rag-inject'])
    if ((asCount(rag?.embeddings_tokens) ?? asCount(rag?.embeddings_latency) ?? 0) > 0) return true
  }
  return (
    proxies.length > 0 &&
    [root, ...proxies].some((at) => CALLERS.some((name) => asObject(at[name])?.meta !== undefined))
  )
}
