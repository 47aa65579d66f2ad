import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { DOCS, PAGES } from './build-docs.ts'

it.each(Object.entries(PAGES))('docs/%s is what the tables say', (name, page) => {
  expect(readFileSync(join(DOCS, name), 'utf8')).toBe(page())
})
