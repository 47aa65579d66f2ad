// Runs before every npm script, on whatever Node the machine has (>= 20): plain JavaScript, no dependencies.
// Installs exactly the lockfile when node_modules is missing or older than it, then checks that the
// pinned Node (design: it comes from npm and stands first in an npm script's PATH) is the one that runs.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const lockfile = join(root, 'package-lock.json')
const stamp = join(root, 'node_modules', '.installed-from-lockfile')
const WANTED_MAJOR = 24

function fail(text) {
  process.stderr.write(`\nset-up failed: ${text}\n`)
  process.exit(1)
}

const ownMajor = Number(process.versions.node.split('.')[0])
if (ownMajor < 20)
  fail(
    `this is Node ${process.versions.node}; Node 20 or newer is needed to start (npm then brings Node ${WANTED_MAJOR}).`,
  )

function fresh() {
  if (!existsSync(stamp)) return false
  return readFileSync(stamp, 'utf8') === readFileSync(lockfile, 'utf8')
}

if (!fresh()) {
  process.stdout.write('installing the dependencies of package-lock.json (once) …\n')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  // npm waits five minutes for an answer that does not come, by default.
  const patience = ['--fetch-timeout=60000', '--fetch-retries=5']
  const args = ['ci', '--loglevel=error', '--no-audit', '--no-fund', '--ignore-scripts', ...patience]
  const result = spawnSync(npm, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'inherit', 'pipe'],
    shell: process.platform === 'win32',
  })
  if (result.error) fail(`npm could not be started (${result.error.message}).`)
  if (result.status !== 0) {
    const detail = (result.stderr ?? '').trim()
    if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET|ENETUNREACH|network/i.test(detail)) {
      fail(
        `the npm registry cannot be reached. Check the network or proxy (npm config get registry), then run the command again.\nnpm said: ${lastLines(detail)}`,
      )
    }
    fail(`npm ci ended with ${result.status}.\nnpm said: ${lastLines(detail)}`)
  }
  writeFileSync(stamp, readFileSync(lockfile, 'utf8'))
}

let version = ''
try {
  // npm scripts put node_modules/.bin first in PATH, so this is the Node that the script itself will run on.
  const path = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`
  version = execFileSync('node', ['--version'], { encoding: 'utf8', env: { ...process.env, PATH: path } }).trim()
} catch (error) {
  fail(`node does not run: ${error.message}`)
}
if (Number(version.slice(1).split('.')[0]) < WANTED_MAJOR) {
  fail(
    `npm scripts need Node ${WANTED_MAJOR} or newer, and found ${version}. There is no prebuilt Node package for ${process.platform}-${process.arch} ` +
      `in package.json's optionalDependencies, or it was left out (npm ci --omit=optional). Install Node ${WANTED_MAJOR} and run the command again.`,
  )
}

/** npm's last words, without the stack and the advice around them. */
function lastLines(text) {
  const lines = text
    .split('\n')
    .map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim())
    .filter(
      (line) =>
        line !== '' && !/^(at |[{}]|errno|syscall|address|port|type|A complete log|If you are behind)/.test(line),
    )
  return lines.slice(0, 4).join('\n          ')
}
