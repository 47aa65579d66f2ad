import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { administer, type OpenedAdministration } from '../administration/client.ts'
import type { LlmCall } from '../call.ts'
import type { Config, Environment } from '../config.ts'
import { type ContentPolicyConfig, policyFor } from '../redaction/policy.ts'
import { openPseudonymKey } from '../redaction/pseudonyms.ts'
import { makeRedactor, type PersonMode } from '../redaction/redact.ts'
import { resolveSecret } from '../secret.ts'
import type { ErasePlace } from '../store/erasure.ts'
import { hasPerson, isOf, type Person, withoutPerson } from '../store/person.ts'
import { copiesOf, countInCopy, deleteCopy, rewriteCopy } from './copies.ts'
import { eraseFromLangfuse } from './langfuse.ts'

/** Whose calls, and what becomes of copies. */
export interface Erasure {
  /** A key. */
  tenant: string
  /** In plain, or as stored. */
  user?: string
  session?: string
  dryRun: boolean
  /** Absent at a dry run alone. */
  backups?: 'rewrite' | 'delete'
}

export interface EraseOptions {
  environment: Environment
  say: (line: string) => void
  /** How long a reader may stand in the way of the write-ahead log, such as a backup that is being written. */
  checkpointMs?: number
}

const CHECKPOINT_MS = 10 * 60_000
const ASK_AGAIN_MS = 200
const MODES: readonly PersonMode[] = ['pseudonym', 'all', 'plain']

/**
 * Content, user and session of a person's calls out of every store that this sidecar has, and out of Langfuse; money
 * stays. docs/erasure.md says what, in which order, and what nobody can call back. True where something is left.
 */
export async function erase(config: Config, wanted: Erasure, options: EraseOptions): Promise<boolean> {
  const { say } = options
  const person = personOf(config, wanted, options.environment)
  const { dryRun } = wanted
  const would = dryRun ? 'would be ' : ''
  let left = false

  const administration = await administer(config.data, { policy: config.redaction.policy })
  try {
    const store = await eraseFromStore(administration, person, dryRun)
    say(
      `store: ${store.rows} waiting calls and ${store.letters} dead letters ${would}rewritten without content, user and session`,
    )
    if (store.damaged > 0)
      say(`store: ${store.damaged} rows of the tenant cannot be read: ${would}given up and counted as damaged`)
    if (store.held > 0) {
      left = true
      say(`store: ${store.held} calls are under legal hold and stay as they are`)
    }
    if (!dryRun) {
      const empty = await emptyLog(administration, options.checkpointMs ?? CHECKPOINT_MS)
      say(empty ? 'write-ahead log: emptied' : 'write-ahead log: NOT emptied, a reader does not end; run this again')
      if (!empty) left = true
    }
  } finally {
    await administration.close()
  }

  if (eraseFromCopies(config, person, wanted, say)) left = true
  if (await eraseFromSinks(config, person, wanted, options)) left = true
  return left
}

/** A user as an operator writes it has up to three stored forms: docs/privacy.md, `attribution.users`. */
export function personOf(
  { redaction, data }: Pick<Config, 'redaction' | 'data'>,
  { tenant, user, session }: Pick<Erasure, 'tenant' | 'user' | 'session'>,
  environment: Environment,
): Person {
  if (user === undefined && session === undefined) return { tenant }
  const key = redaction.key === undefined ? openPseudonymKey(data) : resolveSecret(redaction.key, environment)
  const redactor = makeRedactor(redaction, { key })
  const forms = (text: string) => [...new Set([text, ...MODES.map((mode) => redactor.person(text, tenant, mode))])]
  return {
    tenant,
    ...(user !== undefined && { users: forms(user) }),
    ...(session !== undefined && { sessions: forms(session) }),
  }
}

async function eraseFromStore(administration: OpenedAdministration, person: Person, dryRun: boolean) {
  const sum = { rows: 0, letters: 0, held: 0, damaged: 0 }
  let from: ErasePlace | undefined
  do {
    const slice = await administration.erase({ person, dryRun, ...(from !== undefined && { from }) })
    for (const name of ['rows', 'letters', 'held', 'damaged'] as const) sum[name] += slice[name]
    from = slice.next
  } while (from !== undefined)
  return sum
}

