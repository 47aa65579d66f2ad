import { readFileSync } from 'node:fs'
import { isAlias, parseDocument, visit } from 'yaml'

export type YamlDocument = ReturnType<typeof parseDocument>

/** A file of settings: its text, where each thing stands in it, and its value in JavaScript's own types. */
export interface YamlFile {
  name: string
  text: string
  document: YamlDocument
  value: unknown
}

/** Larger ones are no settings of anybody. */
const MAX_BYTES = 16 * 1024 * 1024
/** One fault of the syntax makes many. */
const MAX_PROBLEMS = 20

/** The document and its value, or all that is wrong with its syntax: `file:line:column: message`. Never throws. */
export function readYaml(text: string, fileName: string): YamlFile | { problems: string[] } {
  if (text.length > MAX_BYTES) return { problems: [`${fileName}: is larger than ${MAX_BYTES / 1024 ** 2} MiB`] }
  let document: YamlDocument
  try {
    document = parseDocument(text, { prettyErrors: true, uniqueKeys: true })
  } catch {
    // The parser recurses: a file that nests some thousand levels deep takes all of the stack.
    return { problems: [`${fileName}:1:1: nests too deep to be read`] }
  }
  if (document.errors.length > 0) {
    const deep = document.errors.find(({ message }) => message.startsWith('Maximum call stack'))
    const said = (deep === undefined ? document.errors : [deep]).map(
      (error) => `${fileName}:${placeText(text, error.pos[0])}: ${syntaxMessage(error.message)}`,
    )
    return { problems: [...new Set(said)].slice(0, MAX_PROBLEMS) }
  }
  try {
    return { name: fileName, text, document, value: document.toJS() ?? {} }
  } catch (error) {
    return { problems: [`${fileName}:${placeText(text, offsetOfAlias(document))}: ${valueMessage(error as Error)}`] }
  }
}

/** The parser's own place is left out: ours stands before the message. */
function syntaxMessage(message: string): string {
  const [first = ''] = message.split('\n')
  if (first.startsWith('Maximum call stack')) return 'nests too deep to be read'
  if (first.includes('multiple documents')) return 'a second document begins with ---: keep one document in the file'
  return first.replace(/ at line \d+, column \d+:?$/, '').replace(/:$/, '')
}

function valueMessage(error: Error): string {
  if (error.message.startsWith('Excessive alias count'))
    return 'too many aliases (*name) that stand for aliases: write the values themselves'
  if (error.message.startsWith('Unresolved alias')) return 'an alias (*name) without its anchor (&name) before it'
  return error instanceof RangeError ? 'nests too deep to be read' : error.message
}

function offsetOfAlias(document: YamlDocument): number {
  let offset = 0
  try {
    visit(document, {
      Alias(_key, node) {
        if (isAlias(node)) offset = node.range?.[0] ?? 0
        return visit.BREAK
      },
    })
  } catch {
    return 0
  }
  return offset
}

/** The text of a file, or why it cannot be read. */
export function readText(file: string): string | { problem: string } {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    return { problem: `${file}: cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
}

/** What a schema found, at the place where it stands; an unknown key stands where it is written. */
export interface Issue {
  path: readonly PropertyKey[]
  message: string
  code?: string | undefined
  keys?: readonly string[]
  /** Of a union: what each of its members found. */
  errors?: readonly (readonly Issue[])[]
}

/** A fault of one field, with its place in the file. */
export interface Fault {
  path: string
  /** `line:column`, counted from 1. */
  place: string
  message: string
}

/**
 * Each issue by its field and place; several unknown keys are several faults. `written`: where the file has a field under a
 * former name, by the field's path joined by dots.
 */
export function faultsOf(
  file: YamlFile,
  issues: readonly Issue[],
  written: ReadonlyMap<string, readonly string[]> = new Map(),
): Fault[] {
  return issues.flatMap(pointedOf).map(({ path, message }) => {
    const steps = path.map(String)
    const place = placeText(file.text, offsetOf(file.document, written.get(steps.join('.')) ?? steps))
    return { path: steps.join('.') || '(root)', place, message }
  })
}

/** `file:line:column: field: message` of each issue. */
export function problemsOf(file: YamlFile, issues: readonly Issue[]): string[] {
  return faultsOf(file, issues).map(({ path, place, message }) => `${file.name}:${place}: ${path}: ${message}`)
}

function pointedOf(issue: Issue): { path: readonly PropertyKey[]; message: string }[] {
  if (issue.code === 'unrecognized_keys')
    return (issue.keys ?? []).map((key) => ({ path: [...issue.path, key], message: issue.message }))
  // Of a union that says nothing itself: the member that took the kind of the value knows what is wrong with it.
  const inner = issue.errors?.find(
    (errors) => !errors.some(({ code, path }) => code === 'invalid_type' && path.length === 0),
  )
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input' && inner !== undefined)
    return inner.flatMap((member) => pointedOf({ ...member, path: [...issue.path, ...member.path] }))
  return [{ path: issue.path, message: issue.message }]
}

/** `line:column` of an offset. */
function placeText(text: string, offset: number): string {
  const before = text.slice(0, offset)
  const start = before.lastIndexOf('\n') + 1
  return `${before.split('\n').length}:${offset - start + 1}`
}

/** Offset of the nearest thing in the file that the path names. */
function offsetOf(document: YamlDocument, path: readonly string[]): number {
  for (let length = path.length; length > 0; length--) {
    const steps = path.slice(0, length).map((step) => (/^\d+$/.test(step) ? Number(step) : step))
    const node: unknown = document.getIn(steps, true) ?? document.getIn(path.slice(0, length), true)
    const range = (node as { range?: [number, number, number] } | undefined)?.range
    if (range) return range[0]
  }
  return 0
}
