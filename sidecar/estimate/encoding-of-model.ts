/** Encodings of tiktoken that a model may have. */
export const ENCODINGS = ['o200k_base', 'cl100k_base', 'p50k_base', 'r50k_base'] as const
export type Encoding = (typeof ENCODINGS)[number]

export interface ModelEncoding {
  encoding: Encoding
  /** Not the model's own: nobody has published that, and this is the nearest that is here. */
  standIn: boolean
}

/** Newer families first: `gpt-4o` is no `gpt-4`. Names of fine-tuned and hosted models end or begin with these. */
const FAMILIES: readonly (readonly [RegExp, Encoding])[] = [
  [/^(?:gpt-4o|gpt-4\.\d|gpt-[5-9]|chatgpt-|o\d(?![a-z0-9])|gpt-oss|gpt-audio|gpt-realtime|codex-)/, 'o200k_base'],
  [/^(?:gpt-4|gpt-3\.5|gpt-35|text-embedding-(?:ada-002|3)|davinci-002|babbage-002)/, 'cl100k_base'],
  [/^(?:text-davinci-00[23]|code-)/, 'p50k_base'],
  [/^(?:text-)?(?:davinci|curie|babbage|ada)(?:-001)?$/, 'r50k_base'],
]

/** How a model's text becomes tokens: its own encoding, or the newest one as a stand-in. */
export function encodingOf(model: string | undefined): ModelEncoding {
  const name = familyName(model ?? '')
  const family = FAMILIES.find(([names]) => names.test(name))
  return family === undefined ? { encoding: 'o200k_base', standIn: true } : { encoding: family[1], standIn: false }
}

/** Without what hosts and fine-tuning put before it: `openai/gpt-4o`, `ft:gpt-4o:me`, `openai.gpt-oss-20b-1:0`. */
export function familyName(model: string): string {
  return model
    .toLowerCase()
    .replace(/^.*\//s, '')
    .replace(/^(?:ft:|openai\.)/, '')
}
