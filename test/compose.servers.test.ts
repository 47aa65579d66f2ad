import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseEnv } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { binariesPresent, binary } from '../dev/servers/binary.ts'
import { readShippedAlertmanagerFile, secretsOf } from '../dev/servers/shipped-alertmanager.ts'
import { parseConfig } from '../sidecar/config.ts'

/** docker-compose.yml as Compose itself reads it, without Docker. */
const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const directory = mkdtempSync(join(tmpdir(), 'compose-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Service {
  image?: string
  build?: { context: string; dockerfile?: string; target?: string }
  command?: string[] | null
  environment?: Record<string, string | null>
  healthcheck?: { test: string[]; disable?: boolean }
  deploy?: { resources?: { limits?: { cpus?: number; memory?: string } } }
  restart?: string
  logging?: { driver: string; options: Record<string, string> }
  security_opt?: string[]
  privileged?: boolean
  pid?: string
  cap_add?: string[]
  ports?: { host_ip?: string; published: string; target: number }[]
  networks?: Record<string, { aliases?: string[] } | null>
  network_mode?: string
  volumes?: { type: string; source: string; target: string; read_only?: boolean; bind?: { propagation?: string } }[]
  secrets?: { source: string }[]
  depends_on?: Record<string, { condition: string }>
}
interface Project {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean } | null>
  volumes: Record<string, unknown>
  secrets: Record<string, { environment: string }>
}

const secrets = join(directory, '.env')
execFileSync(process.execPath, [join(root, 'dev/write-secrets.mjs'), secrets])
const environment = parseEnv(readFileSync(secrets, 'utf8')) as Record<string, string>

/** What `docker compose config` makes of it: schema, interpolation, `extends`, merges, references – Compose's own. */
function config(options: string[], variables: Record<string, string> = {}) {
  const args = [...options, 'config', '--format', 'json']
  return spawnSync(binary('docker-compose'), args, {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', HOME: directory, ...variables },
  })
}
const project = (options: string[], variables?: Record<string, string>) => {
  const { stdout, stderr, status } = config(options, variables)
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Project
}

