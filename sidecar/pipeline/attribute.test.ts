import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Capture, kongLogSchema } from '../capture.ts'
import { makeCapture } from '../testing/make-capture.ts'
import { attribute, attributionConfigSchema, personMode } from './attribute.ts'

const config = attributionConfigSchema.parse({ trustedRoutes: ['trusted'] })
const { log } = makeCapture()
const withHeaders = (headers: Record<string, string>) => ({ ...log.request, headers })
const jwt = (claims: unknown) => Buffer.from(JSON.stringify(claims)).toString('base64url')
/** By rules of one's own, of a call as it is but for `parts`. */
function found(
  settings: object,
  parts: Partial<Capture['log']> = {},
  more: { body?: Record<string, unknown>; jwt_payload?: string } = {},
) {
  const capture = { log: { ...log, ...parts }, jwt_payload: more.jwt_payload }
  return attribute(capture, more.body, attributionConfigSchema.parse({ trustedRoutes: ['trusted'], ...settings }))
}
const bare = { consumer: null, service: null, route: { name: 'any' } }

describe('the tenant', () => {
  const consumer = { id: 'c1', username: 'alice', custom_id: 'blue-id', tags: ['team:x', 'tenant:blue'] }
  const route = { id: 'r1', name: 'trusted', tags: ['tenant:of-route'] }
  const service = { id: 's1', name: 's', tags: ['tenant:of-service'] }
  const request = { ...withHeaders({ 'x-tenant-id': 'of-header' }), uri: '/llm/v1/tenants/of-path/chat' }

  it('comes from the first rule that says something', () => {
    const by = (parts: object) => {
      const { tenant, tenantSource } = found({}, { route, service, request, ...parts })
      return [tenant, tenantSource]
    }
    expect(by({ consumer })).toEqual(['blue', 'consumer_tag'])
    expect(by({ consumer: { ...consumer, tags: ['tenant:'] } })).toEqual(['blue-id', 'consumer_custom_id'])
    expect(by({ consumer: { username: 'alice', custom_id: '' } })).toEqual(['alice', 'consumer_username'])
    expect(by({ consumer: null })).toEqual(['of-route', 'route_tag'])
    expect(by({ consumer: null, route: { name: 'trusted' } })).toEqual(['of-service', 'service_tag'])
    const nobody = { consumer: null, service: null }
    expect(by({ ...nobody, route: { name: 'trusted' } })).toEqual(['of-path', 'path'])
    const header = withHeaders({ 'x-tenant-id': 'of-header' })
    expect(by({ ...nobody, route: { name: 'trusted' }, request: header })).toEqual(['of-header', 'trusted_header'])
    expect(by({ ...nobody, route: { name: 'another' } })).toEqual(['unattributed', 'unattributed'])
    expect(by({ ...nobody, route: null })).toEqual(['unattributed', 'unattributed'])
  })

  it.each<[string, unknown, Partial<Capture['log']>, string]>([
    ['another tag', { by: 'consumer_tag', name: 'team' }, { consumer }, 'x'],
    ['the authenticated entity', 'authenticated_entity', { ...bare, authenticated_entity: { id: 'key-1' } }, 'key-1'],
    [
      'the authenticated entity, mapped',
      { by: 'authenticated_entity', map: { 'key-1': 'blue' } },
      { ...bare, authenticated_entity: { id: 'key-1' } },
      'blue',
    ],
    ['the workspace', 'workspace', { ...bare, workspace_name: 'retail' }, 'retail'],
    [
      'another header',
      { by: 'trusted_header', name: 'X-Org' },
      { ...bare, route: { name: 'trusted' }, request: withHeaders({ 'x-org': 'red' }) },
      'red',
    ],
  ])('by %s', (_what, rule, parts, tenant) => {
    expect(found({ rules: [rule] }, parts).tenant).toBe(tenant)
  })

  it('a value that the map does not know finds nobody, and the next rule is tried', () => {
    const rules = [{ by: 'consumer_username', map: { bob: 'red' } }, 'consumer_custom_id']
    expect(found({ rules }, { consumer })).toMatchObject({ tenant: 'blue-id', tenantSource: 'consumer_custom_id' })
    expect(
      found({ rules: [{ by: 'consumer_username', map: { bob: 'red' } }] }, { consumer: { username: 'constructor' } }),
    ).toMatchObject({ tenant: 'unattributed' })
  })

  it.each([
    ['a claim', { org: 'acme' }, 'org', 'acme'],
    ['a claim in a claim', { org: { id: 'acme' } }, 'org.id', 'acme'],
    ['a claim with dots in its name', { 'https://x.example/org': 'acme' }, 'https://x.example/org', 'acme'],
    ['the first of a list', { orgs: ['acme', 'b'] }, 'orgs', 'acme'],
    ['a number', { org: 17 }, 'org', '17'],
    ['an object', { org: { id: 'acme' } }, 'org', 'unattributed'],
    ['what is not its own', {}, 'constructor.name', 'unattributed'],
  ])('by a verified token: %s', (_what, claims, name, tenant) => {
    const rules = [{ by: 'jwt_claim', name }]
    expect(found({ rules }, bare, { jwt_payload: jwt(claims) }).tenant).toBe(tenant)
  })

  it('of a token that is none: nobody', () => {
    const rules = [{ by: 'jwt_claim', name: 'org' }]
    for (const jwt_payload of ['', '!!', Buffer.from('{"org":').toString('base64url'), jwt(null), jwt([{ org: 'a' }])])
      expect(found({ rules }, bare, { jwt_payload }).tenant).toBe('unattributed')
  })

  it('is a key of at most 64 characters, and the name stands beside it where it is another', () => {
    const by = (name: string) => found({}, { consumer: { tags: [`tenant:${name}`] } })
    expect(by('blue')).toMatchObject({ tenant: 'blue' })
    expect(by('blue')).not.toHaveProperty('tenantName')
    expect(by('Größe 1/2')).toMatchObject({ tenant: 'Gr!C3!B6!C3!9Fe!201!2F2', tenantName: 'Größe 1/2' })
    expect(by('unattributed').tenant).not.toBe('unattributed')
  })

  it('of a map is what the operator wrote: a name, or a key', () => {
    const by = (written: string) =>
      found({ rules: [{ by: 'workspace', map: { retail: written } }] }, { ...bare, workspace_name: 'retail' }).tenant
    expect(by('acme/eu')).toBe('acme!2Feu')
    expect(by('acme!2Feu')).toBe('acme!2Feu')
  })

  it.each<[string, string[], Partial<Capture['log']>, boolean]>([
    ['a route id', ['r1'], { workspace_name: 'retail' }, true],
    ['workspace and name', ['retail/chat'], { workspace_name: 'retail' }, true],
    ['workspace id and name', ['ws-1/chat'], { workspace: 'ws-1', workspace_name: 'retail' }, true],
    ['a name, of the default workspace', ['chat'], { workspace: 'ws-0', workspace_name: 'default' }, true],
    ['a name, of a gateway without workspaces', ['chat'], { workspace: null, workspace_name: null }, true],
    ['a name that another workspace uses too', ['chat'], { workspace: 'ws-1', workspace_name: 'retail' }, false],
    ['the name in another workspace', ['sales/chat'], { workspace_name: 'retail' }, false],
    ['a workspace whose name is not told', ['chat'], { workspace: 'ws-1', workspace_name: null }, false],
  ])('trusts a route by %s', (_what, trustedRoutes, parts, trusted) => {
    const route = { id: 'r1', name: 'chat' }
    expect(found({ trustedRoutes }, { ...bare, route, ...parts }).trusted).toBe(trusted)
  })
})

