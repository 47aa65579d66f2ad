import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { metricsPage } from './build-docs.ts'

it('docs/metrics.md is what the METRICS table says', () => {
  expect(readFileSync(join(import.meta.dirname, '../docs/metrics.md'), 'utf8')).toBe(metricsPage())
})
