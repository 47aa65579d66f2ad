import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import { read } from './index.ts'

const host = 'bedrock-runtime.eu-central-1.amazonaws.com'
const model = 'eu.anthropic.claude-haiku-4-5-20251001-v1:0'
const at = (action: string, name = model) => ({ host, path: `/model/${encodeURIComponent(name)}/${action}` })
describe('guardrails and counting', () => {
  it('ApplyGuardrail bills the units of its policies', () => {
    const answer = {
      action: 'GUARDRAIL_INTERVENED',
      actionReason: 'Guardrail blocked.',
      usage: {
        topicPolicyUnits: 1,
        contentPolicyUnits: 2,
        wordPolicyUnits: 3,
        sensitiveInformationPolicyFreeUnits: 4,
        automatedReasoningPolicies: 5,
      },
    }
    const place = { host, path: '/guardrail/g1/version/1/apply' }
    expect(read(makeExchange({ source: 'OUTPUT' }, answer, place))).toMatchObject({
      operation: 'guardrail',
      requestModel: 'g1',
      usage: { guardrail_units: 3 },
      usageSource: 'counted',
      guardrails: [
        { guardrail: 'aws.bedrock.guardrail', stage: 'output', action: 'blocked', reason: 'Guardrail blocked.' },
      ],
    })
    expect(read(makeExchange({}, { message: 'no' }, { ...place, status: 403 }))).toMatchObject({ usageSource: 'none' })
  })

  it('names policies, never what they matched; masking is no blocking', () => {
    const place = { host, path: '/guardrail/g1/version/DRAFT/apply' }
    const entity = (action: string, detected = true) => ({ type: 'EMAIL', match: 'jane@example.com', action, detected })
    const of = (action: string, ...piiEntities: object[]) =>
      read(
        makeExchange(
          { source: 'INPUT' },
          { action, assessments: [{ sensitiveInformationPolicy: { piiEntities } }], usage: { topicPolicyUnits: 1 } },
          place,
        ),
      ).guardrails
    const event = { guardrail: 'aws.bedrock.guardrail', stage: 'input', reason: 'sensitiveInformationPolicy' }
    expect(of('GUARDRAIL_INTERVENED', entity('ANONYMIZED'))).toEqual([{ ...event, action: 'masked' }])
    expect(of('GUARDRAIL_INTERVENED', entity('ANONYMIZED'), entity('BLOCKED'))).toEqual([
      { ...event, action: 'blocked' },
    ])
    expect(of('NONE', entity('NONE'))).toEqual([{ ...event, action: 'flagged' }])
    expect(of('NONE', entity('NONE', false))).toEqual([])
  })

  it('of a body that was cut or is none the units are unknown', () => {
    const place = { host, path: '/guardrail/g1/version/1/apply' }
    const bytes = Buffer.from(JSON.stringify({ action: 'NONE', assessments: [], usage: { topicPolicyUnits: 2 } }))
    for (let cut = 0; cut < bytes.length; cut++)
      for (const responseComplete of [true, false]) {
        const some = { ...place, responseBody: bytes.subarray(0, cut), responseComplete }
        const { usage, usageSource } = read(makeExchange({}, undefined, some))
        expect(usage).toEqual(usageSource === 'counted' ? { guardrail_units: 2 } : {})
      }
    for (const usage of [7, [], { topicPolicyUnits: 'x' }, null])
      expect(read(makeExchange({}, { action: 'NONE', usage }, place)).usage).toEqual({})
  })
})

describe('counting tokens', () => {
  it('is free', () => {
    const place = at('count-tokens')
    expect(read(makeExchange({}, { inputTokens: 9 }, place))).toMatchObject({
      dialect: 'bedrock-count-tokens',
      operation: 'count_tokens',
      requestModel: model,
      billable: false,
      usage: {},
    })
    expect(read(makeExchange({}, { message: 'no' }, { ...place, status: 400 }))).toMatchObject({
      error: { message: 'no' },
      usageSource: 'none',
    })
  })
})

describe('rerank of Bedrock’s agents', () => {
  const place = { host: 'bedrock-agent-runtime.us-west-2.amazonaws.com', path: '/rerank' }
  const modelArn = 'arn:aws:bedrock:us-west-2::foundation-model/amazon.rerank-v1:0'
  const request = (text: string) => ({
    queries: [{ type: 'TEXT', textQuery: { text: 'capital?' } }],
    sources: [
      { type: 'INLINE', inlineDocumentSource: { type: 'TEXT', textDocument: { text } } },
      { type: 'INLINE', inlineDocumentSource: { type: 'JSON', jsonDocument: { city: 'Rome' } } },
    ],
    rerankingConfiguration: { bedrockRerankingConfiguration: { modelConfiguration: { modelArn } } },
  })
  const answer = { results: [{ index: 0, relevanceScore: 0.9 }] }

  it('counts a query over short documents, and leaves others unknown', () => {
    expect(read(makeExchange(request('Paris'), answer, place))).toMatchObject({
      dialect: 'bedrock-rerank',
      operation: 'rerank',
      requestModel: modelArn,
      priceAttributes: { region: 'us-west-2' },
      usage: { search_units: 1 },
      usageSource: 'counted',
    })
    expect(read(makeExchange(request('x'.repeat(600)), answer, place))).toMatchObject({
      usage: {},
      usageReason: 'body_without_usage',
    })
    expect(read(makeExchange(request('Paris'), answer, { ...place, requestTruncated: true })).usage).toEqual({})
    expect(read(makeExchange(request('Paris'), { message: 'no' }, { ...place, status: 400 }))).toMatchObject({
      usage: {},
      usageSource: 'none',
      error: { message: 'no' },
    })
  })

  it('leaves the reranks of others to them', () => {
    expect(read(makeExchange({}, {}, { host: 'api.cohere.com', path: '/v2/rerank' })).dialect).toBe('rerank')
  })
})
