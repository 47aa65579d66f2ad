import type { PriceBook } from '../../pricing/price-book.ts'
import type { Content, GuardrailEvent, LlmCall } from '../call.ts'
import type { Capture } from '../capture.ts'
import { agentOfKong, readingOfAgent } from '../dialects/agent-protocols.ts'
import type { Exchange, Reading } from '../dialects/dialect.ts'
import { defaultProviderOf, type RequestBody, read, requestBodyOf } from '../dialects/index.ts'
import { decodeText } from '../dialects/json-value.ts'
import { type KongAiReading, readKongAiLog } from '../dialects/kong-ai-log.ts'
import { blocksAnswer, kongGuardrails } from '../dialects/kong-guardrails.ts'
import { providerOfHost } from '../dialects/provider-of-host.ts'
import { type ContentPolicyConfig, storedMode } from '../redaction/policy.ts'
import type { Redactor } from '../redaction/redact.ts'
import { type AttributionConfig, attribute, personMode } from './attribute.ts'
import { billedLinesOf } from './billed-lines.ts'
import { boundContent } from './bound-content.ts'
import { exchangeOf, headersOf, isEncodedAndCut } from './exchange-of.ts'
import { modelName } from './model-name.ts'
import { outcomeOf } from './outcome.ts'
import { price } from './price.ts'
import { readAttempts } from './read-attempts.ts'
import { priceLookup, readCache, type SemanticCacheConfig } from './read-cache.ts'
import { readRateLimit } from './read-rate-limit.ts'
import { filledByKong, readingOfLog, readingOfTranslated, readingOfUpgrade } from './reading-without-bodies.ts'
import { callId, remoteSpan, traceOf, traceOfKong } from './trace.ts'

export interface ObserveOptions {
  book: PriceBook
  attribution: AttributionConfig
  semanticCache: SemanticCacheConfig
  redactor: Redactor
  /** Who keeps content; absent: redacted content for everybody. */
  policy?: ContentPolicyConfig
  /** The sinks that there are: the log keeps what the one with the most may have. */
  sinks?: readonly string[]
  /** Kong service name or host → provider. */
  providers: Readonly<Record<string, string>>
  /** Bytes of content kept for a call. */
  maxContentBytes: number
  /** Whether content is kept at all. */
  content: boolean
}

const MAX_NAME = 256
const MAX_ERROR = 300
const MAX_LIST = 128
/** The last instant that a Date can hold: whatever the wire says, the ledger gets a time that it can file. */
const MAX_TIME = 8.64e15

/** Reading → reading: an estimate where the provider said nothing. */
export type Estimate = (reading: Reading) => Reading | Promise<Reading>

/** Capture → LlmCall: read, attribute, price, redact. Pure: no clock, no network, no file; the same in, the same out. */
export function makeObserver(options: ObserveOptions): (capture: Capture) => LlmCall {
  const begin = makeReader(options)
  return (capture) => {
    const { reading, finish } = begin(capture)
    return finish(reading)
  }
}

/** The same with an estimate between reading and pricing, where `estimate` has one: only such a call takes time. */
export function makeEstimatingObserver(
  options: ObserveOptions & { estimateWhenContentOff: boolean },
  estimate: Estimate,
): (capture: Capture) => LlmCall | Promise<LlmCall> {
  const begin = makeReader(options)
  return (capture) => {
    const { reading, finish } = begin(capture)
    // Where content is off, its text is looked at for usage alone, and only if the operator lets it be.
    const allowed = (options.content && capture.content === 'on') || options.estimateWhenContentOff
    const estimated = allowed ? estimate(reading) : reading
    return estimated instanceof Promise ? estimated.then(finish) : finish(estimated)
  }
}

interface Begun {
  reading: Reading
  finish: (reading: Reading) => LlmCall
}

