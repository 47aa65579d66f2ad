import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'

const HERE = import.meta.dirname
const BOARDS = join(HERE, '../../dashboards/grafana')
const ICONS = join(HERE, 'node_modules/@grafana/ui/dist/public')
/** The two families of Grafana, which its server has and its npm package has not. */
function fontOf(path: string): string | undefined {
  if (!path.endsWith('.woff2')) return undefined
  const family = path.includes('/inter/') ? 'inter' : 'roboto-mono'
  const weight = path.includes('Medium') ? 500 : 400
  return join(HERE, `node_modules/@fontsource/${family}/files/${family}-latin-${weight}-normal.woff2`)
}
const USAGE = `usage: node dev/board-preview/preview.ts --prometheus URL --out DIR [options]
  --board UID       one board, as llm-overview; else all
  --theme dark      or light
  --width 1440      390 is a phone
  --from now-24h    else the board's own range
  --to now          its end
  --var NAME=VALUE  a variable's value, as tenant=search; may be repeated
`
const DRAW_LIMIT_MS = 60_000
/** The sizes of Chromium's pictures end at 16,384 pixels. */
const MAX_HEIGHT = 8000

const { values } = parseArgs({
  options: {
    prometheus: { type: 'string' },
    out: { type: 'string' },
    board: { type: 'string' },
    theme: { type: 'string', default: 'dark' },
    width: { type: 'string', default: '1440' },
    from: { type: 'string' },
    to: { type: 'string', default: 'now' },
    var: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean' },
  },
})
const { prometheus, out } = values
if (values.help || prometheus === undefined || out === undefined) {
  process.stdout.write(USAGE)
  process.exit(values.help ? 0 : 2)
}
mkdirSync(out, { recursive: true })

const bundle = await build({
  entryPoints: [join(HERE, 'page/page.tsx')],
  bundle: true,
  write: false,
  outdir: HERE,
  // No panel edits code.
  alias: { 'monaco-editor': join(HERE, 'page/nothing.cjs') },
  format: 'esm',
  target: 'chrome130',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window', 'process.env': '{}' },
  loader: { '.svg': 'text', '.png': 'dataurl', '.woff2': 'dataurl' },
  logLevel: 'error',
})
const builtFile = (extension: string) => bundle.outputFiles.find(({ path }) => path.endsWith(extension))?.contents ?? ''
// Icons are fetched from Grafana's server as public/build/img/icons/…
const html = `<!doctype html><meta charset="utf-8"><base href="/"><link rel="icon" href="data:,"><link rel="stylesheet" href="page.css"><div id="root"></div>
<script>window.__grafana_public_path__ = 'public/'</script><script type="module" src="page.js"></script>`

const TYPES: Record<string, string> = {
  '.svg': 'image/svg+xml',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.png': 'image/png',
}
const server = createServer(async (request, response) => {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname
  try {
    if (path === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end(html)
    if (path === '/page.js' || path === '/page.css')
      return void response.writeHead(200, { 'content-type': TYPES[extname(path)]! }).end(builtFile(extname(path)))
    if (path.startsWith('/prometheus/')) {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const query = Buffer.concat(chunks).toString()
      const target = `${prometheus}${path.slice('/prometheus'.length)}`
      // Prometheus takes a label's values by GET alone.
      const answer = path.includes('/label/')
        ? await fetch(`${target}?${query}`)
        : await fetch(target, { method: 'POST', body: new URLSearchParams(query) })
      return void response
        .writeHead(answer.status, { 'content-type': 'application/json' })
        .end(Buffer.from(await answer.arrayBuffer()))
    }
    const file = fontOf(path) ?? normalize(join(ICONS, path.replace(/^\/public\/(build\/)?/, '')))
    if (!file.startsWith(join(HERE, 'node_modules'))) throw new Error('outside')
    const body = readFileSync(file)
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(body)
  } catch {
    response.writeHead(404).end()
  }
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const profile = mkdtempSync(join(tmpdir(), 'board-preview-browser-'))
const width = Number(values.width)
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width, height: 900 },
  deviceScaleFactor: width < 769 ? 2 : 1,
  timezoneId: 'UTC',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
})
let faults = 0
try {
  const names = readdirSync(BOARDS)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .filter((name) => values.board === undefined || name === values.board)
  if (names.length === 0) throw new Error(`no board ${values.board} in dashboards/grafana`)
  for (const name of names) {
    const board = JSON.parse(readFileSync(join(BOARDS, `${name}.json`), 'utf8'))
    const page = await context.newPage()
    const errors: string[] = []
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text())
    })
    page.on('pageerror', (error) => errors.push(String(error.stack ?? error)))
    page.on('requestfailed', (request) => errors.push(`not fetched: ${request.url()}`))
    const given = {
      board,
      theme: values.theme,
      from: values.from,
      to: values.to,
      variables: Object.fromEntries(values.var.map((one) => one.split('='))),
    }
    await page.addInitScript((preview) => Object.assign(window, { preview }), given)
    await page.goto(address)
    try {
      await page.waitForFunction(() => (window as { drawn?: unknown }).drawn !== undefined, undefined, {
        timeout: DRAW_LIMIT_MS,
      })
    } catch (error) {
      errors.push(String(error))
    }
    const tall = await page.evaluate(() => document.documentElement.scrollHeight)
    await page.setViewportSize({ width, height: Math.min(MAX_HEIGHT, Math.max(400, tall)) })
    // Panels draw on their next frames; icons and canvases are there when the network is quiet.
    await page.waitForLoadState('networkidle')
    const file = join(out, `${name}-${values.theme}-${width}.png`)
    await page.screenshot({ path: file, fullPage: true })
    const drawn = await page.evaluate(
      () => (window as { drawn?: { empty: string[]; failed: string[]; series: object } }).drawn,
    )
    process.stdout.write(`${name}: ${file}\n`)
    for (const title of drawn?.empty ?? []) process.stdout.write(`  no data: ${title}\n`)
    for (const text of drawn?.failed ?? []) process.stdout.write(`  failed: ${text}\n`)
    for (const [title, count] of Object.entries(drawn?.series ?? {}))
      if (count > 12) process.stdout.write(`  ${count} series: ${title}\n`)
    for (const text of new Set(errors)) process.stdout.write(`  console: ${text.slice(0, 500)}\n`)
    faults += errors.length + (drawn?.failed.length ?? 0)
    await page.close()
  }
} finally {
  await context.close()
  server.close()
  rmSync(profile, { recursive: true, force: true })
}
process.exitCode = faults > 0 ? 1 : 0
