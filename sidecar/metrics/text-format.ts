import { setImmediate as nextTurn } from 'node:timers/promises'

export type Format = 'text' | 'openmetrics'
export const CONTENT_TYPES: Record<Format, string> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** The event loop is let go as soon as writing has held it for so long. */
const SLICE_MS = 5
const LOOK_EVERY = 64
const CHUNK_CHARACTERS = 64 * 1024

/** `name{a="1",b="2"} `: what stands before a value. */
export function seriesText(name: string, names: readonly string[], values: readonly string[]): string {
  let text = ''
  for (let index = 0; index < names.length; index++)
    text += `${index === 0 ? '' : ','}${names[index]}="${escapeLabel(values[index] ?? '')}"`
  return text === '' ? `${name} ` : `${name}{${text}} `
}

/** OpenMetrics names a counter's family without `_total`. */
export function headText(name: string, type: string, help: string, format: Format): string {
  const family = format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name
  return `# HELP ${family} ${escapeHelp(help)}\n# TYPE ${family} ${type}\n`
}

/** Joins lines to chunks, and lets the event loop go in between. */
export async function inSlices(lines: Iterable<string>): Promise<string[]> {
  const chunks: string[] = []
  let parts: string[] = []
  let size = 0
  let count = 0
  let began = performance.now()
  for (const line of lines) {
    parts.push(line)
    size += line.length
    if (size >= CHUNK_CHARACTERS) {
      chunks.push(parts.join(''))
      parts = []
      size = 0
    }
    if (++count % LOOK_EVERY === 0 && performance.now() - began > SLICE_MS) {
      await nextTurn()
      began = performance.now()
    }
  }
  if (parts.length > 0) chunks.push(parts.join(''))
  return chunks
}

function escapeLabel(value: string): string {
  return /["\\\n]/.test(value) ? value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n') : value
}

function escapeHelp(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
}
