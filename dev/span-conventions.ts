import { EXTRA_UNITS, TOKEN_TYPES } from '../sidecar/call.ts'
import { GEN_AI, LANGFUSE, OWN } from '../sidecar/exporters/semantic-conventions.ts'

// What each attribute holds, for docs/spans.md. The types make a new attribute without a line here an error.

const STANDARD: Record<keyof typeof GEN_AI, string> = {
  operation: '`chat`, `embeddings`, `text_completion` …; absent where no dialect knew the request',
  provider: 'the provider, by the names of the conventions',
  conversation: 'session id, from the configured header or body field',
  outputType: 'requested output: text, json, image, speech',
  requestModel: 'model as the client asked for it',
  choiceCount: 'only where it is not 1',
  seed: 'request parameter',
  stream: '`true` for a stream, else absent',
  maxTokens: 'request parameter',
  temperature: 'request parameter',
  topP: 'request parameter',
  topK: 'request parameter',
  stopSequences: 'request parameter',
  frequencyPenalty: 'request parameter',
  presencePenalty: 'request parameter',
  responseId: "the provider's id of the answer",
  responseModel: 'model as the provider names it; it is what is priced',
  finishReasons: "one for each choice, in the provider's words",
  timeToFirstChunk: 'seconds from the start of the request to the first byte of the answer',
  inputTokens: 'all prompt tokens, **cached ones included**; absent where the usage is unknown',
  outputTokens: 'all generated tokens, **reasoning included**',
  cacheReadTokens: "the part of the input that came from the provider's cache",
  cacheCreationTokens: "the part of the input that was written into the provider's cache",
  reasoningTokens: 'the part of the output that was reasoning',
  inputMessages: 'JSON, redacted; only with content on',
  outputMessages: 'JSON, redacted; only with content on',
  systemInstructions: 'JSON, redacted; only with content on',
  toolDefinitions: 'JSON, redacted; only with content on',
  openaiServiceTier: 'the tier that served the call',
  openaiFingerprint: 'as the answer says it',
  errorType: "the provider's error code, else the HTTP status; absent for a good answer",
  serverAddress: "host of the provider, as Kong's service names it",
  serverPort: 'its port',
  httpStatus: 'what the client got',
  userId:
    'user, from the configured header or body field; an e-mail address or phone as its pseudonym (docs/privacy.md)',
  environment: 'by the attribution rules',
}

const OURS: Record<keyof typeof OWN, string> = {
  tenant: 'who is charged; `unattributed` where no rule found one',
  tenantSource: 'the rule that found the tenant',
  tenantClaimed: 'another tenant that the client named itself to be, and was not believed',
  consumer: "Kong's consumer",
  team: 'by the attribution rules',
  app: 'by the attribution rules',
  callId: 'the id by which store, Loki and Langfuse know the call',
  requestId: "Kong's request id",
  status: 'outcome; the values stand in [metrics](metrics.md)',
  dialect: 'the wire format that was read',
  route: "Kong's route",
  service: "Kong's service",
  workspace: "Kong's workspace",
  node: "Kong's node id",
  kongMs: 'milliseconds that Kong itself took',
  upstreamMs: "milliseconds to the provider's first byte",
  attempts: 'how many targets were tried',
  usagePrefix: `tokens by kind, an attribute each, **never overlapping**: ${list(TOKEN_TYPES)}`,
  unitsPrefix: `what is billed besides tokens: ${list(EXTRA_UNITS)}`,
  usageSource: '`provider`, `counted`, `gateway`, `estimated`, `partial`, `none`, `unknown` ([usage](usage.md))',
  usageReason: 'why the usage is partial, estimated or unknown',
  costState: '`priced`, `free`, `unpriced`',
  costReason: 'why free or unpriced',
  costUsd: 'dollars, a float for people; **absent where there is no price, never 0**',
  costPicoUsd: 'the exact amount: an integer of 10⁻¹² dollars',
  savedPicoUsd: 'what an answer from a semantic cache would have cost',
  priceId: 'the dated price that was in force',
  priceBook: 'version of the price book',
  cache: 'semantic cache: `hit`, `miss`, `bypass`, `refresh`',
  cacheLookupMs: 'how long the look-up took',
  cacheEmbeddingsModel: 'the model of the look-up',
  cacheLookupPicoUsd: 'what the look-up cost',
  rateLimitRefusedBy: 'who said 429: `gateway` or `provider`',
  rateLimitRetryAfter: 'as told with the 429',
  rateLimitBudgets: 'what is left, as texts: `provider tokens 199976/200000`',
  attemptEvent: 'span event: one attempt of the call, where there were several',
  attemptNumber: 'on the event: from 1',
  attemptAddress: 'on the event: the target',
  attemptFailed: 'on the event: whether it failed',
  attemptDurationMs: 'on the event: how long it took',
  repeat: '`true` for the retrieval of an answer that was billed before: cost 0',
  serviceTier: 'the tier that served the call, of any provider',
  guardrails: 'names of the guardrails that acted',
  guardrailEvent: 'span event: one guardrail acted at one stage',
  guardrailName: 'on the event',
  guardrailStage: 'on the event: `input` or `output`',
  guardrailAction: 'on the event: `blocked`, `masked` or `flagged`',
  guardrailReason: "on the event: the guardrail's words",
  guardrailCategories: 'on the event, as texts: `hate=high`',
  guardrailCount: 'on the event: how many findings; never the findings themselves',
  guardrailLatencyMs: 'on the event: how long it took',
  errorMessage: "the provider's words, redacted, cut",
  originalTraceId: "the client's own trace id where it was not trusted",
  samplingRatio: 'how many calls this span stands for is 1 ÷ this',
  contentTruncated: '`true` where the messages are not whole',
}

