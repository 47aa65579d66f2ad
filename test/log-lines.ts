// Lines for the tests of the log pipelines.

/** Lines as they are written, and as they leave the machine. None of these secrets is one. */
export const MASKED: [line: string, shipped: string][] = [
  ['mail from ada.lovelace+x@mail.example.co.uk today', 'mail from [EMAIL] today'],
  ['{"user":"ada@example.com"}', '{"user":"[EMAIL]"}'],
  ['Authorization: Bearer abcdefghijklmnop.QRST==', 'Authorization: [TOKEN]'],
  ['authorization: basic dXNlcjpwYXNzd29yZA==', '[TOKEN]'],
  ['key sk-proj-abcdefghijklmnopqrstuv end', 'key [API_KEY] end'],
  ['AKIAABCDEFGHIJKLMNOP and AIzaAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', '[API_KEY] and [API_KEY]'],
  [`ghp_${'a'.repeat(36)}`, '[API_KEY]'],
  ['t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-123;', 't=[JWT];'],
  [
    'card 4111 1111 1111 1111, 5500-0000-0000-0004, 378282246310005.',
    'card [CREDIT_CARD], [CREDIT_CARD], [CREDIT_CARD].',
  ],
  [
    'request: "GET /v1/models?key=abc&alt=sse HTTP/1.1", host: "x"',
    'request: "GET /v1/models?[QUERY] HTTP/1.1", host: "x"',
  ],
  ['POST https://h/p?a%5B%5D=1 failed', 'POST https://h/p?[QUERY] failed'],
]
export const UNTOUCHED = [
  '{"level":"info","time":1795419012318,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","msg":"why? because"}',
  '{"cost_pico_usd":"4111","tokens":{"input":1234567890123}}',
  '2026/11/24 14:03:07 [error] 1411#0: *12 [lua] init.lua:1 basic authentication failed @ startup',
  'request 0f3c0d4e-1111-2222-3333-444455556666 took 1795419012318000000 ns',
]

/** What Docker's json-file driver writes for a line of a container. */
export const containerLine = (service: string, log: string, at = new Date()) =>
  `${JSON.stringify({ log: `${log}\n`, stream: 'stdout', attrs: { 'com.docker.compose.service': service }, time: at.toISOString().replace('Z', '000000Z') })}\n`

export const KONG_ERROR =
  '2026/11/24 14:03:07 [crit] 1411#0: *12 connect() failed for ada@example.com, client: 10.0.0.1, request: "GET /openai/v1/models?key=AIzaSecret HTTP/1.1", request_id: "0badcafe0badcafe0badcafe0badcafe"'
export const SIDECAR_ERROR =
  '{"level":"ERROR","time":"2026-11-24T14:03:07.000Z","service":"kong-llm-observer","request_id":"r-1","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","msg":"request failed with Bearer abcdefghijklmnopqrstuvwx"}'
