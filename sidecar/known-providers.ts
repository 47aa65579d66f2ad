import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Catalogue } from '../pricing/catalogue.ts'
import { PROVIDERS_OF_HOSTS } from './dialects/provider-of-host.ts'

let known: ReadonlySet<string> | undefined

/** Providers that a host names or that the catalogue has prices of. */
export function knownProviders(): ReadonlySet<string> {
  if (known === undefined) {
    const file = join(import.meta.dirname, '../pricing/catalogue.json')
    const { providers } = JSON.parse(readFileSync(file, 'utf8')) as Catalogue
    known = new Set([...PROVIDERS_OF_HOSTS, ...providers.map(({ id }) => id)])
  }
  return known
}
