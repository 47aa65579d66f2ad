import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blocksAnswer, kongGuardrails } from './kong-guardrails.ts'

describe('Kong’s guards', () => {
  it.each(['proxy', 'ai-proxy', 'ai-proxy-advanced'])('under ai.%s: who, where, why, how many, how long', (root) => {
    const guard = {
      mode: 'BOTH',
      input_block_reason: 'contentPolicy: VIOLENCE',
      output_block_reason: '',
      input_block_source: 'ai-aws-guardrails',
      input_processing_latency: 134,
      output_processing_latency: 0,
      guards_triggered_count: 2,
    }
    expect(kongGuardrails({ [root]: { 'aws-guardrails': guard, meta: {}, usage: {} } })).toEqual([
      {
        guardrail: 'kong.ai-aws-guardrails',
        stage: 'input',
        action: 'blocked',
        reason: 'contentPolicy: VIOLENCE',
        count: 2,
        latencyMs: 134,
      },
    ])
  })

  it('of versions that name no source', () => {
    const events = kongGuardrails({ proxy: { 'gcp-model-armor': { output_block_reason: 'dangerous' } } })
    expect(events).toEqual([
      { guardrail: 'kong.ai-gcp-model-armor', stage: 'output', action: 'blocked', reason: 'dangerous' },
    ])
    expect(blocksAnswer(events)).toBe(true)
  })

  it('severities of Azure, as numbers and as text', () => {
    const audit = { azure_content_safety: { Hate: '2', Violence: 4, SelfHarm: '0', Sexual: 0 } }
    expect(kongGuardrails({ audit })).toEqual([
      {
        guardrail: 'kong.ai-azure-content-safety',
        stage: 'input',
        action: 'flagged',
        categories: { Hate: '2', Violence: '4' },
      },
    ])
  })

  it('that let both sides pass are no event', () => {
    const passed = { input_block_reason: '', output_block_reason: '', input_processing_latency: 5 }
    expect(kongGuardrails({ proxy: { 'lakera-guard': passed } })).toEqual([])
  })

  it('Lakera’s detectors are its categories', () => {
    const guard = {
      input_block_reason: 'moderated_content/hate',
      input_block_detail: [
        { detector_type: 'moderated_content/hate', detected: true },
        { detector_type: 'pii', detected: false },
      ],
    }
    expect(kongGuardrails({ proxy: { 'lakera-guard': guard } })[0]).toMatchObject({
      categories: { 'moderated_content/hate': 'detected' },
    })
  })

  it('Azure’s severities belong to the block, and stand alone where nothing was blocked', () => {
    const audit = { azure_content_safety: { Hate: 2, Violence: 0 } }
    const blocked = { 'azure-content-safety': { input_block_reason: 'breached category [Hate] at level 2' } }
    expect(kongGuardrails({ audit, proxy: blocked })).toEqual([
      expect.objectContaining({ action: 'blocked', categories: { Hate: '2' } }),
    ])
    expect(kongGuardrails({ audit })).toEqual([
      { guardrail: 'kong.ai-azure-content-safety', stage: 'input', action: 'flagged', categories: { Hate: '2' } },
    ])
    expect(kongGuardrails({ audit: { azure_content_safety: { Hate: 0 } } })).toEqual([])
  })

  it('of a sanitizer only how many', () => {
    const items = [{ entity_type: 'EMAIL', original: 'jane@example.com' }]
    const events = kongGuardrails({
      sanitizer: { pii_identified: 3, pii_sanitized: 2, duration: 65, sanitized_items: items },
    })
    expect(events).toEqual([
      { guardrail: 'kong.ai-sanitizer', stage: 'input', action: 'masked', count: 2, latencyMs: 65 },
    ])
    expect(kongGuardrails({ sanitizer: { pii_identified: 1, pii_sanitized: 0 } })).toMatchObject([
      { action: 'flagged', count: 1 },
    ])
    expect(kongGuardrails({ sanitizer: { pii_identified: 0, pii_sanitized: 0 } })).toEqual([])
  })

  it('a judge is no guard, and anything is taken', () => {
    expect(kongGuardrails({ 'ai-llm-as-judge': { meta: {}, usage: {} }, mcp: {} })).toEqual([])
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const ai of [value, { proxy: value }, { proxy: { g: value } }, { sanitizer: value }, { audit: value }])
          expect(Array.isArray(kongGuardrails(ai))).toBe(true)
      }),
    )
  })
})
