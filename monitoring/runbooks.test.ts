import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { parseCommandLine } from '../sidecar/command-line.ts'
import { configSchema } from '../sidecar/config.ts'
import { allAlerts, runbookIndex } from './runbook-index.ts'
import { logqlProblems } from './testing/logql-check.ts'
import { promqlProblems, TABLE_NAMES } from './testing/promql-check.ts'
import { blocksIn, RUNBOOK_FOLDER, RUNBOOKS } from './testing/runbooks.ts'

const SECTIONS = ['Meaning', 'Impact', 'First three checks', 'Mitigation', 'Escalation']
const ALERTS = allAlerts().flatMap(({ alerts }) => alerts)
const inline = (text: string) => [...text.replace(/```.*?```/gs, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!)
function sectionsOf(text: string): Map<string, string> {
  const parts = text.split(/^## (.*)$/m).slice(1)
  return new Map(parts.flatMap((heading, index) => (index % 2 === 0 ? [[heading, parts[index + 1]!] as const] : [])))
}
/** Whether observer.yaml may have it. */
function isSetting(path: readonly string[]): boolean {
  let schema: z.core.$ZodType = configSchema
  for (const name of path) {
    while ('unwrap' in schema) schema = (schema as z.ZodOptional).unwrap()
    if (schema instanceof z.ZodRecord) schema = schema.valueType
    else if (schema instanceof z.ZodObject && name in schema.shape) schema = schema.shape[name]
    else return false
  }
  return true
}

describe('runbooks', () => {
  it('each alert has a page, and each page an alert', () => {
    expect(RUNBOOKS.map(({ name }) => name).sort()).toEqual(ALERTS.map(({ name }) => name).sort())
  })

  it('the index is what the alerts say', () => {
    expect(readFileSync(join(RUNBOOK_FOLDER, 'README.md'), 'utf8')).toBe(runbookIndex())
  })

  describe.each(RUNBOOKS)('$name', ({ name, text }) => {
    const alert = ALERTS.find((alert) => alert.name === name)
    const sections = sectionsOf(text)
    const commands = [...inline(text), ...blocksIn(text, 'sh').flatMap((block) => block.split('\n'))]

    it('has the form of a page', () => {
      const [title, first] = text.split('\n')
      expect(title).toBe(`# ${name}`)
      expect(first).toMatch(new RegExp(`^${alert?.priority}\\. .*watches`))
      expect([...sections.keys()]).toEqual(SECTIONS)
      for (const body of sections.values()) expect(body.trim()).not.toBe('')
    })

    it('has three checks, each with something to paste', () => {
      const checks = sections
        .get('First three checks')!
        .split(/^(?=\d+\. )/m)
        .slice(1)
      expect(checks.map((check) => Number.parseInt(check, 10))).toEqual([1, 2, 3])
      for (const check of checks) {
        const queries = ['promql', 'logql', 'sh'].flatMap((language) => blocksIn(check, language))
        const command = inline(check).some((code) => /^(docker|kong-llm-observer|npm run) /.test(code))
        expect(queries.length > 0 || command, check).toBe(true)
      }
      expect(blocksIn(text, alert?.by === 'loki' ? 'logql' : 'promql')).not.toEqual([])
      // Every block stands in one of the languages that this test reads.
      const languages = [...text.matchAll(/^ *```(\w+)$/gm)].map(([, language]) => language)
      expect(['promql', 'logql', 'sh']).toEqual(expect.arrayContaining(languages))
    })

    it('its queries can be run', () => {
      for (const query of blocksIn(text, 'promql')) expect(promqlProblems(query), query).toEqual([])
      for (const query of blocksIn(text, 'logql')) expect(logqlProblems(query), query).toEqual([])
    })

    it('names alerts, metrics, settings and commands that are there', () => {
      const names = ALERTS.map(({ name }) => name)
      for (const [word] of text.matchAll(/\bLLM[A-Z][A-Za-z]+/g)) expect(names).toContain(word)
      for (const code of inline(text)) {
        const metric =
          /^(?:llm|observer|kong_(?:semantic|http|kong|upstream|memory|nginx)_|provider:|tenant:|tenant_model:|slo:|instance:)[\w:]*(?=$|\{)/.exec(
            code,
          )
        if (metric?.[0].includes('_')) expect(TABLE_NAMES).toContain(metric[0])
        // Two names or more, that begin with a setting of the top level; files (observer.db) are none.
        if (/^[a-z]\w*(?:\.\w+)+$/.test(code) && !code.endsWith('.db') && isSetting(code.split('.').slice(0, 1)))
          expect(isSetting(code.split('.')), code).toBe(true)
      }
      for (const command of commands) {
        const own = /^kong-llm-observer ([^|;<>]*)/.exec(command)
        if (own !== null && !own[1]!.includes('…'))
          expect(() => parseCommandLine(own[1]!.trim().split(/\s+/)), command).not.toThrow()
      }
    })
  })
})
