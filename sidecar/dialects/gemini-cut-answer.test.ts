import { describe, expect, it } from 'vitest'
import { makeExchange } from '../testing/make-exchange.ts'
import type { Exchange } from './dialect.ts'
import { read } from './index.ts'

const gemini = { host: 'generativelanguage.googleapis.com', path: '/v1beta/models/gemini-2.5-flash:generateContent' }
const streaming = { ...gemini, path: gemini.path.replace(':generate', ':streamGenerate') }
const request = { contents: [{ parts: [{ text: 'Look' }] }] }
const running = (candidatesTokenCount: number) => ({
  promptTokenCount: 100,
  candidatesTokenCount,
  totalTokenCount: 100 + candidatesTokenCount,
})
const usage = {
  ...running(9),
  thoughtsTokenCount: 5,
  totalTokenCount: 114,
  promptTokensDetails: [{ modality: 'TEXT', tokenCount: 100 }],
}
const counts = { input: 100, output: 14, reasoning: 5, total: 114 }
const candidate = (parts: object[], finishReason?: string, more: object = {}) => ({
  content: { role: 'model', parts },
  ...(finishReason === undefined ? {} : { finishReason }),
  index: 0,
  ...more,
})
const answer = {
  candidates: [candidate([{ text: `A cat é${'!'.repeat(99)}` }], 'STOP')],
  usageMetadata: usage,
  modelVersion: 'gemini-2.5-flash-001',
  responseId: 'r1',
}
const chunks = [
  { candidates: [candidate([{ text: 'A ' }])], usageMetadata: running(1), responseId: 'r1' },
  { candidates: [candidate([{ text: 'cat ' }])], usageMetadata: running(3), responseId: 'r1' },
  { ...answer, candidates: [candidate([{ text: 'é' }], 'STOP')] },
]
const asEvents = (items: readonly unknown[]) => items.map((item) => `data: ${JSON.stringify(item)}\r\n\r\n`).join('')
const asList = (items: readonly unknown[]) => `[${items.map((item) => JSON.stringify(item, null, 2)).join('\n,\r\n')}]`

describe('an answer that was cut', () => {
  const bodies: [string, string, Partial<Exchange>][] = [
    ['an object', JSON.stringify(answer), gemini],
    ['a pretty object', JSON.stringify(answer, null, 2), gemini],
    ['a list', asList(chunks), streaming],
    ['events', asEvents(chunks), streaming],
  ]
  const stages = [{}, { input: 100, output: 1, total: 101 }, { input: 100, output: 3, total: 103 }, counts]
  const stageOf = (found: object) => stages.findIndex((stage) => JSON.stringify(stage) === JSON.stringify(found))
  const read_ = (place: Partial<Exchange>, responseBody: Buffer, more: Partial<Exchange>) =>
    read(makeExchange(request, undefined, { ...place, responseHeaders: {}, responseBody, ...more }))

  it.each(bodies)('%s claims no more than the bytes hold', (_, text, place) => {
    const bytes = Buffer.from(text)
    for (const responseComplete of [true, false]) {
      let stage = 0
      for (let cut = 0; cut <= bytes.length; cut++) {
        const reading = read_(place, bytes.subarray(0, cut), { responseComplete })
        const found = stageOf(reading.counts)
        expect(found, `${cut}: ${JSON.stringify(reading.counts)}`).toBeGreaterThanOrEqual(stage)
        stage = found
        if (reading.usageSource === 'provider') expect(reading.counts).toEqual(counts)
      }
      expect(stage).toBe(stages.length - 1)
    }
  })

  it.each(bodies)('%s without its middle is final only where its end is whole', (_, text, place) => {
    const bytes = Buffer.from(text)
    for (let from = Math.floor(bytes.length / 3); from < bytes.length; from += 3)
      for (let to = bytes.length; to > bytes.length - 400 && to > from; to -= 7) {
        const reading = read_(place, bytes.subarray(0, Math.floor(from / 2)), {
          responseTail: bytes.subarray(from, to),
        })
        expect(stageOf(reading.counts), JSON.stringify(reading.counts)).toBeGreaterThanOrEqual(0)
        if (reading.usageSource === 'provider') expect(reading.counts).toEqual(counts)
      }
  })

  it.each(bodies)('%s without its middle is whole by its end', (_, text, place) => {
    const bytes = Buffer.from(text)
    // Of a stream whole events are kept, of anything else the last members are enough.
    const events = text.startsWith('data')
    const end = bytes.lastIndexOf(events ? 'data: ' : '"usageMetadata"') - (events ? 40 : 120)
    const reading = read_(place, bytes.subarray(0, 60), { responseTail: bytes.subarray(end) })
    expect(reading).toMatchObject({ counts, usageSource: 'provider', finishReasons: ['STOP'], responseId: 'r1' })
    expect(reading.content?.truncated).toBe(true)
  })

  it('searches and the model stand in the end as well', () => {
    const groundingMetadata = { webSearchQueries: ['a', 'b'] }
    const text = JSON.stringify({
      candidates: [candidate([{ text: 'x'.repeat(500) }], 'SAFETY', { groundingMetadata })],
      modelVersion: 'gemini-3-pro-preview',
      usageMetadata: running(9),
    })
    for (const body of [text, `[${text}]`]) {
      const bytes = Buffer.from(body)
      const reading = read_(gemini, bytes.subarray(0, 100), { responseTail: bytes.subarray(400) })
      expect(reading).toMatchObject({
        responseModel: 'gemini-3-pro-preview',
        finishReasons: ['SAFETY'],
        counts: { input: 100, output: 9, webSearches: 2 },
        guardrails: [{ reason: 'SAFETY' }],
        usageSource: 'provider',
      })
    }
  })

  it('an end that is not whole gives the count so far', () => {
    const bytes = Buffer.from(asList(chunks))
    const to = bytes.lastIndexOf('"usageMetadata"') + 40
    const reading = read_(streaming, bytes.subarray(0, 60), { responseTail: bytes.subarray(80, to) })
    expect(reading).toMatchObject({ counts: { input: 100, output: 3 }, usageSource: 'partial' })
  })

  it('text that shows an answer is not one', () => {
    const shown = JSON.stringify({ candidates: [], usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1 } })
    const body = Buffer.from(JSON.stringify([{ candidates: [candidate([{ text: `${shown}]`.repeat(20) }], 'STOP')] }]))
    const reading = read_(streaming, body.subarray(0, 50), { responseTail: body.subarray(300) })
    expect(reading.counts).toEqual({})
  })
})
