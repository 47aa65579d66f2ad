import { describe, expect, it } from 'vitest'
import { makeExchange, makeStream } from '../testing/make-exchange.ts'
import { agentOfKong } from './agent-protocols.ts'
import { read } from './index.ts'

const place = { host: 'tools.internal', path: '/mcp' }

describe('MCP and A2A are no calls of a model', () => {
  it('a call of a tool, plain and streamed, with its session', () => {
    const request = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'search', arguments: { q: 'secret' } },
    }
    const answer = { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'secret' }], isError: true } }
    const requestHeaders = { 'content-type': 'application/json', 'mcp-session-id': 's-1' }
    for (const body of [answer, makeStream([answer])]) {
      const reading = read(makeExchange(request, body, { ...place, requestHeaders }))
      expect(reading).toMatchObject({
        dialect: 'mcp',
        operation: 'mcp',
        billable: false,
        usageSource: 'none',
        agent: { protocol: 'mcp', method: 'tools/call', target: 'search', session: 's-1', error: 'tool_error' },
      })
      expect(JSON.stringify(reading)).not.toContain('secret')
    }
  })

  it('a JSON-RPC error names its code', () => {
    const request = { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'file:///x' } }
    const answer = { jsonrpc: '2.0', id: 1, error: { code: -32002, message: 'no' } }
    expect(read(makeExchange(request, answer, place)).agent).toMatchObject({ target: 'file:///x', error: '-32002' })
  })

  it('an agent’s task, with its state', () => {
    const request = {
      jsonrpc: '2.0',
      id: 1,
      method: 'message/send',
      params: { message: { contextId: 'ctx', parts: [] } },
    }
    const answer = {
      jsonrpc: '2.0',
      id: 1,
      result: { kind: 'task', id: 't-1', contextId: 'ctx', status: { state: 'completed' } },
    }
    expect(read(makeExchange(request, answer, { host: 'agents.internal', path: '/rpc' }))).toMatchObject({
      operation: 'a2a',
      agent: { method: 'message/send', session: 'ctx', taskId: 't-1', taskState: 'completed' },
    })
  })

  it('what Kong’s log alone says of them', () => {
    expect(
      agentOfKong({
        mcp: { mcp_session_id: 's', rpc: [{ method: 'tools/call', tool_name: 'list_orders', response_body_size: 5 }] },
      }),
    ).toEqual({
      protocol: 'mcp',
      method: 'tools/call',
      target: 'list_orders',
      session: 's',
      responseBytes: 5,
    })
    expect(agentOfKong({ proxy: {} })).toBeUndefined()
  })

  it('a chat about JSON-RPC stays a chat', () => {
    const chat = { model: 'gpt-4.1', messages: [{ role: 'user', content: '{"jsonrpc":"2.0","method":"tools/call"}' }] }
    expect(read(makeExchange(chat, { choices: [], usage: {} })).dialect).toBe('openai-chat')
  })
})
