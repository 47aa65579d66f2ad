import { bedrockError, modelInBedrockPath } from './bedrock-usage.ts'
import type { Dialect } from './dialect.ts'
import { withoutUndefined } from './json-value.ts'
import { viewResponse } from './response-view.ts'

/** Bedrock's CountTokens: the answer has `inputTokens`, and AWS bills none of them. */
export const bedrockCountTokens: Dialect = {
  id: 'bedrock-count-tokens',
  matches: ({ path }) => /\/model\/.+\/count-tokens$/.test(path),
  read: (exchange) => {
    const view = viewResponse(exchange)
    const answer = view.form === 'json' || view.form === 'cut_json' ? view.value : {}
    return {
      operation: 'count_tokens',
      stream: false,
      ...withoutUndefined({
        requestModel: modelInBedrockPath(exchange.path),
        error: bedrockError(answer, exchange),
      }),
      counts: {},
      usageSource: 'none',
      guardrails: [],
      billable: false,
    }
  },
}
