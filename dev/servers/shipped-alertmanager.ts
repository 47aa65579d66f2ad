import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const SHIPPED = join(import.meta.dirname, '../../deploy/alertmanager')
export const SHIPPED_ALERTMANAGER_FILE = join(SHIPPED, 'alertmanager.yml')
const SECRETS_FOLDER = '/run/secrets/'

export interface Route {
  receiver?: string
  matchers?: string[]
  group_by?: string[]
  group_wait?: string
  group_interval?: string
  repeat_interval?: string
  active_time_intervals?: string[]
  mute_time_intervals?: string[]
  continue?: boolean
  routes?: Route[]
}
export interface TimeInterval {
  weekdays?: string[]
  days_of_month?: string[]
  months?: string[]
  years?: string[]
  times?: { start_time: string; end_time: string }[]
  location?: string
}
export interface AlertmanagerFile {
  global: Record<string, unknown>
  templates: string[]
  route: Route
  receivers: { name: string; [configs: string]: unknown }[]
  inhibit_rules: { source_matchers: string[]; target_matchers: string[]; equal?: string[] }[]
  time_intervals: { name: string; time_intervals: TimeInterval[] }[]
}

export function readShippedAlertmanagerFile(): AlertmanagerFile {
  return parse(readFileSync(SHIPPED_ALERTMANAGER_FILE, 'utf8'), { merge: true }) as AlertmanagerFile
}

/** Names of the files of secrets that the shipped file reads. */
export function secretsOf(file: AlertmanagerFile): string[] {
  const found = JSON.stringify(file.receivers).matchAll(/"[a-z_]+_file":"([^"]+)"/g)
  return [...found].map(([, path]) => path!.replace(SECRETS_FOLDER, '')).sort()
}

/**
 * deploy/alertmanager/alertmanager.yml as it is, but for where its secrets lie (in `directory`, one file each, written here)
 * and for PagerDuty's address, which is no secret.
 */
export function shippedAlertmanager(options: {
  directory: string
  secrets: Readonly<Record<string, string>>
  pagerdutyUrl: string
}): AlertmanagerFile {
  const folder = join(options.directory, 'secrets/')
  mkdirSync(folder, { recursive: true })
  for (const [name, secret] of Object.entries(options.secrets))
    writeFileSync(join(folder, name), `${secret}\n`, { mode: 0o600 })
  const file = readShippedAlertmanagerFile()
  return {
    ...(JSON.parse(JSON.stringify(file).replaceAll(SECRETS_FOLDER, folder)) as AlertmanagerFile),
    global: { ...file.global, pagerduty_url: options.pagerdutyUrl },
    templates: file.templates.map((glob) => join(SHIPPED, glob)),
  }
}
