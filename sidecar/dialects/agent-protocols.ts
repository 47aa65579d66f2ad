import type { AgentEvent } from '../call.ts'
import type { Dialect, DialectReading, Exchange, Reading, RequestView } from './dialect.ts'
import { asCount, asList, asObject, asText, type JsonObject, withoutUndefined } from './json-value.ts'
import { objectsOf, viewResponse } from './response-view.ts'

/*
 * JSON-RPC between agents and tools: MCP (Model Context Protocol, 2025-06-18) and A2A (Agent2Agent 0.3). They are no calls of
 * a model: nothing is priced, what is kept is which method, tool, session and task, and whether it failed.
 */
const MCP_METHODS =
  /^(?:initialize|ping|(?:tools|resources|prompts|roots|tasks)\/[a-z_/]+|completion\/complete|logging\/setLevel|sampling\/createMessage|elicitation\/[a-z]+|notifications\/[a-z_/]+)$/
const A2A_METHODS =
  /^(?:(?:message|tasks|agent)\/[A-Za-z/]+|SendMessage|SendStreamingMessage|GetTask|ListTasks|CancelTask|SubscribeToTask|(?:Set|Create|Get|List|Delete)TaskPushNotificationConfigs?|GetExtendedAgentCard|GetAuthenticatedExtendedCard)$/
const A2A_ONLY = /^(?:message|agent)\/|^tasks\/(?:get|cancel|resubscribe|list|pushNotificationConfig\/)|^[A-Z]/

export const mcp: Dialect = {
  id: 'mcp',
  matches: (request) => protocolOf(request) === 'mcp',
  read: (exchange, body) => readAgent(exchange, body, 'mcp'),
}

export const a2a: Dialect = {
  id: 'a2a',
  matches: (request) => protocolOf(request) === 'a2a',
  read: (exchange, body) => readAgent(exchange, body, 'a2a'),
}

/** Kong's own words on a call of its MCP or A2A proxy: `ai.mcp.rpc[]`, `ai.a2a.rpc[]`. */
export function agentOfKong(ai: unknown): AgentEvent | undefined {
  const root = asObject(ai)
  const protocol = root?.mcp !== undefined ? 'mcp' : root?.a2a !== undefined ? 'a2a' : undefined
  if (root === undefined || protocol === undefined) return undefined
  const own = asObject(root[protocol])
  const rpc = asObject(asList(own?.rpc).at(-1))
  const failure = rpc?.error
  const error =
    asText(failure) ?? (asObject(failure) === undefined ? undefined : String(asObject(failure)?.code ?? 'error'))
  return {
    protocol,
    ...withoutUndefined({
      method: asText(rpc?.method)?.slice(0, 64),
      target: (asText(rpc?.tool_name) ?? asText(rpc?.name))?.slice(0, 256),
      session: (asText(own?.mcp_session_id) ?? asText(rpc?.context_id))?.slice(0, 256),
      taskId: asText(rpc?.task_id)?.slice(0, 256),
      taskState: asText(rpc?.task_state)?.slice(0, 32),
      error: error?.slice(0, 64),
      responseBytes: asCount(rpc?.response_body_size),
    }),
  }
}

/** What a call of a tool server or an agent is, where Kong's log alone tells of it. */
export function readingOfAgent(agent: AgentEvent, stream: boolean): Reading {
  return {
    dialect: agent.protocol,
    operation: agent.protocol,
    stream,
    counts: {},
    usage: {},
    usageSource: 'none',
    guardrails: [],
    billable: false,
    agent,
  }
}

function protocolOf({ path, method, body, requestHeaders, responseHeaders }: RequestView): 'mcp' | 'a2a' | undefined {
  const rpc = body?.jsonrpc === '2.0' ? asText(body.method) : undefined
  if (rpc !== undefined) {
    if (A2A_METHODS.test(rpc) && A2A_ONLY.test(rpc)) return 'a2a'
    if (MCP_METHODS.test(rpc)) return 'mcp'
  }
  const headers = (name: string) => requestHeaders[name] ?? responseHeaders[name]
  // Who talks to a model has a body of another kind, or a path of its own.
  if (headers('mcp-session-id') !== undefined || headers('mcp-protocol-version') !== undefined) return 'mcp'
  if (
    headers('a2a-version') !== undefined ||
    path.endsWith('/.well-known/agent.json') ||
    path.endsWith('/.well-known/agent-card.json')
  )
    return 'a2a'
  // An answer of the client to the server, or a stream of it.
  if (body?.jsonrpc === '2.0') return 'mcp'
  return method === 'GET' && /\/mcp\/?$/.test(path) ? 'mcp' : undefined
}

function readAgent(exchange: Exchange, body: JsonObject | undefined, protocol: 'mcp' | 'a2a'): DialectReading {
  const view = viewResponse(exchange)
  const messages = objectsOf(view).slice(-16)
  const last =
    messages.findLast((message) => message.result !== undefined || message.error !== undefined) ?? messages.at(-1)
  const failure = asObject(last?.error)
  const result = asObject(last?.result)
  const parameters = asObject(body?.params)
  const task = asObject(result?.task) ?? result
  const state = asText(asObject(task?.status)?.state)
    ?.replace(/^TASK_STATE_/, '')
    .toLowerCase()
  const code = failure?.code
  const error =
    failure !== undefined
      ? String(typeof code === 'number' || typeof code === 'string' ? code : 'error').slice(0, 64)
      : result?.isError === true
        ? 'tool_error'
        : undefined
  const session = exchange.requestHeaders['mcp-session-id'] ?? exchange.responseHeaders['mcp-session-id']
  const message = asObject(parameters?.message)
  const event: AgentEvent = {
    protocol,
    ...withoutUndefined({
      method: asText(body?.method)?.slice(0, 64),
      target: (asText(parameters?.name) ?? asText(parameters?.uri))?.slice(0, 256),
      session: (session ?? asText(message?.contextId) ?? asText(task?.contextId))?.slice(0, 256),
      taskState: state?.slice(0, 32),
      taskId: (
        asText(task?.taskId) ??
        (state === undefined ? undefined : asText(task?.id)) ??
        asText(parameters?.id)
      )?.slice(0, 256),
      error,
      requestBytes: exchange.requestBody?.length,
      responseBytes: (exchange.responseBody?.length ?? 0) + (exchange.responseTail?.length ?? 0),
    }),
  }
  return {
    operation: protocol,
    stream: view.form === 'events',
    ...(failure === undefined
      ? {}
      : {
          error: withoutUndefined({ type: error ?? 'error', message: asText(failure.message)?.slice(0, 1024) }) as {
            type: string
            message?: string
          },
        }),
    counts: {},
    usageSource: 'none',
    guardrails: [],
    billable: false,
    agent: event,
  }
}
