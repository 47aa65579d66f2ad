import { configDefaults, defineConfig } from 'vitest/config'
import { findBinary } from './dev/servers/binary.ts'
import { SkippedTests } from './dev/skipped-tests.ts'

const ALL = '{plugin,sidecar,pricing,monitoring,dashboards,dev,test,bench}/**/*.test.ts'
const SERVERS = '**/*.servers.test.ts'
const SOAK = '**/*.soak.test.ts'
/** Grafana Loki comes from no registry that CI reaches: its test is there for whoever has it on PATH. */
const notInCi = process.env.CI && findBinary('loki') === undefined ? ['test/loki.servers.test.ts'] : []

/** The tiers, told apart by the file's name: `npm test`, `npm run test:servers`, `npm run soak`. */
const tier = (name: string, include: string, exclude: readonly string[] = [], more: object = {}) => ({
  extends: true as const,
  test: { name, include: [include], exclude: [...configDefaults.exclude, ...exclude], ...more },
})

export default defineConfig({
  test: {
    projects: [
      tier('tests', ALL, [SERVERS, SOAK]),
      tier('servers', ALL.replace('*.test.ts', '*.servers.test.ts'), notInCi),
      tier('soak', ALL.replace('*.test.ts', '*.soak.test.ts'), [], { testTimeout: 3_600_000, hookTimeout: 3_600_000 }),
    ],
    reporters: [new SkippedTests(), 'default'],
    // Limits end what hangs. A busy machine must never reach them: tests assert no duration.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    teardownTimeout: 60_000,
    expect: { poll: { timeout: 300_000 } },
    // More than cores: many wait for processes.
    maxWorkers: 3,
  },
})
