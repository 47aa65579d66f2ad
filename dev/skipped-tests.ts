import type { Reporter, TestCase, TestModule, Vitest } from 'vitest/node'

/**
 * Lists at the end of a run what was skipped, and why as the file itself said it (a line that begins with `skipped:`).
 * With CI set a skipped test fails the run: there, what a test needs is there.
 */
export class SkippedTests implements Reporter {
  #vitest: Vitest | undefined
  readonly #reasons = new Map<string, Set<string>>()
  readonly #write: (text: string) => void

  constructor(write = (text: string) => void process.stderr.write(text)) {
    this.#write = write
  }

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onUserConsoleLog({ content, taskId }: { content: string; taskId?: string | undefined }): void {
    const reason = /^skipped: (.*)/.exec(content)?.[1]
    const file = taskId === undefined ? undefined : this.#vitest?.state.getReportedEntityById(taskId)
    if (reason === undefined || file?.type !== 'module') return
    const known = this.#reasons.get(file.moduleId) ?? new Set()
    this.#reasons.set(file.moduleId, known.add(reason))
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    // A name was asked for: the others are left out, not skipped.
    if (this.#vitest?.config.testNamePattern !== undefined) return
    const lines = modules.flatMap((module) => {
      const skipped = [...module.children.allTests('skipped')]
      if (skipped.length === 0) return []
      const why = [...(this.#reasons.get(module.moduleId) ?? new Set(skipped.map(outermostSuite)))]
      return [`  ${module.relativeModuleId}: ${skipped.length} of ${count(module)} – ${why.join('; ')}\n`]
    })
    if (lines.length === 0) return
    const failing = Boolean(process.env.CI)
    this.#write(`\n${failing ? 'Skipped tests, which CI must be able to run' : 'Skipped for what is not here'}:\n`)
    for (const line of lines) this.#write(line)
    if (failing) process.exitCode = 1
  }
}

const count = (module: TestModule) => [...module.children.allTests()].length
function outermostSuite(test: TestCase): string {
  let at: TestCase | { parent: { type: string }; name: string } = test
  while (at.parent.type === 'suite') at = at.parent as typeof at
  return at.name
}
