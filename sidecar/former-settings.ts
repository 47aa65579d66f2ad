/** Settings of `observer.yaml` that have another name now. The former one is read, with a warning; the present one goes before it. */
const FORMER_SETTINGS: readonly { former: readonly [string, string]; present: readonly string[] }[] = [
  { former: ['listen', 'token'], present: ['listen', 'tokens', 'intake'] },
  { former: ['spool', 'limit'], present: ['store', 'logLimit'] },
]

export interface RenamedSettings {
  warnings: string[]
  /** Path of a present setting, joined by dots → the former path, where the file has it. */
  written: ReadonlyMap<string, readonly string[]>
}

/** Moves what stands under a former name; a section that is empty then is taken out. */
export function renameFormerSettings(settings: Record<string, unknown>, fileName: string): RenamedSettings {
  const warnings: string[] = []
  const written = new Map<string, readonly string[]>()
  for (const { former, present } of FORMER_SETTINGS) {
    const [section, name] = former
    const members = settings[section]
    if (!isMapping(members) || !Object.hasOwn(members, name)) continue
    const { [name]: value, ...others } = members
    if (Object.keys(others).length === 0) delete settings[section]
    else settings[section] = others
    if (assignMissing(settings, present, value)) written.set(present.join('.'), former)
    warnings.push(`${fileName}: ${former.join('.')} is called ${present.join('.')} now`)
  }
  return { warnings, written }
}

/** False where the setting is there, or where a section of its path is no mapping. */
function assignMissing(target: Record<string, unknown>, path: readonly string[], value: unknown): boolean {
  let at = target
  for (const name of path.slice(0, -1)) {
    at[name] ??= {}
    const next = at[name]
    if (!isMapping(next)) return false
    at = next
  }
  const last = path.at(-1)!
  if (Object.hasOwn(at, last)) return false
  at[last] = value
  return true
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
