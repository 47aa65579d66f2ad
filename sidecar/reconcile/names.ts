import { z } from 'zod'
import { tenantSchema } from '../tenant.ts'
import { parseYaml, placeOf } from '../yaml-document.ts'
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
  const document = parseYaml(text, file)
  if ('problems' in document) throw new ExportError(document.problems)
  const parsed = schema.safeParse(document.toJS() ?? {})
  if (parsed.success) return parsed.data
  throw new ExportError(
    parsed.error.issues.map((issue) => {
      const { path, line } = placeOf(document, text, issue)
      return `${file}:${line}: ${path || '(root)'}: ${issue.message}`
    }),
  )
}