function makeReader(options: ObserveOptions): (capture: Capture) => Begun {
  const people = personMode(options.attribution)
  return (capture) => {
    const { log } = capture
    const requestHeaders = headersOf(log.request.headers)
    const responseHeaders = headersOf(log.response.headers)
    const exchange = exchangeOf(capture, requestHeaders, responseHeaders)
    const body = exchange === undefined ? undefined : requestBodyOf(exchange)
    const httpStatus = log.response.status
    const stream = responseHeaders['content-type']?.startsWith('text/event-stream') ?? false
    const guards = kongGuardrails(log.ai)
    // A guard refused the answer that the model had given: the client was told 400, the provider bills it all the same. Not every
    // guard says so in the log; but what else would tell a client 400 or 403 in place of the provider's 200?
    const answerBlocked =
      (httpStatus === 400 || httpStatus === 403 || blocksAnswer(guards)) &&
      /(?:^|\D)200$/.test(String(log.upstream_status ?? ''))
    const kong =
      log.ai == null
        ? undefined
        : readKongAiLog(log.ai, { status: httpStatus, source: log.source, stream, answerBlocked })
    const seen =
      capture.upgrade != null
        ? readingOfUpgrade(capture.upgrade, httpStatus)
        : exchange === undefined
          ? readingOfLog(kong, stream, httpStatus)
          : filledByKong(
              // What was seen may be the provider's answer as it came.
              readSeen(answerBlocked ? { ...exchange, status: 200 } : exchange, body, kong),
              kong,
              answerBlocked,
            )
    // Kong's MCP and A2A proxies say what they saw, whatever the bodies told.
    const agent = seen.agent === undefined && log.ai != null ? agentOfKong(log.ai) : undefined
    return { reading: agent === undefined ? seen : readingOfAgent(agent, stream), finish }

    function finish(reading: Reading): LlmCall {
      const who = attribute(capture, body?.cut === false ? body.members : undefined, options.attribution)
      const { provider, guessed } = providerOf(capture, reading, kong, options.providers)
      const startedAt = epochMs(log.started_at)
      const { status: cache, lookup } = readCache(log, responseHeaders, options.semanticCache)
      const durationMs = duration(log.latencies?.request ?? 0)
      const priced = price(reading, {
        book: options.book,
        tenant: who.tenant,
        provider,
        providerGuessed: guessed,
        startedAt,
        durationMs,
        httpStatus,
        answerBlocked,
        gatewayTimeout: httpStatus === 504 && log.source !== 'upstream' && log.source != null,
        cache,
      })
      // A connection that failed was another target's, or the same one's again: who was billed for it nobody saw.
      const reasons = [...priced.reasons, ...((log.tries?.length ?? 0) > 1 ? (['attempts_unseen'] as const) : [])]
      const outcome = outcomeOf(
        capture,
        reading.error,
        [...reading.guardrails, ...guards],
        // That the answer came whole is one fact, that our copy of it is whole another.
        capture.response_complete !== false || exchange?.responseComplete === true,
        () => textOf(exchange),
        answerBlocked,
      )
      const id = callId(capture.node, log.request.id, log.started_at)
      const firstByteMs =
        capture.first_byte_at == null ? undefined : duration(epochMs(capture.first_byte_at * 1000) - startedAt)
      const mode =
        options.policy === undefined
          ? 'redacted'
          : storedMode({ tenant: who.tenant, gateway: gatewayOf(capture) }, options.sinks ?? [], options.policy)
      const allowsContent = options.content && capture.content === 'on' && mode !== 'off'
      const keepsContent = allowsContent && reading.content !== undefined
      const failed = outcome.status !== 'ok'

      const requestModel = modelName(reading.requestModel)
      const responseModel = modelName(reading.responseModel)
      const serverAddress = log.service?.host?.slice(0, MAX_NAME)
      const serverPort = portOf(log.service?.port)
      const parameters = parametersOf(reading, keepsContent, options.redactor, who.tenant)
      const usageReason =
        priced.usageReason !== undefined
          ? priced.usageReason
          : priced.usageSource === 'unknown' && isEncodedAndCut(capture, responseHeaders)
            ? 'encoded_truncated'
            : priced.usageSource === reading.usageSource
              ? reading.usageReason
              : undefined
      const billedLines = billedLinesOf(reading)
      // A provider's words may quote the prompt: where content may not rest, its code for the error has to do.
      const errorMessage = failed && allowsContent ? redactedError(reading, options.redactor, who.tenant) : undefined
      const rateLimit = readRateLimit(responseHeaders, {
        httpStatus,
        source: log.source,
        endedAt: startedAt + durationMs,
      })
      const attempts = readAttempts(log, {
        httpStatus,
        failed,
        startedAt,
        durationMs,
        picoUsd: priced.cost.state === 'priced' ? priced.cost.picoUsd : undefined,
      })

      // Member by member, in the order in which it is written down: a spread for each absent one costs more than reading the call.
      const call = { v: 1, id, requestId: log.request.id, startedAt, durationMs } as LlmCall
      if (firstByteMs !== undefined) call.timeToFirstByteMs = firstByteMs
      call.operation = reading.operation
      call.dialect = reading.dialect
      call.stream = reading.stream || stream
      call.provider = provider
      if (serverAddress !== undefined) call.serverAddress = serverAddress
      if (serverPort !== undefined) call.serverPort = serverPort
      if (requestModel !== undefined) call.requestModel = requestModel
      if (responseModel !== undefined) call.responseModel = responseModel
      call.model = responseModel ?? requestModel ?? 'unknown'
      if (reading.responseId !== undefined) call.responseId = reading.responseId.slice(0, MAX_NAME)
      if (reading.serviceTier !== undefined) call.serviceTier = reading.serviceTier.slice(0, MAX_NAME)
      if (reading.systemFingerprint !== undefined) call.systemFingerprint = reading.systemFingerprint.slice(0, MAX_NAME)
      if (parameters !== undefined) call.parameters = parameters
      if (reading.finishReasons !== undefined)
        call.finishReasons = reading.finishReasons.slice(0, MAX_LIST).map((reason) => reason.slice(0, MAX_NAME))

      call.tenant = who.tenant
      if (who.tenantName !== undefined) call.tenantName = who.tenantName
      call.tenantSource = who.tenantSource
      if (who.claimedTenant !== undefined) call.claimedTenant = who.claimedTenant
      if (who.consumer !== undefined) call.consumer = who.consumer
      if (who.user !== undefined) call.user = options.redactor.person(who.user, who.tenant, people)
      if (who.session !== undefined) call.session = options.redactor.person(who.session, who.tenant, people)
      if (who.team !== undefined) call.team = who.team
      if (who.app !== undefined) call.app = who.app
      if (who.environment !== undefined) call.environment = who.environment
      call.gateway = gatewayOf(capture)

      call.usage = priced.usage
      call.usageSource = priced.usageSource
      if (usageReason !== undefined) call.usageReason = usageReason
      if (reasons.length > 0) call.reasons = reasons
      if (reading.unreadUsage !== undefined && reasons.includes('unread_usage')) call.unreadUsage = reading.unreadUsage
      if (reading.rawUsage !== undefined) call.rawUsage = reading.rawUsage
      if (billedLines !== undefined) call.billedLines = billedLines
      if (reading.priceAttributes !== undefined) call.priceAttributes = reading.priceAttributes
      call.cost = priced.cost
      if (priced.savedPicoUsd !== undefined) call.savedPicoUsd = priced.savedPicoUsd
      if (reading.reportedPicoUsd !== undefined) call.reportedPicoUsd = reading.reportedPicoUsd

      call.status = outcome.status
      call.httpStatus = httpStatus
      if (failed) call.errorType = reading.error?.type.slice(0, MAX_NAME) ?? String(httpStatus)
      if (errorMessage !== undefined) call.errorMessage = errorMessage
      if (reading.agent !== undefined) call.agent = reading.agent
      if (cache !== undefined) call.cache = cache
      if (lookup !== undefined) call.cacheLookup = priceLookup(lookup, options.book, who.tenant, startedAt)
      if (rateLimit !== undefined) call.rateLimit = rateLimit
      if (attempts !== undefined) call.attempts = attempts
      call.guardrails = outcome.guardrails
        .slice(0, MAX_LIST)
        .map((event) => redactedEvent(event, options.redactor, who.tenant))
      call.trace = traceOf(id, who.tenant, {
        caller: remoteSpan(requestHeaders),
        trusted: who.trusted,
        kong: traceOfKong(capture, requestHeaders),
      })
      if (who.baggage !== undefined) call.baggage = who.baggage
      if (priced.answer !== undefined) call.answer = priced.answer
      if (guessed) call.providerGuessed = true
      if (keepsContent) call.content = contentOf(reading.content!, exchange, options, who.tenant, mode === 'full')
      return options.redactor.call(call)
    }
  }
}

