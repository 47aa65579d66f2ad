import type { TraceBaggage } from '../call.ts'

/** W3C allows 8,192 bytes and 180 members; what is beyond is not read. */
const MAX_BYTES = 8192
const MAX_MEMBERS = 180
const MAX_LIST = 16
const MAX_KEY = 64
const PREFIX = 'langfuse_'
const METADATA = 'langfuse_metadata_'

/**
 * Members of a `baggage` header by name, decoded; properties behind `;` are left out, of a name that comes twice the last
 * counts. What cannot be decoded is not there.
 */
export function readBaggage(header: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>()
  for (const member of header.slice(0, MAX_BYTES).split(',').slice(0, MAX_MEMBERS)) {
    const [pair = ''] = member.split(';', 1)
    const at = pair.indexOf('=')
    if (at < 1) continue
    const value = decoded(pair.slice(at + 1).trim())
    if (value !== undefined && value !== '') members.set(pair.slice(0, at).trim(), value)
  }
  return members
}

/**
 * What Langfuse's SDK says of its trace (`propagateAttributes({ asBaggage: true })`); undefined where it says nothing.
 * User and session are attribution's. `clean` bounds and masks a text.
 */
export function traceBaggage(
  members: ReadonlyMap<string, string>,
  clean: (text: string) => string | undefined,
): TraceBaggage | undefined {
  const names = [...members.keys()].filter((name) => name.startsWith(PREFIX))
  if (names.length === 0) return undefined
  const text = (name: string) => clean(members.get(PREFIX + name) ?? '')
  const baggage: TraceBaggage = {}
  const version = text('version')
  if (version !== undefined) baggage.version = version
  const traceName = text('trace_name')
  if (traceName !== undefined) baggage.traceName = traceName
  const tags = (members.get('langfuse_tags') ?? '').split(',').flatMap((tag) => clean(tag.trim()) ?? [])
  if (tags.length > 0) baggage.tags = [...new Set(tags)].slice(0, MAX_LIST)
  const metadata: Record<string, string> = {}
  for (const name of names.filter((each) => each.startsWith(METADATA)).slice(0, MAX_LIST)) {
    const key = clean(name.slice(METADATA.length, METADATA.length + MAX_KEY))
    const value = clean(members.get(name)!)
    if (key !== undefined && key !== '__proto__' && value !== undefined) metadata[key] = value
  }
  if (Object.keys(metadata).length > 0) baggage.metadata = metadata
  const promptName = text('prompt_name')
  const promptVersion = Number(members.get('langfuse_prompt_version'))
  if (promptName !== undefined)
    baggage.prompt = {
      name: promptName,
      ...(Number.isSafeInteger(promptVersion) && promptVersion > 0 && { version: promptVersion }),
    }
  return baggage
}

function decoded(value: string): string | undefined {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}
