import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { configSchema, sizeText } from '../sidecar/config.ts'
import { ENVIRONMENT_SETTINGS } from '../sidecar/config-environment.ts'
import { DELIVERY, RELOADABLE } from '../sidecar/config-reload.ts'

const page = readFileSync(join(import.meta.dirname, '../docs/configuration.md'), 'utf8')
const section = (heading: string) => page.split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!
const rowsOf = (text: string) =>
  [...text.matchAll(/^\| `([^`]+)` \| (.*?) \|(?: (.*?) \|)?/gm)].map(([, name, second, third]) => [
    name!,
    second!,
    third,
  ])

/** Paths of the schema; a map, a list or a union is one setting. */
function settingsOf(schema: z.core.$ZodType, path: string[] = []): string[] {
  let inner = schema
  while ('unwrap' in inner && !(inner instanceof z.ZodArray)) inner = (inner as z.ZodOptional).unwrap()
  const ceilings = path.join('.') === 'budgets.default'
  if (!(inner instanceof z.ZodObject) || ceilings) return [path.join('.')]
  return Object.entries(inner.shape).flatMap(([name, member]) => settingsOf(member as z.core.$ZodType, [...path, name]))
}

const defaults = configSchema.parse({
  exporters: {
    otlp: { endpoint: 'http://x' },
    langfuse: { url: 'http://x', publicKey: 'a', secretKey: 'b' },
    loki: { url: 'http://x' },
  },
})
const REQUIRED = ['otlp.endpoint', 'langfuse.url', 'langfuse.publicKey', 'langfuse.secretKey', 'loki.url']

function defaultText(path: string): string[] {
  if (REQUIRED.some((required) => path === `exporters.${required}`)) return ['–']
  const value = path
    .split('.')
    .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], defaults)
  if (value === undefined) return ['–']
  if (Array.isArray(value) && value.length > 0) return ['see the example']
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return [`\`${text}\``, ...(typeof value === 'number' ? [`\`${sizeText(value)}\``] : [])]
}

describe('docs/configuration.md', () => {
  const rows = rowsOf(section('Settings'))

  it('has every setting, in the order of the schema', () => {
    expect(rows.map(([path]) => path)).toEqual(settingsOf(configSchema))
  })

  it.each(rows)('%s: default and reload are true', (path, written, reload) => {
    expect(defaultText(path!)).toContain(written)
    const reloadable =
      !DELIVERY.test(path!) && RELOADABLE.some((section) => path === section || path!.startsWith(`${section}.`))
    expect(reload).toBe(reloadable ? 'yes' : 'no')
  })

  it('has every variable', () => {
    const [config, ...variables] = rowsOf(section('Environment variables'))
    expect(config![0]).toBe('OBSERVER_CONFIG')
    expect(variables.map(([name, path]) => [name, path])).toEqual(
      Object.entries(ENVIRONMENT_SETTINGS).map(([name, { path }]) => [name, `\`${path.join('.')}\``]),
    )
  })
})