describe('what a client says of itself', () => {
  it('moves nothing on a route that is not trusted: any header, path, body', () => {
    const consumer = fc.constantFrom<Capture['log']['consumer']>(null, { username: 'alice', tags: ['tenant:blue'] })
    fc.assert(
      fc.property(consumer, fc.string(), fc.string(), fc.webPath(), (who, route, claim, path) => {
        const parts = { consumer: who, service: null, route: { name: `not-${route}` } }
        const request = {
          ...withHeaders({
            'x-tenant-id': claim,
            'x-consumer-username': claim,
            'x-consumer-custom-id': claim,
            'x-authenticated-userid': claim,
            authorization: `Bearer ${jwt({ alg: 'none' })}.${jwt({ tenant: claim })}.`,
            traceparent: claim,
          }),
          uri: `${path}/v1/tenants/${encodeURIComponent(claim.toWellFormed())}/chat`,
        }
        const body = { tenant: claim, user: claim, metadata: { tenant: claim, user_id: claim } }
        const rules = ['consumer_tag', { by: 'jwt_claim', name: 'tenant' }, 'path', 'trusted_header']
        const honest = found({ rules }, parts)
        const forged = found({ rules }, { ...parts, request }, { body })
        expect([forged.tenant, forged.tenantSource]).toEqual([honest.tenant, honest.tenantSource])
        expect(honest.tenant).toBe(who === null ? 'unattributed' : 'blue')
      }),
    )
  })

  it('and was not believed is kept beside it; what agrees is no claim', () => {
    const consumer = { tags: ['tenant:blue'] }
    const saying = (name: string) => withHeaders({ 'x-tenant-id': name })
    expect(found({}, { consumer, request: saying('red') })).toMatchObject({ tenant: 'blue', claimedTenant: 'red' })
    expect(found({}, { consumer, request: saying('blue') })).not.toHaveProperty('claimedTenant')
    const path = { ...log.request, uri: '/v1/tenants/red/chat/completions' }
    expect(found({}, { consumer, request: path })).toMatchObject({ tenant: 'blue', claimedTenant: 'red' })
    expect(found({}, { ...bare, request: path })).toMatchObject({ tenant: 'unattributed', claimedTenant: 'red' })
    expect(found({}, { ...bare, route: { name: 'trusted' }, request: path })).toEqual(
      expect.not.objectContaining({ claimedTenant: expect.anything() }),
    )
  })
})

