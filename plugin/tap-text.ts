/** The hooks of Kong's pre-function plugin that the tap has a chunk for. */
export const TAP_HOOKS = ['access', 'header_filter', 'body_filter', 'log'] as const
export type TapHook = (typeof TAP_HOOKS)[number]

/** The sections of tap.lua, each a Lua chunk, by the hook that runs it. */
export function tapSections(source: string): Record<TapHook, string> {
  const [, ...parts] = source.split(/^--@ *(\w+) *$/m)
  const sections: Partial<Record<TapHook, string>> = {}
  for (let at = 0; at < parts.length; at += 2) {
    const name = TAP_HOOKS.find((hook) => hook === parts[at])
    if (name === undefined) throw new Error(`tap.lua: there is no hook "${parts[at]}"`)
    if (sections[name] !== undefined) throw new Error(`tap.lua: the section "${name}" stands twice`)
    sections[name] = `${parts[at + 1]!.trim()}\n`
  }
  for (const hook of TAP_HOOKS) if (sections[hook] === undefined) throw new Error(`tap.lua: no section "--@ ${hook}"`)
  return sections as Record<TapHook, string>
}

/** The text – tap.lua, or a kong.yml that holds it – with the sidecar that totals are told to; an empty address: none. */
export function withSidecar(text: string, sidecar: { url?: string | undefined; token?: string | undefined }): string {
  const set = (before: string, name: string, value: string | undefined) =>
    value === undefined
      ? before
      : before.replaceAll(
          new RegExp(`(local ${name} = )"[^"]*"`, 'g'),
          (_, start: string) => start + JSON.stringify(value),
        )
  return set(set(text, 'SIDECAR_URL', sidecar.url), 'INTAKE_TOKEN', sidecar.token)
}

/** The tap as Kong's Admin API takes it: a pre-function with a chunk for each hook. */
export function tapAsPlugin(source: string, sidecar: { url?: string | undefined; token?: string | undefined }) {
  const sections = tapSections(withSidecar(source, sidecar))
  return {
    name: 'pre-function',
    config: Object.fromEntries(TAP_HOOKS.map((hook) => [hook, [sections[hook]]])),
  }
}
