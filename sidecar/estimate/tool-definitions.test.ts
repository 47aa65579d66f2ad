import { describe, expect, it } from 'vitest'
import { toolDefinitions } from './tool-definitions.ts'

const schema = {
  type: 'object',
  properties: {
    location: { type: 'string', description: 'The city and state, e.g. San Francisco, CA.' },
    unit: { type: 'string', description: 'The unit', enum: ['celsius', 'fahrenheit'] },
  },
}
const weather = { name: 'get_weather', description: 'The weather.' }

describe('tool definitions', () => {
  it('as OpenAI’s cookbook counts them', () => {
    const { texts, tokens } = toolDefinitions(
      JSON.stringify([{ type: 'function', function: { ...weather, parameters: schema } }]),
      'o200k_base',
    )
    expect(texts).toEqual([
      'get_weather:The weather',
      'location:string:The city and state, e.g. San Francisco, CA',
      'celsius',
      'fahrenheit',
      'unit:string:The unit',
    ])
    // function 7, properties 3, two properties 3 each, enum −3 and 3 each of its values, the end 12
    expect(tokens).toBe(7 + 3 + 6 - 3 + 6 + 12)
  })

  it.each([
    ['Responses', [{ type: 'function', ...weather, parameters: schema }]],
    ['Anthropic', [{ ...weather, input_schema: schema }]],
    ['Gemini', [{ functionDeclarations: [{ ...weather, parameters: schema }] }]],
    ['Bedrock', [{ toolSpec: { ...weather, inputSchema: { json: schema } } }]],
  ])('the same tool in the form of %s counts the same', (_provider, tools) => {
    const chat = [{ type: 'function', function: { ...weather, parameters: schema } }]
    expect(toolDefinitions(JSON.stringify(tools), 'o200k_base')).toEqual(
      toolDefinitions(JSON.stringify(chat), 'o200k_base'),
    )
  })

  it('older models take more for each', () => {
    const tools = JSON.stringify([{ ...weather }])
    expect(toolDefinitions(tools, 'cl100k_base').tokens - toolDefinitions(tools, 'o200k_base').tokens).toBe(3)
  })

  it('nested objects count', () => {
    const nested = { type: 'object', properties: { a: { type: 'array', items: schema }, b: { anyOf: [schema] } } }
    const { texts } = toolDefinitions(JSON.stringify([{ ...weather, parameters: nested }]), 'o200k_base')
    expect(texts.filter((text) => text.startsWith('location:'))).toHaveLength(2)
  })

  it('what is no list of tools is counted as it is', () => {
    expect(toolDefinitions('"something"', 'o200k_base')).toEqual({ texts: ['"something"'], tokens: 0 })
    expect(toolDefinitions('{cut', 'o200k_base')).toEqual({ texts: ['{cut'], tokens: 0 })
  })

  it('depth does not hurt', () => {
    const depth = 3000
    const deep = `${'{"properties":{"a":'.repeat(depth)}{}${'}}'.repeat(depth)}`
    const { texts } = toolDefinitions(`[{"name":"x","parameters":${deep}}]`, 'o200k_base')
    expect(texts.length).toBeLessThan(40)
  })
})
