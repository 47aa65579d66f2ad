import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Of the package: its package.json lies one folder up in the checkout, two in the packed build. */
export const version: string =
  ['..', '../..']
    .map((up) => join(import.meta.dirname, up, 'package.json'))
    .filter(existsSync)
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string })
    .find(({ name }) => name === 'kong-llm-observer')?.version ?? '0.0.0'