function readSeen(exchange: Exchange, body: RequestBody | undefined, kong: KongAiReading | undefined): Reading {
  const reading = read(exchange, body)
  return (kong === undefined ? undefined : readingOfTranslated(exchange, reading)) ?? reading
}

/** Bounded and redacted in one: what is cut is cut after it was masked, so that no half of a secret is left. */
function contentOf(
  content: Content,
  exchange: Exchange | undefined,
  { maxContentBytes, redactor }: ObserveOptions,
  tenant: string,
  full: boolean,
): Content {
  const cut =
    exchange?.requestTruncated === true || exchange?.responseTail !== undefined || exchange?.responseComplete === false
  const bounded = boundContent(content, maxContentBytes, full ? undefined : redactor, {
    tenant,
    // Where an answer broke off, its last words may be half a secret.
    outputBrokeOff: exchange?.responseComplete === false,
  })
  return { ...bounded, ...(cut && { truncated: true }), ...(full && { unredacted: true as const }) }
}

function redactedError(reading: Reading, redactor: Redactor, tenant: string): string | undefined {
  const message = reading.error?.message
  if (message === undefined) return undefined
  return bounded(message, redactor, tenant)
}

/** A guard's reason may quote what it found. */
function redactedEvent(event: GuardrailEvent, redactor: Redactor, tenant: string): GuardrailEvent {
  const { reason } = event
  return reason === undefined ? event : { ...event, reason: bounded(reason, redactor, tenant) }
}

