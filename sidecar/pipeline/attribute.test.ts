import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kongLogSchema } from '../capture.ts'
import { makeCapture } from '../testing/make-capture.ts'
import { attribute, attributionConfigSchema } from './attribute.ts'

const config = attributionConfigSchema.parse({ trustedRoutes: ['trusted'] })
const { log } = makeCapture()
const withHeaders = (headers: Record<string, string>) => ({ ...log.request, headers })

describe('the tenant', () => {
  const consumer = { id: 'c1', username: 'alice', custom_id: 'blue-id', tags: ['team:x', 'tenant:blue'] }
  const route = { id: 'r1', name: 'trusted', tags: ['tenant:of-route'] }
  const service = { id: 's1', name: 's', tags: ['tenant:of-service'] }
  const request = withHeaders({ 'x-tenant-id': 'of-header' })

  it('comes from the first rule that says something', () => {
    const found = (parts: object) => {
      const { tenant, tenantSource } = attribute({ ...log, route, service, request, ...parts }, undefined, config)
      return [tenant, tenantSource]
    }
    expect(found({ consumer })).toEqual(['blue', 'consumer_tag'])
    expect(found({ consumer: { ...consumer, tags: ['tenant:'] } })).toEqual(['blue-id', 'consumer_custom_id'])
    expect(found({ consumer: { username: 'alice', custom_id: '' } })).toEqual(['alice', 'consumer_username'])
    expect(found({ consumer: null })).toEqual(['of-route', 'route_tag'])
    expect(found({ consumer: null, route: { name: 'trusted' } })).toEqual(['of-service', 'service_tag'])
    const bare = { consumer: null, service: null }
    expect(found({ ...bare, route: { name: 'trusted' } })).toEqual(['of-header', 'trusted_header'])
    expect(found({ ...bare, route: { name: 'another' } })).toEqual(['unattributed', 'unattributed'])
    expect(found({ ...bare, route: null })).toEqual(['unattributed', 'unattributed'])
  })

  it('is never what a client says on a route that is not trusted', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, claim) => {
        const spoofed = withHeaders({
          'x-tenant-id': claim,
          'x-consumer-username': claim,
          'x-consumer-custom-id': claim,
        })
        const parts = { ...log, consumer: null, service: null, route: { name: `not-${name}` }, request: spoofed }
        return attribute(parts, { tenant: claim, metadata: { tenant: claim } }, config).tenant === 'unattributed'
      }),
    )
  })

  it('has at most 64 characters of a label', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 200, unit: 'binary' }), (name) => {
        const { tenant } = attribute({ ...log, consumer: { tags: [`tenant:${name}`] } }, undefined, config)
        return /^[A-Za-z0-9._-]{1,64}$/.test(tenant)
      }),
    )
    expect(attribute({ ...log, consumer: { tags: ['tenant:Größe 1/2'] } }, undefined, config).tenant).toBe('Gr__e_1_2')
  })
})

describe('labels', () => {
  it('team, app and environment come from the nearest tag', () => {
    const found = attribute(
      {
        ...log,
        consumer: { username: 'alice', tags: ['team:consumer'] },
        route: { name: 'r', tags: ['team:route', 'app:route'] },
        service: { name: 's', tags: ['team:service', 'app:service', 'env:service'] },
      },
      undefined,
      config,
    )
    expect(found).toMatchObject({ consumer: 'alice', team: 'consumer', app: 'route', environment: 'service' })
  })

  it('user and session come from headers, else from the body', () => {
    const body = { user: 'u', safety_identifier: 's', metadata: { user_id: 'm', session_id: 'session' } }
    const request = withHeaders({ 'x-user-id': 'h', 'x-session-id': 'hs' })
    expect(attribute({ ...log, request }, body, config)).toMatchObject({ user: 'h', session: 'hs' })
    expect(attribute(log, body, config)).toMatchObject({ user: 'u', session: 'session' })
    expect(attribute(log, { metadata: { user_id: 'm' } }, config)).toMatchObject({ user: 'm' })
    expect(attribute(log, { safety_identifier: 's' }, config)).toMatchObject({ user: 's' })
  })

  it('a hashed user is the same user, and nobody reads who', () => {
    const hashing = attributionConfigSchema.parse({ hashUsers: true })
    const one = attribute(log, { user: 'bob@example.com' }, hashing).user
    expect(one).toMatch(/^[0-9a-f]{32}$/)
    expect(attribute(log, { user: 'bob@example.com' }, hashing).user).toBe(one)
    expect(attribute(log, { user: 'eve@example.com' }, hashing).user).not.toBe(one)
  })

  it('any body and any log are taken', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('user', 'metadata', 'safety_identifier'), fc.jsonValue()), (body) => {
        const { user, session } = attribute(kongLogSchema.parse(log), body, config)
        for (const label of [user, session]) expect(['string', 'undefined']).toContain(typeof label)
      }),
    )
  })
})

it('a setting that does not exist is refused', () => {
  expect(attributionConfigSchema.safeParse({ tenantheader: 'x' }).success).toBe(false)
})
