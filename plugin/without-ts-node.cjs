'use strict'
// Preloaded into kong-js-pluginserver: node --require <abs>/without-ts-node.cjs <abs>/kong-js-pluginserver …
//
// kong-pdk registers ts-node at start. That loads a whole TypeScript compiler which nothing needs (Node strips our
// types itself), reads the tsconfig.json of whatever folder the server was started in, and ends the process where it
// does not understand either: TypeScript 7 has no compiler API that ts-node could use. Without it the server starts
// in a fraction of the time, and the time of a restart is the time in which Kong's events are lost.
const { registerHooks } = require('node:module')
const { pathToFileURL } = require('node:url')

const here = pathToFileURL(__filename).href

registerHooks({
  resolve(specifier, context, nextResolve) {
    return specifier === 'ts-node'
      ? { url: here, format: 'commonjs', shortCircuit: true }
      : nextResolve(specifier, context)
  },
})

// What kong-pdk calls in ts-node's place.
module.exports = { register() {} }