/** Short text: masked first, then cut. */
function bounded(text: string, redactor: Redactor, tenant: string): string {
  const cut = text.length > MAX_ERROR * 4
  return redactor.text(cut ? text.slice(0, MAX_ERROR * 4) : text, { cut, tenant }).slice(0, MAX_ERROR)
}

/** The operator's word, then the host, then Kong's own configuration, then whose format it is. */
function providerOf(
  { log }: Capture,
  reading: { dialect: string },
  kong: KongAiReading | undefined,
  providers: Readonly<Record<string, string>>,
): { provider: string; guessed: boolean } {
  const { service } = log
  const host = (service?.host ?? '').toLowerCase()
  const byOperator = (name: string) => (Object.hasOwn(providers, name) ? providers[name] : undefined)
  const named = byOperator(service?.name ?? '') ?? byOperator(host) ?? providerOfHost(host) ?? kong?.provider
  if (named !== undefined) return { provider: named, guessed: false }
  return { provider: defaultProviderOf(reading.dialect) ?? 'unknown', guessed: true }
}

function gatewayOf(capture: Capture): LlmCall['gateway'] {
  const { log } = capture
  const gateway: LlmCall['gateway'] = { node: capture.node, source: capture.source }
  const route = log.route?.name ?? log.route?.id
  const service = log.service?.name ?? log.service?.id
  const workspace = log.workspace_name ?? log.workspace
  const kongMs = log.latencies?.kong ?? -1
  // Kong writes -1 where it asked no upstream.
  const upstreamMs = log.latencies?.proxy ?? -1
  if (route != null) gateway.route = route
  if (service != null) gateway.service = service
  if (workspace != null) gateway.workspace = workspace
  if (kongMs >= 0) gateway.kongMs = duration(kongMs)
  if (upstreamMs >= 0) gateway.upstreamMs = duration(upstreamMs)
  if (log.tries != null) gateway.attempts = log.tries.length
  if (capture.epoch != null) gateway.epoch = capture.epoch
  if (capture.sequence != null) gateway.sequence = capture.sequence
  return gateway
}

/** Stop sequences are the client's own words: they rest only where content does, bounded and redacted. */
function parametersOf(
  { parameters }: Reading,
  keepsContent: boolean,
  redactor: Redactor,
  tenant: string,
): Reading['parameters'] {
  if (parameters === undefined) return undefined
  const { stopSequences, ...all } = parameters
  const kept: NonNullable<Reading['parameters']> = all
  if (keepsContent && stopSequences !== undefined)
    kept.stopSequences = stopSequences
      .slice(0, MAX_LIST)
      .map((stop) => redactor.text(stop, { tenant }).slice(0, MAX_NAME))
  return Object.keys(kept).length > 0 ? kept : undefined
}

function epochMs(time: number): number {
  return Math.round(Math.min(MAX_TIME, Math.max(0, time)))
}

function duration(milliseconds: number): number {
  return Math.round(Math.min(MAX_TIME, Math.max(0, milliseconds)))
}

function portOf(port: number | null | undefined): number | undefined {
  return Number.isInteger(port) && port! > 0 && port! <= 65_535 ? port! : undefined
}

function textOf(exchange: Exchange | undefined): string {
  return exchange?.responseBody === undefined ? '' : decodeText(exchange.responseBody.subarray(0, 2048))
}
