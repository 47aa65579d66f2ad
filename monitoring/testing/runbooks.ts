import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const RUNBOOK_FOLDER = join(import.meta.dirname, '../../docs/runbooks')

/** The page of each alert, by its name. */
export const RUNBOOKS = readdirSync(RUNBOOK_FOLDER)
  .filter((name) => name !== 'README.md')
  .map((name) => ({ name: name.replace(/\.md$/, ''), text: readFileSync(join(RUNBOOK_FOLDER, name), 'utf8') }))

/** The fenced blocks of one language, trimmed. */
export const blocksIn = (text: string, language: string): string[] =>
  [...text.matchAll(/```(\w+)\n(.*?)```/gs)].filter(([, of]) => of === language).map(([, , query]) => query!.trim())
