import { z } from 'zod'
import { plainWords } from '../plain-issues.ts'
import { tenantSchema } from '../tenant.ts'
import { problemsOf, readYaml } from '../yaml-document.ts'
import type { Names } from './compare.ts'
import { ExportError } from './export-line.ts'

const schema = z.strictObject({
  /** key, project, workspace or resource of the provider → tenant */
  tenants: z.record(z.string(), tenantSchema).default({}),
  /** the provider's name of a model → ours */
  models: z.record(z.string(), z.string().min(1)).default({}),
})

/** The file of `--names`: who has which key, and which meter is which model. Throws ExportError. */
export function parseNames(text: string, file: string): Names {
  const yaml = readYaml(text, file)
  if ('problems' in yaml) throw new ExportError(yaml.problems)
  const parsed = schema.safeParse(yaml.value, { error: plainWords })
  if (parsed.success) return parsed.data
  throw new ExportError(problemsOf(yaml, parsed.error.issues))
}
