/**
 * What people read when a scenario's alert fires: summary and description, rendered. By alert, and by the scenario's course
 * where there are several.
 */
export const SAID: Readonly<Record<string, readonly [summary: string, description: string]>> = {
  LLMProviderDown: [
    'Provider openai fails most calls',
    '100% of the calls of openai in the last 30 seconds failed with server errors, timeouts or rate limits.',
  ],
  'LLMProviderDown: among many calls that Kong limits': [
    'Provider openai fails most calls',
    '100% of the calls of openai in the last 30 seconds failed with server errors, timeouts or rate limits.',
  ],
  LLMProviderErrors: [
    'Provider openai fails more than one call in ten',
    '20% of the calls of openai failed in the last 5 minutes.',
  ],
  LLMProviderRateLimited: [
    'Provider openai refuses calls with 429',
    "10% of the calls of openai in the last 15 minutes met the provider's rate limit.",
  ],
  LLMLatencyHigh: [
    'Calls of gpt-4o at openai take long',
    '95 % of the calls take up to 58.5s; more than 30 s for 10 minutes.',
  ],
  LLMFirstTokenSlow: [
    'gpt-4o at openai begins its answers late',
    'The first byte of 95 % of the answers comes within 7.375s; more than 5 s for 10 minutes.',
  ],
  LLMFailOver: [
    'Kong fails over from openai',
    '0.30 failed attempts for each call of openai in the last 15 minutes; clients still get answers, later.',
  ],
  LLMAnswersCutOff: [
    'Answers of gpt-4o are cut off',
    '87.3% of the answers of the last hour ended at their limit of tokens, and were paid for.',
  ],
  LLMTrafficStopped: [
    'No LLM call has been seen for 15 minutes',
    'In the day before there was no such silence. Either clients are gone, or Kong or the plugin no longer sees them.',
  ],
  'LLMTrafficStopped: one Kong of two is down': [
    'No LLM call has been seen for 15 minutes',
    'In the day before there was no such silence. Either clients are gone, or Kong or the plugin no longer sees them.',
  ],
  LLMSuccessBurnFast: [
    'SLO “LLM calls succeed” burns its error budget fast',
    '13.03% of the events were bad; promised are at most 0.5 % over 30 days. At this speed a large part of the month’s budget is gone within hours.',
  ],
  'LLMSuccessBurnFast: six hours, six times too much': [
    'SLO “LLM calls succeed” burns its error budget fast',
    '3.5% of the events were bad; promised are at most 0.5 % over 30 days. At this speed a large part of the month’s budget is gone within hours.',
  ],
  LLMSuccessBurnSlow: [
    'SLO “LLM calls succeed” burns its error budget slowly',
    '2% of the events were bad; promised are at most 0.5 % over 30 days. At this speed the month’s budget will not last.',
  ],
  'LLMSuccessBurnSlow: three days, just over the promise': [
    'SLO “LLM calls succeed” burns its error budget slowly',
    '0.626% of the events were bad; promised are at most 0.5 % over 30 days. At this speed the month’s budget will not last.',
  ],
  LLMLatencyBurnFast: [
    'SLO “LLM calls end within 10 s” burns its error budget fast',
    '65.36% of the events were bad; promised are at most 5 % over 30 days. At this speed a large part of the month’s budget is gone within hours.',
  ],
  'LLMLatencyBurnFast: six hours, six times too much': [
    'SLO “LLM calls end within 10 s” burns its error budget fast',
    '32% of the events were bad; promised are at most 5 % over 30 days. At this speed a large part of the month’s budget is gone within hours.',
  ],
  LLMLatencyBurnSlow: [
    'SLO “LLM calls end within 10 s” burns its error budget slowly',
    '18% of the events were bad; promised are at most 5 % over 30 days. At this speed the month’s budget will not last.',
  ],
  'LLMLatencyBurnSlow: three days, just over the promise': [
    'SLO “LLM calls end within 10 s” burns its error budget slowly',
    '5.565% of the events were bad; promised are at most 5 % over 30 days. At this speed the month’s budget will not last.',
  ],
  LLMFreshnessBurnFast: [
    'SLO “Telemetry is fresh” burns its error budget fast',
    '14.24% of the events were bad; promised are at most 0.1 % over 30 days. At this speed a large part of the month’s budget is gone within hours.',
  ],
  LLMFreshnessBurnSlow: [
    'SLO “Telemetry is fresh” burns its error budget slowly',
    '5% of the events were bad; promised are at most 0.1 % over 30 days. At this speed the month’s budget will not last.',
  ],
  LLMCostSpike: [
    'Tenant blue spends five times as fast as on the day before',
    '30 USD an hour, for 10 minutes, and twice as much as a day ago at this time.',
  ],
  LLMUnpricedCalls: [
    'Calls of gpt-4o at openai have no price',
    '159 calls of the last hour are not in any cost: unknown_model.',
  ],
  LLMUsageUnknown: [
    'Of many calls of blue nobody knows the tokens',
    '11.74% of the calls of the last hour have an unknown usage, and so no cost.',
  ],
  LLMEstimatedShareHigh: [
    'More than a tenth of what blue spends is estimated',
    '43.18% of the cost of the last 6 hours rests on tokens counted from texts.',
  ],
  LLMUnreadUsage: [
    'A provider counts something in its usage that nobody reads',
    '159 calls of the last hour have a counted key in their usage that is in no amount: they may cost more than is known.',
  ],
  LLMBillDiffersFromList: [
    'What openai bills is not what our list says',
    '7.84% of the cost of the last day differs from the list. The bill is the cost; calls without a bill are priced by the list.',
  ],
  LLMUnattributedSpend: [
    'Money is spent that no tenant can be charged for',
    '43.18% of the cost of the last 6 hours belongs to no tenant.',
  ],
  LLMFailedCallsCostMoney: [
    'Tenant blue pays for calls that failed',
    '22.8% of the cost of the last 6 hours went to calls without a good answer.',
  ],
  LLMPricesOld: [
    'The list prices were last compared with their source over 60 days ago',
    'They are 60d 2h 0m 0s old: new models have no price, and changed ones a wrong one.',
  ],
  LLMPriceFileRefused: [
    'A change of the price file was refused',
    'The file has mistakes; the prices before it stay in force. The sidecar’s log names them.',
  ],
  LLMCacheHitRateDropped: [
    'The semantic cache answers half as many calls of blue as a day ago',
    'It answers 10% of the calls of the last hour.',
  ],
  LLMBudgetHalfSpent: [
    'Half of the month’s budget of blue is spent before half of the month is over',
    '51% of the ceiling is spent.',
  ],
  LLMBudgetNearlySpent: [
    '80 % of the month’s budget of blue is spent',
    '81% of the ceiling is spent. Nothing is refused: ceilings are watched, not enforced.',
  ],
  LLMBudgetExceeded: [
    'The month’s budget of blue is spent',
    '100% of the ceiling is spent. Nothing is refused: ceilings are watched, not enforced.',
  ],
  LLMBudgetForecastExceeded: [
    'The month’s budget of blue will not last',
    'At the speed of the last day 783% of the ceiling will be spent at the end.',
  ],
  LLMBudgetExceededSoon: [
    'The month’s budget of blue will be spent within three days',
    'At the speed of the last day 110.2% of the ceiling will be spent in three days.',
  ],
  LLMBudgetBlind: [
    'What blue spends of the month’s budget is not fully known',
    '12 calls of the month have no price: the tenant has spent more than the budget shows.',
  ],
  LLMCostAnomaly: [
    'The cost of blue with gpt-4o is out of the ordinary',
    '1.2k USD an hour, outside the band of the last 26 hours, and half as much again as a day ago at this time.',
  ],
  LLMTrafficAnomaly: [
    'There are more calls of blue with gpt-4o than usual',
    '400 calls a minute, outside the band of the last 26 hours, and half as much again as a day ago at this time.',
  ],
  LLMTrafficLost: [
    'The calls of blue with gpt-4o have stopped',
    'Usual were 39.27 calls a minute in the last 26 hours; less than a tenth of them is left.',
  ],
  LLMGuardrailSurge: [
    'The guardrail ai-prompt-guard blocks much more of blue than usual',
    '75 calls in 15 minutes, five times the rate of the day before. An attack, or a rule that has just become too strict.',
  ],
  LLMRefusalsHigh: [
    'gpt-4o refuses many answers',
    '24.96% of the answers of the last hour were refused or filtered by the provider.',
  ],
  LLMTenantForged: [
    'Clients of blue name themselves another tenant',
    '60 calls in 15 minutes named a tenant that Kong did not authenticate. They were charged to blue.',
  ],
  LLMUnauthorizedSurge: [
    'Many calls of blue are not allowed',
    '33.33% of the calls of the last 10 minutes ended with 401 or 403: a key has expired, or somebody tries keys.',
  ],
  LLMKongDown: ['Kong kong:8100 is down', 'Its status listener has not answered for a minute.'],
  LLMKongErrors: ['Kong itself answers requests of openai with 5xx', '16.67% of the requests of the last 5 minutes.'],
  LLMKongSlow: [
    'Kong adds much time to requests of openai',
    '95 % of the requests spend up to 242.5 ms in Kong and its plugins.',
  ],
  LLMKongTargetUnhealthy: ['Kong finds a:443 of llm unhealthy', 'Requests go to the other targets, if there are any.'],
  LLMKongMemory: ['Kong’s shared memory kong is nearly full', '95% of it is used.'],
  LLMObserverDown: [
    'The sidecar sidecar:8086 is down',
    'It has not answered a scrape for 2 minutes. The plugin holds what it can, some minutes of calls; beyond its queue they are lost, and counted.',
  ],
  LLMObserverAbsent: [
    'Prometheus scrapes no sidecar',
    'No target of the job llm-observer is known: every board and alert about calls is blind.',
  ],
  LLMStoreUnwritable: [
    'The store of sidecar:8086 cannot write',
    'Captures are refused; the plugin keeps them until its queue is full, some minutes. Then calls and their cost are lost.',
  ],
  LLMStoreRolledBack: [
    'The store of sidecar:8086 went back',
    '1.234k captures that it had acknowledged are not in it: an older file was put back, or another one. Captures are taken; the sidecar is not ready until somebody confirms it.',
  ],
  LLMStoreRowsDamaged: [
    'Rows in the store of sidecar:8086 are damaged',
    '3 calls within an hour were set aside before their sinks had them: the disk, or somebody who wrote into the file. The ledger is not touched by these.',
  ],
  LLMCaptureGaps: [
    'Calls were made that nobody counted',
    '1.818% of the captures of the last hour were lost between Kong and the sidecar, and nobody told why: their cost is missing.',
  ],
  'LLMCaptureGaps: many at once, in a series that appears with them': [
    'Calls were made that nobody counted',
    '0.8333% of the captures of the last hour were lost between Kong and the sidecar, and nobody told why: their cost is missing.',
  ],
  LLMCapturesDropped: ['Captures are lost: queue_full', '60 captures in 15 minutes: their cost is missing.'],
  'LLMCapturesDropped: many at once, and never again': [
    'Captures are lost: shutdown',
    '30 captures in 15 minutes: their cost is missing.',
  ],
  LLMCapturesInvalid: [
    'The sidecar cannot read what the plugin sends',
    '60 captures in 15 minutes were not valid. Are plugin and sidecar of versions that belong together?',
  ],
  LLMReceiveRefused: [
    'The sidecar refuses what the plugin sends: store_unavailable',
    '40 requests in 10 minutes. The plugin keeps them until its queue is full.',
  ],
  LLMLogFilling: [
    'The log of sidecar:8086 will be full within four hours',
    'Calls wait for a sink; they are heading for 3.57kiB. At the limit the oldest are dropped for the sinks that lag. Captures are taken and counted all the same.',
  ],
  LLMSinkBehind: [
    'Calls wait long for the sink loki',
    'The oldest call that waits for it is 16m 40s old. Nothing is lost while the log has room.',
  ],
  LLMSinkLosesCalls: [
    'Calls will never reach the sink loki: log_full',
    '60 calls in 15 minutes were dropped. The ledger has them all; the sink’s numbers are too low.',
  ],
  LLMDeadLetters: [
    'The sink loki refuses calls for good',
    '159 calls of the last day are dead letters: list them, mend the cause, replay them.',
  ],
  'LLMSinkLosesCalls: many at once, and never again': [
    'Calls will never reach the sink loki: log_full',
    '500 calls in 15 minutes were dropped. The ledger has them all; the sink’s numbers are too low.',
  ],
  'LLMDeadLetters: a handful at once, and never again': [
    'The sink loki refuses calls for good',
    '5 calls of the last day are dead letters: list them, mend the cause, replay them.',
  ],
  LLMPluginErrors: [
    'The plugin has errors: connection_closed',
    '159 in the last hour. The sidecar’s log has the plugin’s own words.',
  ],
  LLMSinkHoldsCalls: [
    'The sink langfuse takes no calls of a tenant',
    '7 calls wait for one tenant’s key or limit, while those of other tenants go on. Nothing is lost while the log has room.',
  ],
  LLMSeriesNearLimit: [
    'The series of sidecar:8086 are near their limit',
    '85% of the limit. At it new tenants and models are counted under __other__; the ledger keeps their names.',
  ],
  LLMTapErrors: [
    'The tap fails in Kong’s node n',
    '159 hooks failed in the last hour. Clients notice nothing; what the hooks should have gathered is missing.',
  ],
  LLMRouteUntapped: [
    'The route plain has no tap',
    '159 calls of the last hour rest on Kong’s own numbers, which are wrong for streams.',
  ],
  LLMLabelsFolded: [
    'There are more names of the kind model than the ledger’s limit',
    '159 calls of the last hour were counted under __other__.',
  ],
  LLMAmountsMalformed: [
    'A provider tells amounts that cannot be: tokens',
    '159 amounts of the last hour counted as 0.',
  ],
  LLMEstimatesFailing: [
    'Tokens cannot be counted from texts: queue_full',
    '159 calls of the last hour have no usage although their text was there.',
  ],
  LLMScoresRefused: [
    'Langfuse refuses scores of guardrail events',
    '159 scores of the last hour are lost for good; the events are on the traces and in the ledger.',
  ],
  LLMEventLoopSlow: [
    'The sidecar sidecar:8086 is overloaded',
    'Its event loop is late by 800ms (p99): it nears what one process can take.',
  ],
  LLMAlertsNotDelivered: [
    'Alertmanager cannot deliver by slack',
    '40 notifications failed in 10 minutes: somebody is not being told.',
  ],
  LLMRulesFailing: ['Prometheus cannot evaluate llm-calls', 'Alerts and recorded series of this group are missing.'],
}
