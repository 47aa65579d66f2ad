import { configDefaults, defineConfig } from 'vitest/config'
import { findBinary } from './dev/servers/binary.ts'

// Grafana Loki comes from no registry that CI reaches: its test is there for whoever has it on PATH.
const withoutLoki = findBinary('loki') === undefined ? ['test/loki.test.ts'] : []

export default defineConfig({
  test: {
    include: ['{plugin,sidecar,pricing,monitoring,dashboards,dev,test,bench}/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...withoutLoki],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // More than cores: many wait for servers.
    maxWorkers: 3,
  },
})
