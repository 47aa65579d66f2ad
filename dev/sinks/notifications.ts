import { z } from 'zod'
import { type HttpSink, startHttpSink } from './http-sink.ts'

/**
 * Stands in for the four services that Alertmanager notifies, each at its own address, with its documented wire format
 * and answers; what the real one would refuse is refused in its words, and listed.
 * PagerDuty: Events API v2, 202 with the dedup key, 400 with the list of errors.
 * Slack: an incoming webhook, 200 `ok`; 400 `invalid_payload` or `no_text`, 404 `no_service`.
 * Teams: a workflow with a webhook trigger, 202 and no body; 413 over 28 KB.
 * Watchdog: a service that waits for check-ins (Healthchecks, Dead Man's Snitch): 200 `OK` to any POST.
 */
export type NotifiedService = 'pagerduty' | 'slack' | 'teams' | 'watchdog'

export interface Notification {
  service: NotifiedService
  /** Which of the service's addressees: PagerDuty's routing key; else the path. */
  addressee: string
  /** When it came, as Date.now() says. */
  at: number
  status: 'firing' | 'resolved'
  title: string
  text: string
  /** The body as it came. */
  body: Record<string, unknown>
}

export interface NotificationSink extends HttpSink {
  /** Addresses and keys, as they would stand in the files of secrets. */
  secrets: {
    pagerduty_oncall_a: string
    pagerduty_oncall_b: string
    slack_oncall_url: string
    teams_url: string
    watchdog_url: string
  }
  pagerdutyUrl: string
  notifications(service?: NotifiedService): Notification[]
  refused(): string[]
}

const ROUTING_KEYS = { a: 'a1'.repeat(16), b: 'b2'.repeat(16) }
const PATHS = {
  pagerduty: '/v2/enqueue',
  slack: '/services/T00000000/B00000000/slacksecretslacksecretXX',
  teams: '/workflows/0123456789abcdef/triggers/manual/paths/invoke?sp=%2Ftriggers%2Fmanual%2Frun&sig=teamssecret',
  watchdog: '/ping/watchdogsecret',
} as const
const TEAMS_MAX_BYTES = 28 * 1024
const PAGERDUTY_MAX_BYTES = 512 * 1024

