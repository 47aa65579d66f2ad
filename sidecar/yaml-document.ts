import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'

export type YamlDocument = ReturnType<typeof parseDocument>

/** Line of an offset, counted from 1. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** The document, or what is wrong with its syntax: `file:line: message`. */
export function parseYaml(text: string, fileName: string): YamlDocument | { problems: string[] } {
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true })
  if (document.errors.length === 0) return document
  return {
    problems: document.errors.map(
      (error) => `${fileName}:${lineOf(text, error.pos[0])}: ${error.message.split('\n')[0]}`,
    ),
  }
}

/** The text of a file, or why it cannot be read. */
export function readText(file: string): string | { problem: string } {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    return { problem: `${file}: cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
}

/** What a schema found, at the line where it stands; an unknown key stands where it is written. */
export interface Issue {
  path: readonly PropertyKey[]
  message: string
  code?: string
  keys?: readonly string[]
}

export function placeOf(document: YamlDocument, text: string, issue: Issue): { path: string; line: number } {
  const keys = issue.code === 'unrecognized_keys' ? (issue.keys ?? []).slice(0, 1) : []
  const path = [...issue.path.map(String), ...keys]
  return { path: path.join('.'), line: lineOf(text, offsetOf(document, path)) }
}

/** Offset of the nearest thing in the file that the path names. */
function offsetOf(document: YamlDocument, path: readonly string[]): number {
  for (let length = path.length; length > 0; length--) {
    const steps = path.slice(0, length).map((step) => (/^\d+$/.test(step) ? Number(step) : step))
    const node: unknown = document.getIn(steps, true)
    const range = (node as { range?: [number, number, number] } | undefined)?.range
    if (range) return range[0]
  }
  return 0
}
