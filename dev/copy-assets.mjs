// Part of `npm run build`: what tsc does not emit but the package needs.
import { cpSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const ASSETS = [
  'plugin/load/llm-observer.cjs',
  'plugin/without-ts-node.cjs',
  'plugin/tap',
  'pricing/catalogue.json',
  'pricing/catalogue-second.json',
  'pricing/overrides.yaml',
]
for (const file of ASSETS)
  cpSync(join(root, file), join(root, 'dist', file), { recursive: true, filter: (from) => !from.endsWith('.ts') })