const link = z.object({ href: z.url(), text: z.string() })
const pagerdutyEvent = z.object({
  routing_key: z.string().length(32),
  event_action: z.enum(['trigger', 'acknowledge', 'resolve']),
  dedup_key: z.string().min(1).max(255),
  client: z.string().optional(),
  client_url: z.string().optional(),
  links: z.array(link).optional(),
  images: z.array(z.unknown()).optional(),
  payload: z.object({
    summary: z.string().min(1).max(1024),
    source: z.string().min(1),
    severity: z.enum(['critical', 'error', 'warning', 'info']),
    class: z.string().optional(),
    component: z.string().optional(),
    group: z.string().optional(),
    custom_details: z.record(z.string(), z.string()).optional(),
  }),
})
const slackMessage = z.object({
  attachments: z
    .array(
      z.object({
        title: z.string(),
        title_link: z.string().optional(),
        text: z.string(),
        fallback: z.string(),
        color: z.enum(['good', 'warning', 'danger']).or(z.string().regex(/^#[0-9a-f]{6}$/i)),
        mrkdwn_in: z.array(z.string()),
      }),
    )
    .min(1),
})
const textBlock = z.object({ type: z.literal('TextBlock'), text: z.string(), wrap: z.boolean().optional() })
const teamsMessage = z.object({
  type: z.literal('message'),
  attachments: z
    .array(
      z.object({
        contentType: z.literal('application/vnd.microsoft.card.adaptive'),
        contentUrl: z.null(),
        content: z.object({
          type: z.literal('AdaptiveCard'),
          version: z.string(),
          body: z.array(textBlock.extend({ color: z.string().optional() })).min(1),
        }),
      }),
    )
    .length(1),
})
const webhookMessage = z.object({
  version: z.literal('4'),
  status: z.enum(['firing', 'resolved']),
  receiver: z.string(),
  commonLabels: z.record(z.string(), z.string()),
  alerts: z.array(z.object({ status: z.enum(['firing', 'resolved']), labels: z.record(z.string(), z.string()) })),
})

type Taken = Omit<Notification, 'at' | 'body'> & { status: Notification['status'] }
type Answer = { status: number; body?: string; headers?: Record<string, string>; taken?: Taken }

export async function startNotificationSink({ port = 0 }: { port?: number } = {}): Promise<NotificationSink> {
  const notifications: Notification[] = []
  const refused: string[] = []
  const sink = await startHttpSink(port, ({ request, body }) => {
    const at = Date.now()
    const service = (Object.keys(PATHS) as NotifiedService[]).find((name) => PATHS[name] === request.url)
    if (service === undefined || request.method !== 'POST') return { status: 404, body: 'no_service' }
    let json: unknown
    try {
      json = JSON.parse(body.toString('utf8'))
    } catch {
      json = undefined
    }
    const { taken, ...reply } = ANSWERS[service](json, body.length)
    if (taken === undefined) refused.push(`${service}: ${reply.status} ${reply.body}`)
    else notifications.push({ ...taken, at, body: json as Record<string, unknown> })
    return reply
  })
  return {
    ...sink,
    secrets: {
      pagerduty_oncall_a: ROUTING_KEYS.a,
      pagerduty_oncall_b: ROUTING_KEYS.b,
      slack_oncall_url: `${sink.url}${PATHS.slack}`,
      teams_url: `${sink.url}${PATHS.teams}`,
      watchdog_url: `${sink.url}${PATHS.watchdog}`,
    },
    pagerdutyUrl: `${sink.url}${PATHS.pagerduty}`,
    notifications: (service) => notifications.filter((one) => service === undefined || one.service === service),
    refused: () => [...refused],
  }
}

const ANSWERS: Record<NotifiedService, (json: unknown, bytes: number) => Answer> = {
  pagerduty(json, bytes) {
    const event = pagerdutyEvent.safeParse(json)
    const errors = event.success
      ? Object.values(ROUTING_KEYS).includes(event.data.routing_key)
        ? []
        : ["'routing_key' is invalid (must be a known integration key)"]
      : event.error.issues.map(({ path, message }) => `'${path.join('.')}' ${message}`)
    if (!event.success || errors.length > 0) {
      const document = { status: 'invalid event', message: 'Event object is invalid', errors }
      return { status: 400, headers: { 'content-type': 'application/json' }, body: JSON.stringify(document) }
    }
    if (bytes > PAGERDUTY_MAX_BYTES) return { status: 413, body: 'Request entity too large' }
    const { data } = event
    return {
      status: 202,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ status: 'success', message: 'Event processed', dedup_key: data.dedup_key }),
      taken: {
        service: 'pagerduty',
        addressee: data.routing_key,
        status: data.event_action === 'resolve' ? 'resolved' : 'firing',
        title: data.payload.summary,
        text: Object.values(data.payload.custom_details ?? {}).join('\n'),
      },
    }
  },
  slack(json) {
    const message = slackMessage.safeParse(json)
    if (!message.success) return { status: 400, body: 'invalid_payload' }
    const [attachment] = message.data.attachments
    const { title, text, color } = attachment!
    if (`${title}${text}`.trim() === '') return { status: 400, body: 'no_text' }
    // An incoming webhook knows no status: what people see of it is the colour.
    const status = color === 'good' ? 'resolved' : 'firing'
    return {
      status: 200,
      headers: { 'content-type': 'text/html' },
      body: 'ok',
      taken: { service: 'slack', addressee: PATHS.slack, status, title, text },
    }
  },
  teams(json, bytes) {
    if (bytes > TEAMS_MAX_BYTES) return { status: 413, body: 'Request Entity Too Large' }
    const message = teamsMessage.safeParse(json)
    if (!message.success)
      return { status: 400, body: JSON.stringify({ error: { code: 'TriggerInputSchemaMismatch' } }) }
    const [title, ...rest] = message.data.attachments[0]!.content.body
    return {
      status: 202,
      taken: {
        service: 'teams',
        addressee: PATHS.teams,
        status: title?.color === 'Good' ? 'resolved' : 'firing',
        title: title?.text ?? '',
        text: rest.map(({ text }) => text).join('\n'),
      },
    }
  },
  watchdog(json) {
    const message = webhookMessage.safeParse(json)
    if (!message.success) return { status: 400, body: 'not a webhook of Alertmanager' }
    const { commonLabels, status } = message.data
    const taken = {
      service: 'watchdog',
      addressee: PATHS.watchdog,
      status,
      title: commonLabels.alertname ?? '',
      text: '',
    } as const
    return { status: 200, body: 'OK', taken }
  },
}
