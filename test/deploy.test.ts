import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { readConfig } from '../plugin/config.ts'
import { parseConfig } from '../sidecar/config.ts'

/** What is shipped for Kong, checked as far as it goes without a Kong and without Docker. */
const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const yaml = (path: string) => parse(read(path), { merge: true, customTags: [override] })
const override = { tag: '!override', collection: 'seq' as const, resolve: (value: unknown) => value }

interface Plugin {
  name: string
  config: Record<string, unknown>
}
interface Kong {
  services: { name: string; url: string; routes: { name: string; paths: string[]; plugins: Plugin[] }[] }[]
  consumers: { username: string; tags: string[]; keyauth_credentials: { key: string }[] }[]
}

const text = z.string().min(1)
const header = { header_name: text, header_value: text.startsWith('{vault://env/') }
const auth = z.union([
  z.strictObject(header),
  z.strictObject({
    aws_access_key_id: text.startsWith('{vault://env/'),
    aws_secret_access_key: text.startsWith('{vault://env/'),
  }),
])
/** Of the plugins' schemas in open-source Kong 3.9 (kong/plugins, kong/llm/schemas) the fields that kong.yml uses. */
const SCHEMAS: Record<string, z.ZodType> = {
  'key-auth': z.strictObject({ key_names: z.array(text), hide_credentials: z.boolean() }),
  'rate-limiting': z.strictObject({
    minute: z.number().int().positive(),
    limit_by: z.enum(['consumer', 'credential', 'ip', 'service', 'header', 'path', 'consumer-group']),
    policy: z.enum(['local', 'cluster', 'redis']),
  }),
  'pre-function': z.strictObject({
    access: z.array(text),
    header_filter: z.array(text),
    body_filter: z.array(text),
    log: z.array(text),
  }),
  'ai-prompt-guard': z.strictObject({
    allow_all_conversation_history: z.boolean(),
    deny_patterns: z.array(text.max(500)).min(1).max(10),
    max_request_body_size: z.number().int().positive(),
  }),
  'ai-proxy': z
    .strictObject({
      route_type: z.enum(['llm/v1/chat', 'llm/v1/completions', 'preserve']),
      max_request_body_size: z.number().int().positive(),
      auth,
      logging: z.strictObject({ log_statistics: z.literal(true), log_payloads: z.literal(false) }),
      model: z.strictObject({
        provider: z.enum(['openai', 'azure', 'anthropic', 'cohere', 'mistral', 'llama2', 'gemini', 'bedrock']),
        name: text,
        options: z
          .strictObject({
            max_tokens: z.number().int(),
            anthropic_version: text,
            azure_instance: text,
            azure_deployment_id: text,
            azure_api_version: text,
            upstream_url: z.url(),
            bedrock: z.strictObject({ aws_region: text }),
          })
          .partial()
          .optional(),
      }),
    })
    // Kong's entity checks.
    .refine(({ model }) => model.provider !== 'anthropic' || model.options?.anthropic_version !== undefined)
    .refine(({ model }) => model.provider !== 'azure' || model.options?.azure_instance !== undefined),
}

it.each(['kong.yml', 'dev/demo-kong.yml'])('%s: Kong tells of itself what boards and alerts ask for', (file) => {
  const { plugins = [] } = yaml(file) as { plugins?: { name: string; config: unknown }[] }
  expect(plugins).toEqual([
    {
      name: 'prometheus',
      config: {
        status_code_metrics: true,
        latency_metrics: true,
        bandwidth_metrics: true,
        upstream_health_metrics: true,
      },
    },
  ])
})

