import { type DestinationStream, type Logger, pino } from 'pino'

export const LOG_LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type { Logger } from 'pino'

/** One JSON object a line: level as a word, time as ISO 8601. Requests carry `request_id`, calls `trace_id`. */
export function makeLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level: level.toLowerCase(),
    base: { service: 'kong-llm-observer' },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label.toUpperCase() }) },
    redact: { paths: ['headers.authorization', 'req.headers.authorization', 'token'], censor: '***' },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
