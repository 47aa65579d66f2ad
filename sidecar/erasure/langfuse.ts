import { request } from 'undici'
import type { LangfuseConfig } from '../exporters/langfuse.ts'
import { resolveSecret } from '../secret.ts'
import type { Person } from '../store/person.ts'
import { ofTenant } from '../tenant.ts'

export interface LangfuseErasure {
  /** Traces that were named for deletion; Langfuse deletes them some time later. */
  traces: number
}

/** Traces that one request deletes. */
const AT_ONCE = 100
const PAGE = 1000
const OLD_PAGE = 100

/**
 * Deletes the traces in which a person's calls stand, from the tenant's project. Their observations and scores go along,
 * and those of an application that shares a trace. Read by the observations API (server v4), or by the list of traces (v3).
 * Throws where the server refuses.
 */
export async function eraseFromLangfuse(
  config: LangfuseConfig,
  environment: Readonly<Record<string, string | undefined>>,
  { tenant, users, sessions }: Person,
  { dryRun }: { dryRun: boolean },
): Promise<LangfuseErasure> {
  const base = config.url.replace(/\/$/, '')
  const project = ofTenant(config.tenants, tenant) ?? config
  const keys = `${project.publicKey}:${resolveSecret(project.secretKey, environment)}`
  const authorization = `Basic ${Buffer.from(keys).toString('base64')}`
  const traces = new Set<string>()
  for (const user of users ?? [undefined])
    for (const session of sessions ?? [undefined]) for (const id of await tracesOf(user, session)) traces.add(id)
  if (!dryRun) {
    const all = [...traces]
    for (let at = 0; at < all.length; at += AT_ONCE)
      await ask('DELETE', '/api/public/traces', { traceIds: all.slice(at, at + AT_ONCE) })
  }
  return { traces: traces.size }

  async function tracesOf(user: string | undefined, session: string | undefined): Promise<Set<string>> {
    const found = new Set<string>()
    const filter = [
      { type: 'arrayOptions', column: 'tags', operator: 'any of', value: [`tenant:${tenant}`] },
      ...(user === undefined ? [] : [{ type: 'string', column: 'userId', operator: '=', value: user }]),
      ...(session === undefined ? [] : [{ type: 'string', column: 'sessionId', operator: '=', value: session }]),
    ]
    for (let cursor: string | undefined; ; ) {
      const query = new URLSearchParams({ fields: 'core', limit: String(PAGE), filter: JSON.stringify(filter) })
      if (cursor !== undefined) query.set('cursor', cursor)
      const page = await ask<{ data: { traceId?: string | null }[]; meta?: { cursor?: string | null } }>(
        'GET',
        `/api/public/v2/observations?${query}`,
      )
      if (page === undefined) return await tracesOfOldServer(user, session)
      for (const { traceId } of page.data) if (traceId) found.add(traceId)
      if (!page.meta?.cursor || page.meta.cursor === cursor) return found
      cursor = page.meta.cursor
    }
  }

  async function tracesOfOldServer(user: string | undefined, session: string | undefined): Promise<Set<string>> {
    const found = new Set<string>()
    for (let number = 1; ; number++) {
      const query = new URLSearchParams({ page: String(number), limit: String(OLD_PAGE), tags: `tenant:${tenant}` })
      if (user !== undefined) query.set('userId', user)
      if (session !== undefined) query.set('sessionId', session)
      const page = await ask<{ data: { id: string }[]; meta: { totalPages: number } }>(
        'GET',
        `/api/public/traces?${query}`,
      )
      if (page === undefined) throw new Error(`${base}: neither its observations nor its traces can be read (404)`)
      for (const { id } of page.data) found.add(id)
      if (number >= page.meta.totalPages) return found
    }
  }

  /** Undefined: the server has no such door. */
  async function ask<T>(method: 'GET' | 'DELETE', path: string, body?: unknown): Promise<T | undefined> {
    const response = await request(`${base}${path}`, {
      method,
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headersTimeout: config.timeoutMs,
      bodyTimeout: config.timeoutMs,
    })
    const text = await response.body.text()
    if (response.statusCode === 404 && method === 'GET') return undefined
    if (response.statusCode < 200 || response.statusCode > 299)
      throw new Error(`${base} answered ${response.statusCode} to ${method} ${path.split('?')[0]}`)
    return JSON.parse(text === '' ? '{}' : text) as T
  }
}
