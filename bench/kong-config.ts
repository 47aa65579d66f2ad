import { stringify } from 'yaml'
import { tapAsPlugins } from '../plugin/tap-text.ts'

/** kong.yml of bench/kong.sh: the same upstream behind each way of observing. `node kong-config.ts PROVIDER SINK COLLECTOR`, ports. */
const [provider, sink, collector] = process.argv.slice(2)
const settings = { url: `http://127.0.0.1:${sink}`, token: '' }
const tap = tapAsPlugins('plugin', settings)
const WAYS: Record<string, object[]> = {
  none: [],
  tap: [...tap],
  'ship-tap': [...tapAsPlugins('tap', settings)],
  'http-log': [
    { name: 'http-log', config: { http_endpoint: `http://127.0.0.1:${sink}/log`, queue: { max_batch_size: 50 } } },
  ],
  opentelemetry: [{ name: 'opentelemetry', config: { traces_endpoint: `http://127.0.0.1:${collector}/v1/traces` } }],
  observed: [
    ...tap,
    { name: 'llm-observer', config: { source: 'tap', sidecar_url: `http://127.0.0.1:${sink}`, content: 'off' } },
  ],
}
// Kong reads YAML 1.1, in which an unquoted off is false.
process.stdout.write(
  stringify(
    {
      _format_version: '3.0',
      services: [
        {
          name: 'provider',
          url: `http://127.0.0.1:${provider}`,
          routes: Object.entries(WAYS).map(([name, plugins]) => ({ name, paths: [`/${name}`], plugins })),
        },
      ],
    },
    { version: '1.1' },
  ),
)