const LANGFUSE_ONLY: Record<keyof typeof LANGFUSE, string> = {
  type: '`span` of the root; `generation`, `embedding`, `retriever` (rerank), `evaluator` (moderation), `guardrail`; `guardrail` for a guardrail event beside it',
  traceName: "tenant, app, route or operation (`traceName`); an application's own where its baggage says it",
  userId: 'user',
  sessionId: 'session',
  tags: 'tenant, status, route, cache, team, app; whether estimated, unknown or unpriced',
  traceMetadata: 'filterable, of the trace',
  metadata:
    'filterable: call, response and request id, provider, tier, latency split, exact cost (`cost_pico_usd`), price id, usage source and reason, finish reason, error, attempts …',
  environment: 'in the form that Langfuse takes',
  release: 'configured release',
  version: "an application's own, from its baggage",
  promptName: 'from its baggage, on the generation',
  promptVersion: 'from its baggage, on the generation',
  level: 'DEFAULT, WARNING, ERROR',
  statusMessage: 'why, where it is no good answer',
  model: 'the model that was priced',
  parameters: 'request parameters',
  usage: 'tokens by kind, as Langfuse adds them up',
  cost: 'dollars by kind, always with a total, so that Langfuse prices nothing by its own list',
  completionStart: 'time of the first byte, of streams alone',
  input: '`{messages, tools}`, redacted; only with content on',
  output: 'messages, redacted; only with content on',
  appRoot: 'marks the root of a trace',
}

function list(values: readonly string[]): string {
  return values.map((value) => `\`${value}\``).join(', ')
}
function rows<Names extends Record<string, string>>(names: Names, meanings: Record<keyof Names, string>): string {
  return Object.entries(names)
    .map(([key, name]) => `| \`${name}${name.endsWith('.') ? '…' : ''}\` | ${meanings[key]} |`)
    .join('\n')
}

export function spansPage(): string {
  return `# Spans
Generated from \`sidecar/exporters/semantic-conventions.ts\` by \`npm run docs\`. One call is one span (kind CLIENT, named \`operation model\`, scope and \`service.name\` \`kong-llm-observer\`), sent by OTLP to a Collector and, in its own words, to Langfuse. Trace id, span id and times are functions of the call: sent again it is the same span. What is not known is absent, never 0.

Status is ERROR for every outcome but \`ok\`, else UNSET. Whose trace it joins: [who called](attribution.md) and [tail sampling](monitoring-stack.md#traces).

## OpenTelemetry GenAI conventions (v1.41.1)
| attribute | holds |
|---|---|
${rows(GEN_AI, STANDARD)}

## Our own
| attribute | holds |
|---|---|
${rows(OWN, OURS)}

## Langfuse
Scope \`langfuse-sdk-kong-llm-observer\`. A call is a root span \`llm call\` with the generation (the call's own span id) and guardrails under it; in an application's own trace the generation alone ([Langfuse](langfuse.md)). They carry these.

| attribute | holds |
|---|---|
${rows(LANGFUSE, LANGFUSE_ONLY)}

## Span metrics
The Collector counts every span before it samples: \`traces_span_metrics_calls_total\` and \`traces_span_metrics_duration_seconds\`, by \`tenant_id\`, \`gen_ai_operation_name\`, \`gen_ai_provider_name\`, \`gen_ai_request_model\`, \`status_code\`, with exemplars. They are for the traces' own view; cost and tokens are the ledger's ([metrics](metrics.md)).
`
}
