/** Where a text stands. `read` gives back what a reader would see there, to look for the secret. */
export interface Place {
  name: string
  put: (text: string, random: () => number) => string
  read?: (text: string) => string
}

const json = (value: unknown) => JSON.stringify(value)
const escaped = (text: string) => json(text).slice(1, -1)
const fromEscapes = (text: string): string =>
  text
    .replace(/\\u([0-9a-f]{4})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\[nrt]/g, ' ')
const fromPercent = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
const fromBase64 = (text: string): string =>
  text.replace(/[A-Za-z0-9+/_-]{16,}={0,2}/g, (run) => Buffer.from(run, 'base64').toString('utf8'))

export const PLACES: readonly Place[] = [
  { name: 'plain text', put: (text) => text },
  { name: 'after a line end', put: (text) => `First line.\n${text}\nLast line.` },
  { name: 'after a tab', put: (text) => `name\tvalue\nx\t${text}\ty` },
  { name: 'JSON string', put: (text) => json({ note: text }), read: fromEscapes },
  {
    name: 'JSON after an escaped line end',
    put: (text) => json({ note: `see below\n${text}\nend` }),
    read: fromEscapes,
  },
  { name: 'JSON after an escaped tab', put: (text) => json({ rows: [`a\t${text}\tb`] }), read: fromEscapes },
  { name: 'JSON in JSON', put: (text) => json({ arguments: json({ body: `line\n${text}` }) }), read: fromEscapes },
  { name: 'JSON in JSON in JSON', put: (text) => json([json({ a: json({ b: `\n${text}` }) })]), read: fromEscapes },
  {
    name: 'JSON of ASCII alone',
    put: (text) =>
      json({ t: text }).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
    read: fromEscapes,
  },
  { name: 'piece of JSON', put: (text) => `{"role":"tool","content":"result:\\n${escaped(text)}`, read: fromEscapes },
  { name: 'env file', put: (text) => `# settings\nLOG_LEVEL=info\nVALUE=${text}\nPORT=8080` },
  { name: 'YAML', put: (text) => `spec:\n  items:\n    - value: ${text}\n      other: 1` },
  { name: 'program text', put: (text) => `const value = '${text}'\nrun(value) // done` },
  {
    name: 'query of a URL',
    put: (text) => `GET https://api.service.test/v1/find?q=${encodeURIComponent(text)}&page=2`,
    read: fromPercent,
  },
  {
    name: 'percent-encoded twice',
    put: (text) => `next=${encodeURIComponent(encodeURIComponent(text))}`,
    read: (text) => fromPercent(fromPercent(text)),
  },
  { name: 'base64', put: (text) => Buffer.from(text).toString('base64'), read: fromBase64 },
  {
    name: 'base64 in JSON',
    put: (text) => json({ data: Buffer.from(`payload: ${text}`).toString('base64') }),
    read: fromBase64,
  },
  { name: 'markdown table', put: (text) => `| name | value |\n|---|---|\n| x | ${text} |` },
  { name: 'HTML', put: (text) => `<p>See <b>${text.replace(/&/g, '&amp;').replace(/</g, '&lt;')}</b>.</p>` },
  { name: 'log line', put: (text) => `2026-11-28T10:15:00.123Z INFO request handled detail="${text}" status=200` },
  {
    name: 'zero-width signs',
    put: (text) => text.replace(/(.{3})/gsu, '$1\u200b'),
    read: (text) => text.replaceAll('\u200b', ''),
  },
]
