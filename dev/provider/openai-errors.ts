import { type Answer, jsonAnswer } from './answer.ts'

/** OpenAI's error document. */
export function openaiError(
  status: number,
  error: { message: string; type?: string; param?: string | null; code?: string | null },
  headers: Record<string, string> = {},
): Answer {
  const { message, type = 'invalid_request_error', param = null, code = null } = error
  return jsonAnswer(status, { error: { message, type, param, code } }, headers)
}

export function openaiErrorEvent(): Buffer {
  return Buffer.from(`data: ${JSON.stringify({ error: { ...SERVER_ERROR, param: null, code: null } })}\n\n`)
}

const SERVER_ERROR = {
  message: 'The server had an error while processing your request. Sorry about that!',
  type: 'server_error',
}

/** The error that a request asked for by `x-mock-status`. */
export function openaiStatus(
  status: number,
  code: string | undefined,
  model: string,
  headers: Record<string, string>,
): Answer {
  if (status === 429 && code === 'insufficient_quota')
    return openaiError(
      429,
      {
        message: 'You exceeded your current quota, please check your plan and billing details.',
        type: 'insufficient_quota',
        code,
      },
      headers,
    )
  if (status === 429)
    return openaiError(
      429,
      {
        message: `Rate limit reached for ${model} in organization org-mock on tokens per min (TPM): Limit 30000, Used 29700, Requested 1000. Please try again in 1.4s.`,
        type: 'tokens',
        code: code ?? 'rate_limit_exceeded',
      },
      { ...headers, 'retry-after': '2', 'retry-after-ms': '1400', 'x-ratelimit-remaining-tokens': '300' },
    )
  if (status === 503)
    return openaiError(
      503,
      {
        message: 'The engine is currently overloaded, please try again later.',
        type: 'server_error',
        code: code ?? null,
      },
      { ...headers, 'retry-after': '1' },
    )
  if (status >= 500) return openaiError(status, { ...SERVER_ERROR, code: code ?? null }, headers)
  if (status === 400 && code === 'context_length_exceeded')
    return openaiError(
      400,
      { message: "This model's maximum context length is 128000 tokens.", param: 'messages', code },
      headers,
    )
  if (status === 401) return incorrectKey(headers)
  if (status === 403)
    return openaiError(403, { message: 'You are not allowed to sample from this model', code: code ?? null }, headers)
  if (status === 404) return unknownModel(model, headers)
  return openaiError(status, { message: `The mock was asked for status ${status}.`, code: code ?? null }, headers)
}

export function unknownModel(model: string, headers: Record<string, string>): Answer {
  return openaiError(
    404,
    { message: `The model \`${model}\` does not exist or you do not have access to it.`, code: 'model_not_found' },
    headers,
  )
}

export function incorrectKey(headers: Record<string, string>): Answer {
  return openaiError(
    401,
    {
      message:
        'Incorrect API key provided: invalid. You can find your API key at https://platform.openai.com/account/api-keys.',
      code: 'invalid_api_key',
    },
    headers,
  )
}
