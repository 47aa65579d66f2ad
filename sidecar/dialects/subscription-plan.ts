/*
 * Traffic that a subscription pays: its tokens count, a list price does not apply. By host and path, where a provider keeps
 * plans apart; what only a key tells (Anthropic's, MiniMax's plans) is a rule of the operator: `plan: true` in the price file.
 */
const PLANS: readonly (readonly [host: RegExp, path: RegExp, plan: string])[] = [
  [/^(?:api\.z\.ai|open\.bigmodel\.cn)$/, /\/api\/coding\//, 'glm-coding'],
  [/^api\.kimi\.com$/, /^\/coding(?:\/|$)/, 'kimi-coding'],
  [/^coding(?:-intl)?\.dashscope(?:-intl)?\.aliyuncs\.com$/, /./, 'qwen-coding'],
  [/^ark\.[a-z0-9-]+\.(?:volces|bytepluses)\.com$/, /^\/api\/coding(?:\/|$)/, 'ark-coding'],
  [/^chatgpt\.com$/, /^\/backend-api\//, 'chatgpt'],
  [/(?:^|\.)githubcopilot\.com$/, /./, 'github-copilot'],
  [/^(?:daily-)?cloudcode-pa\.googleapis\.com$/, /./, 'gemini-code-assist'],
  [/(?:^|\.)cursor\.(?:sh|com)$/, /./, 'cursor'],
]

const HOSTS_WITH_PLANS = /z\.ai$|bigmodel|kimi|dashscope|^ark\.|chatgpt|copilot|cloudcode|cursor/

export function planOf(host: string, path: string): string | undefined {
  if (!HOSTS_WITH_PLANS.test(host)) return undefined
  return PLANS.find(([hosts, paths]) => hosts.test(host) && paths.test(path))?.[2]
}