/** Until it is empty no reader has the rows of before: a backup that was begun earlier has ended. */
async function emptyLog(administration: OpenedAdministration, limitMs: number): Promise<boolean> {
  for (const end = performance.now() + limitMs; ; ) {
    if (await administration.checkpoint()) return true
    if (performance.now() >= end) return false
    await pause(ASK_AGAIN_MS)
  }
}

function eraseFromCopies(config: Config, person: Person, wanted: Erasure, say: EraseOptions['say']): boolean {
  const { policy } = config.redaction
  const isHeld = (call: LlmCall) => policyFor(call, undefined, policy).legalHold
  let left = false
  let held = 0
  const change = (call: LlmCall) => {
    if (!isOf(person, call) || !hasPerson(call)) return undefined
    if (!isHeld(call)) return withoutPerson(call)
    held++
    return undefined
  }
  for (const { file, kind } of copiesOf(config.data, config.backup.folder ?? join(config.data, 'backups'))) {
    const name = `${kind === 'unfinished' ? 'unfinished copy' : `${kind} copy`} ${file}`
    held = 0
    try {
      if (kind === 'damaged' && wanted.backups !== 'delete') {
        left = true
        say(`${name}: NOT erased, what stands in it cannot be told; delete it, or say --backups delete`)
      } else if (wanted.dryRun) {
        const calls =
          kind === 'unfinished' || kind === 'damaged'
            ? ''
            : `${countInCopy(file, person.tenant, (call) => change(call) !== undefined)} calls, `
        say(
          `${name}: ${calls}would be ${kind === 'unfinished' ? 'deleted' : (wanted.backups ?? 'rewritten or deleted')}`,
        )
      } else if (kind === 'unfinished') {
        deleteCopy(file)
        say(`${name}: deleted`)
      } else if (wanted.backups === 'delete' && holdsAnything(policy)) {
        left = true
        say(`${name}: NOT deleted, calls of some tenant may be under legal hold; say --backups rewrite`)
      } else if (wanted.backups === 'delete') {
        deleteCopy(file)
        say(`${name}: deleted`)
      } else {
        const calls = rewriteCopy(file, person.tenant, change)
        say(`${name}: ${calls} calls rewritten`)
      }
      if (held > 0) {
        left = true
        say(`${name}: ${held} calls are under legal hold and stay as they are`)
      }
    } catch (error) {
      left = true
      say(`${name}: NOT erased: ${(error as Error).message}`)
    }
  }
  return left
}

async function eraseFromSinks(
  config: Config,
  person: Person,
  { dryRun }: Erasure,
  { environment, say }: EraseOptions,
): Promise<boolean> {
  const { langfuse, loki, otlp } = config.exporters
  let left = false
  if (langfuse !== undefined) {
    if (mayBeHeld(person.tenant, config.redaction.policy)) {
      left = true
      say('langfuse: NOT erased, calls of the tenant may be under legal hold')
    } else {
      try {
        const { traces } = await eraseFromLangfuse(langfuse, environment, person, { dryRun })
        say(
          dryRun
            ? `langfuse: ${traces} traces would be deleted`
            : `langfuse: ${traces} traces named for deletion; it deletes them later, and calls of the last minutes may not be found yet: run this again in 15 minutes`,
        )
      } catch (error) {
        left = true
        say(`langfuse: NOT erased: ${(error as Error).message}; run this again`)
      }
    }
  }
  // What no command of ours can call back.
  if (loki !== undefined) say('loki: holds no content, but user and session: delete them as docs/erasure.md shows')
  if (otlp !== undefined)
    say('otlp: what was sent is with its receiver: delete it there (docs/erasure.md), or let its retention do it')
  return left
}

function holdsAnything({ default: otherwise, rules }: ContentPolicyConfig): boolean {
  return otherwise.legalHold === true || rules.some(({ legalHold }) => legalHold === true)
}

/** Whether a rule may hold some of the tenant's calls: traces are not told apart by route. */
export function mayBeHeld(tenant: string, { default: otherwise, rules }: ContentPolicyConfig): boolean {
  if (policyFor({ tenant, gateway: {} }, undefined, { default: otherwise, rules }).legalHold) return true
  return rules.some(
    ({ tenants, legalHold }) => legalHold === true && (tenants === undefined || tenants.includes(tenant)),
  )
}
