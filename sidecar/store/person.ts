import type { LlmCall } from '../call.ts'

/** Whose calls: of a tenant all of them, or those of its users and sessions, each as the store holds it. */
export interface Person {
  /** A key of sidecar/tenant.ts. */
  tenant: string
  /** The forms in which one user may stand here; absent: every user. */
  users?: readonly string[] | undefined
  sessions?: readonly string[] | undefined
}

export function isOf({ tenant, users, sessions }: Person, call: Pick<LlmCall, 'tenant' | 'user' | 'session'>): boolean {
  return (
    call.tenant === tenant &&
    (users === undefined || (call.user !== undefined && users.includes(call.user))) &&
    (sessions === undefined || (call.session !== undefined && sessions.includes(call.session)))
  )
}

/** What can hold words of the conversation. */
export function withoutContent(call: LlmCall): LlmCall {
  const { content: _content, errorMessage: _message, ...rest } = call
  const guardrails = call.guardrails.map(({ reason: _reason, categories: _categories, ...event }) => event)
  if (rest.parameters?.stopSequences === undefined) return { ...rest, guardrails }
  const { stopSequences: _stop, ...parameters } = rest.parameters
  return { ...rest, guardrails, parameters }
}

/** The same, and nothing that names who called. What is billed, by which tenant, when and with which result stays. */
export function withoutPerson(call: LlmCall): LlmCall {
  const { user: _user, session: _session, consumer: _consumer, claimedTenant: _claimed, ...rest } = withoutContent(call)
  if (rest.agent === undefined) return rest
  const { target: _target, session: _agentSession, taskId: _task, ...agent } = rest.agent
  return { ...rest, agent }
}

/** Whether there is something that `withoutPerson` would take away. */
export function hasPerson(call: LlmCall): boolean {
  const { agent } = call
  return (
    hasContent(call) ||
    [call.user, call.session, call.consumer, call.claimedTenant, agent?.target, agent?.session, agent?.taskId].some(
      (value) => value !== undefined,
    )
  )
}

/** Whether there is something that `withoutContent` would take away. */
export function hasContent(call: LlmCall): boolean {
  return (
    call.content !== undefined ||
    call.errorMessage !== undefined ||
    call.parameters?.stopSequences !== undefined ||
    call.guardrails.some(({ reason, categories }) => reason !== undefined || categories !== undefined)
  )
}
