#!/usr/bin/env node
// Starts the sidecar on Node >= 24: this one, or the one that came along as an optional dependency.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onNode24 } from './on-node-24.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const built = join(root, 'dist', 'sidecar', 'main.js')
const source = join(root, 'sidecar', 'main.ts')
// In the checkout the source is the truth; under node_modules there is only the build.
const main = existsSync(source) ? source : built

await onNode24(main, () => import(main))
