import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeCapture } from '../testing/make-capture.ts'
import { attribute, attributionConfigSchema } from './attribute.ts'
import { readBaggage, traceBaggage } from './baggage.ts'

const plain = (text: string) => (text === '' ? undefined : text.slice(0, 200))

/** As @langfuse/core 5 writes it: `propagateAttributes({ …, asBaggage: true })`. */
const SENT =
  'langfuse_user_id=app-user,langfuse_session_id=s%201,langfuse_version=3,langfuse_trace_name=check%20out,' +
  'langfuse_tags=beta%2Ceu,langfuse_metadata_k=v,langfuse_prompt_name=greeting,langfuse_prompt_version=1'

describe('baggage', () => {
  it('members, decoded, without their properties; of one name the last', () => {
    expect([...readBaggage('a=1;ttl=5 , b = %C3%A4 ,c,=x,d=%ZZ,a=2,e=')]).toEqual([
      ['a', '2'],
      ['b', 'ä'],
    ])
  })

  it('what Langfuse’s SDK says of its trace', () => {
    expect(traceBaggage(readBaggage(SENT), plain)).toEqual({
      version: '3',
      traceName: 'check out',
      tags: ['beta', 'eu'],
      metadata: { k: 'v' },
      prompt: { name: 'greeting', version: 1 },
    })
  })

  it('none of Langfuse’s is none; a user alone is an application that traces', () => {
    expect(traceBaggage(readBaggage('tenant=x'), plain)).toBeUndefined()
    expect(traceBaggage(readBaggage('langfuse_user_id=u'), plain)).toEqual({})
  })

  it.each(['0', '-1', '1.5', 'latest', ''])('a prompt’s version that is none is left out: %s', (version) => {
    const sent = readBaggage(`langfuse_prompt_name=p,langfuse_prompt_version=${version}`)
    expect(traceBaggage(sent, plain)).toEqual({ prompt: { name: 'p' } })
  })

  it('any header: bounded, never an error', () => {
    const member = fc.tuple(
      fc.constantFrom('langfuse_tags', 'langfuse_metadata_x', 'langfuse_version'),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 20_000 }),
          fc
            .array(member, { maxLength: 300 })
            .map((members) => members.map(([name, value], n) => `${name}${n % 40}=${value}`).join(',')),
        ),
        (header) => {
          const baggage = traceBaggage(readBaggage(header), plain)
          expect(baggage?.tags?.length ?? 0).toBeLessThanOrEqual(16)
          expect(Object.keys(baggage?.metadata ?? {}).length).toBeLessThanOrEqual(16)
          for (const value of Object.values(baggage?.metadata ?? {})) expect(value.length).toBeLessThanOrEqual(200)
        },
      ),
    )
  })

  it('what is encoded comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 }), (text) => {
        expect(readBaggage(`langfuse_version=${encodeURIComponent(text)}`).get('langfuse_version')).toBe(text)
      }),
    )
  })
})

describe('whose baggage is believed', () => {
  const of = (route: string, headers: Record<string, string>) => {
    const { log } = makeCapture()
    const capture = { log: { ...log, route: { name: route }, request: { ...log.request, headers } } }
    return attribute(capture, undefined, attributionConfigSchema.parse({ trustedRoutes: ['trusted'] }))
  }

  it('a trusted route’s: user, session and trace', () => {
    expect(of('trusted', { baggage: SENT })).toMatchObject({
      user: 'app-user',
      session: 's 1',
      baggage: { traceName: 'check out', prompt: { name: 'greeting' } },
    })
  })

  it('no other’s', () => {
    const who = of('open', { baggage: SENT })
    expect([who.user, who.session, who.baggage]).toEqual([undefined, undefined, undefined])
  })

  it('a header that names the user comes first', () => {
    expect(of('trusted', { baggage: SENT, 'x-user-id': 'u2' }).user).toBe('u2')
  })

  it('a credential in it is masked', () => {
    const key = `sk-ant-api03-${'a'.repeat(80)}`
    expect(
      JSON.stringify(of('trusted', { baggage: `langfuse_metadata_k=${key},langfuse_trace_name=${key}` })),
    ).not.toContain(key)
  })
})
