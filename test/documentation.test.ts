import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]

/** A heading's anchor, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

describe.each(pages)('%s', (page) => {
  it('links to what is there', () => {
    const links = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?![a-z]+:)([^)#]*)#?([^)]*)\)/g)]
    const broken = links.filter(([, path, anchor]) => {
      const target = path === '' ? join(root, page) : join(root, dirname(page), path!)
      if (!existsSync(target)) return true
      if (anchor === '') return false
      const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.*)$/gm)]
      return !headings.some(([, heading]) => anchorOf(heading!) === anchor)
    })
    expect(broken.map(([link]) => link)).toEqual([])
  })
})