const present = binariesPresent('docker-compose')
describe.skipIf(!present)('docker compose config', () => {
  const env = ['--env-file', secrets]
  const all: Project = present
    ? project([...env, '--profile', 'demo', '--profile', 'full'], { STACK: 'full' })
    : { services: {}, networks: {}, volumes: {}, secrets: {} }
  const { services } = all
  const each = Object.entries(services)
  const networksOf = (name: string): string[] => Object.keys(services[name]!.networks ?? {})
  /** Service by host name, where `from` can reach it. */
  const reached = (host: string, from: string) =>
    each.find(
      ([name, { networks }]) =>
        (name === host || Object.values(networks ?? {}).some((network) => network?.aliases?.includes(host))) &&
        networksOf(name).some((network) => networksOf(from).includes(network)),
    )?.[0]

  it('without secrets it does not start, and says what to do', () => {
    const { status, stderr } = config(['--env-file', '/dev/null'])
    expect(status).not.toBe(0)
    expect(stderr).toMatch(/is missing a value/)
    expect(stderr).toMatch(/npm run secrets|random text/)
  })

  const CORE = ['grafana', 'kong', 'plugin-server', 'prometheus', 'sidecar']
  const names = (options: string[], variables?: Record<string, string>) =>
    Object.keys(project(options, variables).services).sort()

  it('a new .env, and one of an earlier release: the core', () => {
    expect(names(env)).toEqual(CORE)
    const earlier = join(directory, 'earlier.env')
    writeFileSync(earlier, readFileSync(secrets, 'utf8').replace(/^(STACK|COMPOSE_PROFILES)=.*$/gm, ''))
    expect(names(['--env-file', earlier])).toEqual(CORE)
  })

  it('the core has 2 GiB, nothing that waits for a server that is not there, and the same Prometheus jobs', () => {
    const core = project(env)
    const bytes = Object.values(core.services).map(({ deploy }) => Number(deploy!.resources!.limits!.memory))
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(2 * 1024 ** 3)
    const file = (service: string, target: string) =>
      readFileSync(core.services[service]!.volumes!.find((volume) => volume.target === target)!.source, 'utf8')
    const { exporters } = parseConfig(file('sidecar', '/etc/llm-observer/observer.yaml'), 'observer.yaml', {
      OBSERVER_INTAKE_TOKEN: 'token',
    })
    expect(Object.values(exporters).filter((exporter) => exporter !== undefined)).toEqual([])
    interface Scraping {
      scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[]
      alerting?: object
    }
    const scraping = parse(file('prometheus', '/etc/prometheus/prometheus.yml')) as Scraping
    expect(scraping.alerting).toBeUndefined()
    const whole = parse(read('deploy/prometheus/prometheus.yml')) as Scraping
    expect(scraping.scrape_configs).toEqual(
      whole.scrape_configs.filter(({ static_configs }) =>
        static_configs[0]!.targets.every((target) => [...CORE, 'localhost'].includes(target.split(':')[0]!)),
      ),
    )
    expect(scraping.scrape_configs.length).toBe(4)
  })

  it('STACK=full: all of it', () => {
    expect(names(env, { STACK: 'full' })).toEqual(
      [
        ...CORE,
        ...['langfuse-web', 'langfuse-worker', 'postgres', 'clickhouse', 'redis', 'minio'],
        ...['alertmanager', 'redis-exporter', 'postgres-exporter', 'node-exporter'],
        ...['loki', 'tempo', 'otel-collector', 'alloy', 'docker-socket-proxy'],
        ...['tenant-gateway', 'prom-label-proxy'],
      ].sort(),
    )
  })

  it.each(['core', 'full'])('the mock provider and traffic only in the demo, of %s', (STACK) => {
    const demoEnv = [...env, '--env-file', join(root, 'deploy/demo.env')]
    const demo = project(demoEnv, { STACK })
    const plain = names(env, { STACK })
    expect(Object.keys(demo.services).filter((name) => !plain.includes(name))).toEqual([
      'demo-provider',
      'demo-traffic',
    ])
    const file = demo.services.kong!.volumes!.find(({ target }) => target === '/etc/kong/kong.yml')!
    expect(relative(root, file.source)).toBe('dev/demo-kong.yml')
    expect(demo.services.sidecar!.environment!.OBSERVER_INTAKE_TOKEN).toBe('demo-token-known-to-everybody')
  })

  it.each([
    ['deploy/kong/docker-compose.yml', ['deploy/kong/docker-compose.yml']],
    ['the managed way', ['deploy/kong/docker-compose.yml', 'deploy/kong/docker-compose.managed.yml']],
  ])('%s stands alone', (_name, files) => {
    const own = project([...env, ...files.flatMap((file) => ['-f', join(root, file)])])
    expect(Object.keys(own.services)).toEqual(expect.arrayContaining(['kong', 'sidecar']))
    const published = Object.values(own.services).flatMap(({ ports = [] }) =>
      ports.map(({ host_ip, published }) => `${host_ip}:${published}`),
    )
    expect(published.sort()).toEqual(['127.0.0.1:8000', '127.0.0.1:8086'])
  })

  it('no container is in another’s network: one that restarts cuts off nobody', () => {
    for (const [name, { network_mode }] of each) expect(network_mode, name).toBeUndefined()
    expect(each.filter(([name]) => networksOf(name).includes('plugin')).map(([name]) => name)).toEqual([
      'plugin-server',
    ])
  })

  it('Kong, plugin server and sidecar meet in one volume, at the paths that their configuration names', () => {
    const shared = '/var/run/llm-observer'
    for (const name of ['kong', 'plugin-server', 'sidecar'])
      expect(services[name]!.volumes).toContainEqual(
        expect.objectContaining({ type: 'volume', source: 'sockets', target: shared }),
      )
    const { SIDECAR_URL, KONG_PLUGINSERVER_JS_SOCKET } = services.kong!.environment!
    for (const file of ['deploy/observer.yaml', 'deploy/kong/observer.yaml'])
      expect(
        `unix:${parseConfig(read(file), file, { OBSERVER_INTAKE_TOKEN: 't', LANGFUSE_SECRET_KEY: 's' }).listen.socket}`,
      ).toBe(SIDECAR_URL)
    expect(KONG_PLUGINSERVER_JS_SOCKET).toBe(`${shared}/js.sock`)
    expect(read('deploy/kong/Dockerfile')).toContain(`-p ${shared} --sock-name js.sock`)
  })

  it('Kong’s workers are as many as its limits allow, not as the machine has cores', () => {
    expect(services.kong!.environment!.KONG_NGINX_WORKER_PROCESSES).toBe('2')
    expect(project(env).services.kong!.environment!.KONG_NGINX_WORKER_PROCESSES).toBe('1')
  })

  it('no mount wants a shared / (Docker Desktop, WSL2)', () => {
    for (const [name, { volumes = [] }] of each)
      for (const { bind } of volumes) expect(bind?.propagation, name).toBeUndefined()
  })

  it('images come from where their makers publish them', () => {
    const elsewhere = each.flatMap(([, { image = '', build }]) =>
      build === undefined && /^[^/]+\.[^/]+\//.test(image) ? [image.split(':')[0]] : [],
    )
    expect(elsewhere).toEqual(['quay.io/prometheuscommunity/prom-label-proxy'])
    expect(services.clickhouse!.image).toMatch(/:26\.[1-7]\./)
    expect(services['langfuse-web']!.image!.split(':')[1]).toBe(services['langfuse-worker']!.image!.split(':')[1])
  })

  it('Langfuse drops nothing while ClickHouse is away, and its bucket deletes what is old', () => {
    for (const name of ['langfuse-web', 'langfuse-worker']) {
      const of = services[name]!.environment!
      expect(Number(of.LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS)).toBeGreaterThanOrEqual(1000)
      expect(of.LANGFUSE_S3_MEDIA_UPLOAD_ENDPOINT).toBe('http://localhost:9090')
      for (const use of ['EVENT_UPLOAD', 'MEDIA_UPLOAD', 'BATCH_EXPORT'])
        expect(read('deploy/minio/start.sh')).toContain(`"Prefix":"${of[`LANGFUSE_S3_${use}_PREFIX`]}"`)
    }
  })

  it('links lead to where the consoles are', () => {
    expect(services.prometheus!.command).toContain('--web.external-url=http://localhost:9090')
    expect(services.alertmanager!.command).toContain('--web.external-url=http://localhost:9093')
    const own = project(env, { STACK: 'full', GRAFANA_URL: 'https://g.example', PROMETHEUS_URL: 'https://p.example/x' })
    expect(own.services.grafana!.environment!.GF_SERVER_ROOT_URL).toBe('https://g.example')
    expect(own.services.prometheus!.command).toEqual(
      expect.arrayContaining(['--web.external-url=https://p.example/x', '--web.route-prefix=/']),
    )
  })

  it.each(each)('%s: pinned, checked, limited, restarted, its log bounded', (_name, service) => {
    if (service.build === undefined)
      expect(service.image).toMatch(/:(?:v?\d+\.\d+\.\d+|RELEASE\.\d{4})[\w.-]*$|^postgres:\d+\.\d+-/)
    else {
      const dockerfile = join(service.build.context, service.build.dockerfile ?? 'Dockerfile')
      const text = readFileSync(dockerfile, 'utf8')
      if (service.build.target !== undefined)
        expect(text).toMatch(new RegExp(`^FROM \\S+ AS ${service.build.target}$`, 'm'))
      const stages = [...text.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, stage]) => stage)
      for (const [, from] of text.matchAll(/^FROM (\S+)/gm))
        if (!stages.includes(from)) expect(from).toMatch(/:v?\d+[\w.-]*$/)
    }
    expect(service.healthcheck?.test.length).toBeGreaterThan(1)
    expect(service.healthcheck?.disable).toBeUndefined()
    expect(service.deploy?.resources?.limits).toMatchObject({ cpus: expect.any(Number), memory: expect.any(String) })
    expect(service.restart).toBe('unless-stopped')
    expect(service.logging?.options).toMatchObject({ 'max-size': '10m', labels: 'com.docker.compose.service' })
    expect(service.security_opt).toContain('no-new-privileges:true')
    expect([service.privileged, service.pid, service.cap_add]).toEqual([undefined, undefined, undefined])
  })

  it('only Kong’s proxy, Grafana, Langfuse and its media are published, on loopback', () => {
    const published = each.flatMap(([name, { ports = [] }]) =>
      ports.map(({ host_ip, published, target }) => `${name} ${host_ip}:${published} ${target}`),
    )
    expect(published.sort()).toEqual([
      'grafana 127.0.0.1:3001 3000',
      'kong 127.0.0.1:8000 8000',
      'langfuse-web 127.0.0.1:3000 3000',
      'minio 127.0.0.1:9090 9000',
    ])
  })

  it('who may speak to the outside: Kong, what is published, Langfuse’s worker, Alertmanager', () => {
    const outward = each.filter(
      ([, { network_mode, networks }]) =>
        network_mode === undefined && Object.keys(networks ?? {}).some((name) => all.networks[name]?.internal !== true),
    )
    const demo = ['demo-provider', 'demo-traffic']
    const outside = ['alertmanager', 'grafana', 'kong', 'langfuse-web', 'langfuse-worker', 'minio']
    expect(outward.map(([name]) => name).sort()).toEqual([...outside, ...demo].sort())
    // Who is on a network with Loki or Tempo reads every tenant: they ask nobody who they are.
    expect(each.flatMap(([name]) => (networksOf(name).includes('telemetry') && name === 'kong' ? [name] : []))).toEqual(
      [],
    )
  })

  it('Docker’s socket is one service’s, which only lets containers be read', () => {
    const holders = each.filter(([, { volumes = [] }]) => volumes.some(({ source }) => source.endsWith('docker.sock')))
    expect(holders.map(([name]) => name)).toEqual(['docker-socket-proxy'])
    const rules = read('deploy/docker-socket-proxy/haproxy.cfg')
    expect(rules).toContain('http-request deny unless METH_GET')
    expect(rules.match(/http-request (allow|deny).*/g)!.at(-1)).toBe('http-request deny')
    expect(networksOf('docker-socket-proxy')).toEqual(['docker-socket'])
  })

  it('what is mounted is there, and cannot be written', () => {
    let mounted = 0
    for (const [name, { volumes = [] }] of each)
      for (const { type, source, read_only } of volumes) {
        if (type === 'volume') {
          expect(all.volumes).toHaveProperty(source)
          continue
        }
        expect(read_only, `${name}: ${source}`).toBe(true)
        if (!source.startsWith(root)) continue
        mounted++
        expect(existsSync(source), `${name}: ${source}`).toBe(true)
      }
    expect(mounted).toBeGreaterThan(12)
  })

  it('every address of every configuration is a service that can be reached from there', () => {
    const known = each.flatMap(([name, { networks }]) => [
      name,
      ...Object.values(networks ?? {}).flatMap((network) => network?.aliases ?? []),
    ])
    const address = new RegExp(`(?<![\\w.-])(${known.join('|')}):(\\d{2,5})\\b`, 'g')
    const configurations: [from: string, text: string][] = [
      ['prometheus', read('deploy/prometheus/prometheus.yml')],
      ['sidecar', read('deploy/observer.yaml')],
      ['loki', read('deploy/loki/loki.yaml')],
      ['otel-collector', read('deploy/otel-collector/config.yaml')],
      ['alloy', read('deploy/alloy/config.alloy')],
      ['grafana', read('deploy/grafana/provisioning/datasources/datasources.yaml')],
      ['tenant-gateway', read('deploy/tenant-gateway/Caddyfile')],
      ...each.map(([name, { command, environment }]): [string, string] => [
        name,
        JSON.stringify([command, environment]),
      ]),
    ]
    const links = new Set<string>()
    for (const [from, text] of configurations)
      for (const [, host] of text.matchAll(address)) {
        if (host === from) continue
        expect(reached(host!, from), `${from} → ${host}`).toBeDefined()
        links.add(`${from} ${host}`)
      }
    expect(links.size).toBeGreaterThan(20)
  })

  it('every scrape target is a service, with the labels that the boards choose by', () => {
    const { scrape_configs } = parse(read('deploy/prometheus/prometheus.yml')) as {
      scrape_configs: {
        job_name: string
        static_configs: { targets: string[]; labels: Record<string, string> }[]
      }[]
    }
    for (const { static_configs } of scrape_configs)
      for (const { targets, labels } of static_configs) {
        expect(Object.keys(labels).sort()).toEqual(['environment', 'region'])
        for (const target of targets) {
          const host = target.split(':')[0]!
          if (host !== 'localhost') expect(reached(host, 'prometheus'), target).toBeDefined()
        }
      }
    expect(scrape_configs.map(({ job_name }) => job_name).sort()).toEqual(
      [
        'llm-observer',
        'kong',
        'prometheus',
        'alertmanager',
        'loki',
        'tempo',
        'grafana',
        'otel-collector',
        'alloy',
        'redis',
        'postgres',
        'clickhouse',
        'node',
      ].sort(),
    )
  })

  it('retention: metrics 90 days, logs 30, traces 7', () => {
    expect(services.prometheus!.command).toContain('--storage.tsdb.retention.time=90d')
    const loki = parse(read('deploy/loki/loki.yaml')) as {
      limits_config: { retention_period: string }
      compactor: { retention_enabled: boolean }
    }
    expect(loki.limits_config.retention_period).toBe(`${30 * 24}h`)
    expect(loki.compactor.retention_enabled).toBe(true)
    const tempo = read('deploy/tempo/tempo.yaml')
    expect([...tempo.matchAll(/block_retention: (\S+)/g)].map(([, time]) => time)).toEqual([`${7 * 24}h`, `${7 * 24}h`])
  })

  it('Alertmanager has the files that its configuration reads, and no other', () => {
    const given = services.alertmanager!.secrets!.map(({ source }) => source)
    expect(given.sort()).toEqual(secretsOf(readShippedAlertmanagerFile()))
    for (const name of given) expect(environment).toHaveProperty(all.secrets[name]!.environment)
  })

  it('the sidecar’s configuration is valid, and its Langfuse key is the one that Langfuse makes', () => {
    const { environment: of } = services.sidecar!
    const { exporters } = parseConfig(read('deploy/observer.yaml'), 'observer.yaml', of as Record<string, string>)
    const langfuse = services['langfuse-web']!.environment!
    expect(exporters.langfuse!.publicKey).toBe(langfuse.LANGFUSE_INIT_PROJECT_PUBLIC_KEY)
    expect(of!.LANGFUSE_SECRET_KEY).toBe(langfuse.LANGFUSE_INIT_PROJECT_SECRET_KEY)
    expect(exporters.otlp!.sampling.ratio).toBe(1)
    expect(services.grafana!.environment!.LANGFUSE_TRACES).toBe(
      `${langfuse.NEXTAUTH_URL}/project/${langfuse.LANGFUSE_INIT_PROJECT_ID}/traces`,
    )
  })

  it('Kong’s access log is JSON whatever a client sends, and has no query', () => {
    const { KONG_NGINX_HTTP_LOG_FORMAT: format, KONG_PROXY_ACCESS_LOG: log } = services.kong!.environment!
    const [, name, line] = /^(\w+) escape=json '(.*)'$/.exec(format!.replaceAll('$$', '$'))!
    expect(log).toBe(`/dev/stdout ${name}`)
    expect(() => JSON.parse(line!.replaceAll(/\$[a-z_0-9]+/g, '1'))).not.toThrow()
    expect(line).not.toMatch(/\$(request_uri|args|request|http_\w+|query_string|is_args)\b/)
  })
})

describe.skipIf(!binariesPresent('promtool'))('promtool', () => {
  it.each(['prometheus.yml', 'prometheus.core.yml'])('takes %s', (file) => {
    const { status, stdout, stderr } = spawnSync(
      binary('promtool'),
      ['check', 'config', '--syntax-only', join(root, 'deploy/prometheus', file)],
      { encoding: 'utf8' },
    )
    expect(`${stdout}${stderr}`).toContain('SUCCESS')
    expect(status).toBe(0)
  })
})
