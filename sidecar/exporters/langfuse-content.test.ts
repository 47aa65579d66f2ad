import { describe, expect, it } from 'vitest'
import type { Message } from '../call.ts'
import { writtenContent } from './langfuse-content.ts'
import { chatTools } from './langfuse-tools.ts'

const says = (role: string, content: string): Message => ({ role, parts: [{ type: 'text', content }] })
const thinks = (content: string): Message => ({ role: 'assistant', parts: [{ type: 'reasoning', content }] })
function output(...messages: Message[]): unknown {
  const { output } = writtenContent({ output: messages }, false)
  return output === undefined || !('text' in output) ? undefined : JSON.parse(output.text)
}
function input(...messages: Message[]): unknown {
  const { input } = writtenContent({ input: messages }, false)
  return input === undefined || !('text' in input) ? undefined : JSON.parse(input.text).messages
}

describe('prompt and answer as Langfuse draws them', () => {
  it('thoughts that came as an item of their own belong to the message behind them', () => {
    expect(output(thinks('Hm.'), says('assistant', 'Yes.'))).toEqual({
      role: 'assistant',
      content: 'Yes.',
      thinking: [{ type: 'thinking', content: 'Hm.' }],
    })
  })

  it('an item of thoughts without text, and an empty message, are left out', () => {
    expect(output({ role: 'assistant', parts: [] }, thinks(''), says('assistant', 'Yes.'))).toEqual({
      role: 'assistant',
      content: 'Yes.',
    })
    expect(output({ role: 'assistant', parts: [] })).toBeUndefined()
    expect(input(says('user', ''), says('user', 'Hi'))).toEqual([{ role: 'user', content: 'Hi' }])
  })

  it('several results in one message are several, each with its call’s id; the text behind them stays', () => {
    expect(
      input({
        role: 'user',
        parts: [
          { type: 'tool_call_response', id: 'a', response: '1' },
          { type: 'tool_call_response', id: 'b', response: '2' },
          { type: 'text', content: 'So?' },
        ],
      }),
    ).toEqual([
      { role: 'tool', tool_call_id: 'a', content: '1' },
      { role: 'tool', tool_call_id: 'b', content: '2' },
      { role: 'user', content: 'So?' },
    ])
  })
})

describe('tool definitions in one form', () => {
  const parameters = { type: 'object' }
  const chat = { type: 'function', function: { name: 'f', description: 'd', parameters } }
  it.each([
    ['OpenAI chat', [chat]],
    ['OpenAI responses', [{ type: 'function', name: 'f', description: 'd', parameters }]],
    ['Anthropic', [{ name: 'f', description: 'd', input_schema: parameters }]],
    ['Gemini', [{ functionDeclarations: [{ name: 'f', description: 'd', parameters }] }]],
    ['Bedrock', [{ toolSpec: { name: 'f', description: 'd', inputSchema: { json: parameters } } }]],
  ])('%s', (_name, tools) => expect(chatTools(JSON.stringify(tools))).toEqual([chat]))

  it.each([[[{ type: 'web_search_20250305', name: 'web_search' }]], [[{ googleSearch: {} }]], [['x', null, 3]]])(
    'what is no function of the caller’s stays: %j',
    (tools) => expect(chatTools(JSON.stringify(tools))).toEqual(tools),
  )

  it('a text that was cut stays that text', () => expect(chatTools('[{"name":"f')).toBe('[{"name":"f'))
})