describe('labels', () => {
  it('team, app and environment come from the nearest tag', () => {
    const labels = found(
      {},
      {
        consumer: { username: 'alice', tags: ['team:consumer'] },
        route: { name: 'r', tags: ['team:route', 'app:route'] },
        service: { name: 's', tags: ['team:service', 'app:service', 'env:service'] },
      },
    )
    expect(labels).toMatchObject({ consumer: 'alice', team: 'consumer', app: 'route', environment: 'service' })
  })

  it('user and session come from headers, else from the body', () => {
    const body = { user: 'u', safety_identifier: 's', metadata: { user_id: 'm', session_id: 'session' } }
    const request = withHeaders({ 'x-user-id': 'h', 'x-session-id': 'hs' })
    expect(found({}, { request }, { body })).toMatchObject({ user: 'h', session: 'hs' })
    expect(found({}, {}, { body })).toMatchObject({ user: 'u', session: 'session' })
    expect(found({}, {}, { body: { metadata: { user_id: 'm' } } })).toMatchObject({ user: 'm' })
    expect(found({}, {}, { body: { safety_identifier: 's' } })).toMatchObject({ user: 's' })
    expect(found({}, {}, { body: { conversation: 'conv_1' } })).toMatchObject({ session: 'conv_1' })
    expect(found({}, {}, { body: { conversation: { id: 'conv_2' } } })).toMatchObject({ session: 'conv_2' })
  })

  it('by rules of one’s own: a claim, the consumer, a mapped tag', () => {
    const settings = {
      user: [{ by: 'jwt_claim', name: 'sub' }, 'consumer_custom_id'],
      team: [{ by: 'tag', name: 'cost-centre', map: { '4711': 'search' } }],
    }
    const parts = { consumer: { custom_id: 'x-9', tags: ['cost-centre:4711'] } }
    expect(found(settings, parts, { jwt_payload: jwt({ sub: 'ann' }) })).toMatchObject({ user: 'ann', team: 'search' })
    expect(found(settings, parts)).toMatchObject({ user: 'x-9' })
  })

  it('the old setting for hashed users is read', () => {
    expect(personMode(attributionConfigSchema.parse({ hashUsers: true }))).toBe('all')
    expect(personMode(attributionConfigSchema.parse({ hashUsers: false, users: 'plain' }))).toBe('plain')
    expect(personMode(attributionConfigSchema.parse({}))).toBe('pseudonym')
  })

  it('any body and any log are taken', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('user', 'metadata', 'safety_identifier'), fc.jsonValue()), (body) => {
        const { user, session } = attribute({ log: kongLogSchema.parse(log) }, body, config)
        for (const label of [user, session]) expect(['string', 'undefined']).toContain(typeof label)
      }),
    )
  })
})

describe('settings', () => {
  it.each([
    [{ tenantheader: 'x' }, /tenantheader/],
    [{ rules: ['consumer'] }, /write one of consumer_tag, consumer_custom_id/],
    [{ rules: ['jwt_claim'] }, /jwt_claim needs a name/],
    [{ rules: [{ by: 'workspace', name: 'x' }] }, /workspace takes no name/],
    [{ user: ['path'] }, /write one of tag, jwt_claim/],
    [{ team: ['tag'] }, /tag needs a name/],
  ])('%j is refused, and says why', (settings, message) => {
    const { error } = attributionConfigSchema.safeParse(settings)
    expect(error?.message).toMatch(message)
  })
})
