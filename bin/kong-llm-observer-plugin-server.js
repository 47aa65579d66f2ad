#!/usr/bin/env node
// kong-js-pluginserver with the plugin, as a process of its own beside a Kong that has no start command for it:
//   kong-llm-observer-plugin-server [FOLDER]    its socket is FOLDER/js.sock (default /var/run/llm-observer)
// Kong may run as any user: whoever can enter the folder may connect.
import { existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onNode24 } from './on-node-24.js'

const self = fileURLToPath(import.meta.url)
const root = dirname(dirname(self))
const source = join(root, 'plugin')
const plugin = existsSync(join(source, 'load')) ? source : join(root, 'dist', 'plugin')

function start() {
  const [argument = '/var/run/llm-observer', ...more] = process.argv.slice(2)
  if (argument.startsWith('-') || more.length > 0) {
    process.stderr.write('usage: kong-llm-observer-plugin-server [FOLDER]    its socket is FOLDER/js.sock\n')
    process.exit(2)
  }
  const folder = resolve(argument)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 })
  } catch (error) {
    process.stderr.write(
      `kong-llm-observer-plugin-server: ${folder} cannot be made (${error.code}): make it, owned by this user\n`,
    )
    process.exit(1)
  }
  process.umask(0)
  const require = createRequire(import.meta.url)
  require(join(plugin, 'without-ts-node.cjs'))
  const server = join(dirname(require.resolve('kong-pdk/package.json')), 'bin', 'kong-js-pluginserver')
  process.argv.splice(
    1,
    Infinity,
    server,
    '--plugins-directory',
    join(plugin, 'load'),
    '-p',
    folder,
    '--sock-name',
    'js.sock',
  )
  require(server)
}

await onNode24(self, start)