describe('kong.yml', () => {
  const kong = yaml('kong.yml') as Kong
  const routes = kong.services.flatMap(({ routes }) => routes)
  const of = (plugins: Plugin[], name: string) => plugins.find((plugin) => plugin.name === name)

  it.each(routes.map((route) => [route.name, route] as const))(
    'route %s: tapped, observed, known to Kong 3.9',
    (_name, route) => {
      const names = route.plugins.map(({ name }) => name)
      expect(names).toEqual(expect.arrayContaining(['key-auth', 'rate-limiting', 'pre-function', 'llm-observer']))
      expect(new Set(names).size).toBe(names.length)
      for (const { name, config } of route.plugins)
        if (name === 'llm-observer') expect(() => readConfig(config)).not.toThrow()
        else expect(SCHEMAS[name]?.safeParse(config).error?.issues, name).toBeUndefined()
      expect(of(route.plugins, 'llm-observer')!.config).toMatchObject({ source: 'tap', content: 'off' })
    },
  )

  it('has one tap, the same everywhere', () => {
    expect(new Set(routes.map(({ plugins }) => JSON.stringify(of(plugins, 'pre-function')!.config))).size).toBe(1)
  })

  it('goes to each provider plainly, and by ai-proxy', () => {
    const providers = ['openai', 'anthropic', 'gemini', 'azure', 'bedrock', 'vllm']
    expect(routes.map(({ name }) => name)).toEqual([...providers, ...providers.map((name) => `ai-${name}`)])
    expect(routes.flatMap(({ plugins }) => of(plugins, 'ai-proxy') ?? [])).toHaveLength(6)
  })

  it('has cache and token limit of Kong Enterprise, and the route that refuses WebSockets, ready to be uncommented', () => {
    const lines = read('kong.yml')
      .split('\n')
      .filter((line) => /^# {3}\S|^# {5}/.test(line))
    const from = lines.findIndex((line) => line.includes('- name: ai-semantic-cache'))
    const plugins = parse(
      lines
        .slice(from)
        .map((line) => line.slice(1))
        .join('\n'),
    ) as Plugin[]
    expect(plugins.map(({ name }) => name)).toEqual([
      'ai-semantic-cache',
      'ai-rate-limiting-advanced',
      'openai-responses-upgrade',
    ])
    expect(plugins[2]).toMatchObject({
      headers: { upgrade: ['websocket'] },
      plugins: [{ name: 'request-termination', config: { status_code: 426 } }],
    })
    expect(plugins[0]!.config).toMatchObject({
      embeddings: { model: { provider: 'openai' } },
      vectordb: { strategy: 'redis' },
    })
  })

  it('holds no secret: references, and keys that say that they are to be replaced', () => {
    for (const { keyauth_credentials, tags } of kong.consumers) {
      expect(tags.some((tag) => tag.startsWith('tenant:'))).toBe(true)
      for (const { key } of keyauth_credentials) expect(key).toMatch(/^replace-this-key/)
    }
    expect(read('kong.yml')).not.toMatch(/\bsk-[A-Za-z0-9-]{8}|AKIA[0-9A-Z]{16}/)
  })

  it('names each secret that it refers to in its head and in the composition', () => {
    const referred = [...read('kong.yml').matchAll(/\{vault:\/\/env\/([a-z-]+)\}/g)].map(([, name]) =>
      name!.toUpperCase().replaceAll('-', '_'),
    )
    const head = read('kong.yml').split('_format_version')[0]!
    const compose = read('deploy/kong/docker-compose.yml')
    expect(referred.length).toBeGreaterThan(6)
    for (const name of referred) {
      expect(head).toContain(name)
      expect(compose).toContain(`${name}:`)
    }
  })
})

describe.each(['docker-compose.yml', 'docker-compose.managed.yml'])('deploy/kong/%s', (name) => {
  const folder = join(root, 'deploy/kong')
  const { services } = yaml(`deploy/kong/${name}`) as {
    services: Record<string, { volumes?: string[]; build?: { context: string; dockerfile: string; target: string } }>
  }

  it('mounts and builds what is there', () => {
    for (const { volumes = [], build } of Object.values(services)) {
      for (const volume of volumes) {
        const [from] = volume.split(':')
        if (from!.startsWith('.')) expect(existsSync(join(folder, from!)), from).toBe(true)
      }
      if (build === undefined) continue
      const dockerfile = join(folder, build.context, build.dockerfile)
      expect(readFileSync(dockerfile, 'utf8')).toMatch(new RegExp(`^FROM \\S+ AS ${build.target}$`, 'm'))
    }
  })
})

describe('deploy/kong', () => {
  it('its observer.yaml is valid', () => {
    const config = parseConfig(read('deploy/kong/observer.yaml'), 'observer.yaml', { OBSERVER_INTAKE_TOKEN: 't' })
    expect(config.listen).toMatchObject({ host: '0.0.0.0', port: 8086 })
  })

  it('the Dockerfile starts what the package holds', () => {
    const assets = read('dev/copy-assets.mjs')
    for (const [, path] of read('deploy/kong/Dockerfile').matchAll(/kong-llm-observer\/dist\/(plugin\/\S+?)[" ]/g))
      expect(assets.includes(path!) || existsSync(join(root, path!)), path).toBe(true)
    expect(dirname('plugin/load/llm-observer.cjs')).toBe('plugin/load')
  })
})
