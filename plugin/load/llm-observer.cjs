'use strict'
// The only file that kong-js-pluginserver may find: it loads every entry of its plugins directory as a plugin.
const { existsSync } = require('node:fs')
const { join } = require('node:path')

if (Number(process.versions.node.split('.')[0]) < 24) {
  throw new Error(`llm-observer needs Node 24 or newer to run kong-js-pluginserver; this is ${process.version}`)
}

// kong-pdk registers ts-node with TypeScript 4.9, which cannot read our source: Node strips the types itself.
const tsNode = process[Symbol.for('ts-node.register.instance')]
const compiles = tsNode?.enabled()
tsNode?.enabled(false)
try {
  const source = join(__dirname, '..', 'llm-observer.ts')
  const { Plugin, Name, Version, Priority, Schema } = require(existsSync(source) ? source : source.replace(/ts$/, 'js'))
  module.exports = { Plugin, Name, Version, Priority, Schema }
} finally {
  tsNode?.enabled(compiles)
}
