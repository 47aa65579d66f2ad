import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SCHEMA } from '../../plugin/config.ts'
import { parseKongConfig } from './kong-config.ts'

const kongYml = readFileSync(join(import.meta.dirname, '../demo-kong.yml'), 'utf8')

describe('the project’s kong.yml', () => {
  const { routes, consumers } = parseKongConfig(kongYml)

  it('has the routes of the demo, all with key-auth and llm-observer, all but one with the tap', () => {
    expect(routes.map(({ name, paths }) => [name, ...paths])).toEqual([
      ['openai', '/openai'],
      ['trusted', '/trusted'],
      ['plain', '/plain'],
      ['anthropic', '/anthropic'],
      ['cached', '/cached'],
    ])
    for (const { name, keyAuth, preFunction, external } of routes) {
      expect(keyAuth).toEqual({ keyNames: ['apikey'], hideCredentials: true })
      expect(preFunction === undefined).toBe(name === 'plain')
      expect(external.map((plugin) => [plugin.name, plugin.config.source])).toEqual([
        ['llm-observer', name === 'plain' ? 'log' : 'tap'],
      ])
    }
  })

  it('configures the plugin by fields that it has', () => {
    const fields = new Set(SCHEMA.flatMap((field) => Object.keys(field)))
    const own = ['__key__', '__seq__', '__plugin_id', '__ws_id', 'route_id']
    for (const { external } of routes)
      for (const name of Object.keys(external[0]!.config)) expect(own.includes(name) || fields.has(name)).toBe(true)
  })

  it('has a consumer for each of four tenants and one without, with keys that are plainly for the demo', () => {
    expect([...consumers].map(([key, { consumer }]) => [key, consumer.username, ...consumer.tags])).toEqual([
      ['alice-demo-key', 'alice', 'tenant:blue'],
      ['bob-demo-key', 'bob', 'tenant:red'],
      ['carol-demo-key', 'carol', 'tenant:green'],
      ['dave-demo-key', 'dave', 'tenant:gold'],
      ['erin-demo-key', 'erin'],
    ])
  })

  it('gives the same ids at each reading', () => {
    const again = parseKongConfig(kongYml)
    expect(again.routes.map(({ id }) => id)).toEqual(routes.map(({ id }) => id))
    expect(new Set(routes.map(({ id }) => id)).size).toBe(routes.length)
  })
})

const withPlugins = (plugins: { global?: object[]; service?: object[]; route?: object[] }) =>
  JSON.stringify({
    _format_version: '3.0',
    plugins: plugins.global,
    services: [
      {
        name: 's',
        url: 'https://api.example.com/v1/',
        plugins: plugins.service,
        routes: [{ name: 'r', paths: ['/r'], plugins: plugins.route }],
      },
    ],
  })

describe('of several configurations of a plugin', () => {
  const probe = (n: number) => ({ name: 'probe', config: { n } })
  it.each([
    ['the route’s wins', { global: [probe(1)], service: [probe(2)], route: [probe(3)] }, 3],
    ['then the service’s', { global: [probe(1)], service: [probe(2)] }, 2],
    ['then the global one', { global: [probe(1)] }, 1],
  ])('%s', (_name, plugins, n) => {
    const [route] = parseKongConfig(withPlugins(plugins)).routes
    expect(route!.external).toHaveLength(1)
    expect(route!.external[0]!.config.n).toBe(n)
  })

  it('what is switched off does not count, and what is merged over wins', () => {
    const plugins = { service: [probe(2)], route: [{ ...probe(3), enabled: false }] }
    const [route] = parseKongConfig(withPlugins(plugins), { pluginConfig: { probe: { m: 1, n: 9 } } }).routes
    expect(route!.external[0]!.config).toMatchObject({ m: 1, n: 9 })
  })
})

describe('a service', () => {
  it('is taken from its url', () => {
    const [route] = parseKongConfig(withPlugins({})).routes
    expect(route!.service).toMatchObject({
      protocol: 'https',
      host: 'api.example.com',
      port: 443,
      path: '/v1',
      retries: 5,
    })
  })
})

describe('what it does not understand is refused by name', () => {
  const base = { _format_version: '3.0' }
  const route = (fields: object) => ({
    ...base,
    services: [{ name: 's', url: 'http://h', routes: [{ name: 'r', paths: ['/r'], ...fields }] }],
  })
  it.each<[object, RegExp]>([
    [{ ...base, _format_version: '2.1' }, /_format_version/],
    [{ ...base, upstreams: [] }, /upstreams is not supported/],
    [route({ hosts: ['a'] }), /services\[0\]\.routes\[0\]\.hosts is not supported/],
    [route({ paths: ['~/r$'] }), /routes\[0\]\.paths/],
    [route({ plugins: [{ name: 'key-auth', config: { anonymous: 'x' } }] }), /plugins\[0\]\.config\.anonymous/],
    [route({ plugins: [{ name: 'pre-function', config: { rewrite: ['x'] } }] }), /config\.rewrite/],
    [{ ...base, consumers: [{ username: 'a', acls: [] }] }, /consumers\[0\]\.acls/],
    [
      {
        ...base,
        consumers: ['a', 'b'].map((username) => ({ username, keyauth_credentials: [{ key: 'same' }] })),
      },
      /consumers\[1\]\.keyauth_credentials\[0\]\.key/,
    ],
    [{ ...base, services: [{ name: 's', url: 'ftp://h' }] }, /services\[0\]\.url/],
  ])('%j', (config, error) => expect(() => parseKongConfig(JSON.stringify(config))).toThrow(error))
})
