// Plain JavaScript for Node 20, so that an older Node gives a clear message and not a syntax error.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

function bundledNode() {
  const require = createRequire(import.meta.url)
  const platform = process.platform === 'win32' ? 'win' : process.platform
  for (const name of [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`]) {
    try {
      const folder = dirname(require.resolve(`${name}/package.json`))
      const binary = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
      if (existsSync(binary)) return binary
    } catch {}
  }
  return undefined
}

/** Calls `start` on Node >= 24; on an older one runs `file` by the Node that came along as an optional dependency. */
export async function onNode24(file, start) {
  if (Number(process.versions.node.split('.')[0]) >= 24) return await start()
  const node = bundledNode()
  if (node === undefined) {
    process.stderr.write(
      `kong-llm-observer needs Node 24 or newer; this is ${process.version}, and no packaged Node for ${process.platform}-${process.arch} came along.\n`,
    )
    process.exit(1)
  }
  const child = spawn(node, [file, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)))
}
