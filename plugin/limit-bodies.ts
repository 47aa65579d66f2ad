/**
 * Cuts the base64 bodies of a tap's capture to `maxBytes` each, in place. A request keeps its head. A response keeps
 * head and tail, because the usage stands at the end. An encoded (compressed) body cannot be read without its middle:
 * it is left whole, under the tap's own cap.
 */
export function limitBodies(capture: Record<string, unknown>, maxBytes: number): void {
  const { request_body, response_body, response_tail } = capture
  if (typeof request_body === 'string' && decodedLength(request_body) > maxBytes)
    capture.request_body = head(request_body, maxBytes)
  if (typeof response_body !== 'string' || isEncoded(capture)) return
  const tail = typeof response_tail === 'string' ? response_tail : ''
  if (decodedLength(response_body) + decodedLength(tail) <= maxBytes) return
  const half = Math.floor(maxBytes / 2)
  capture.response_body = head(response_body, half)
  capture.response_tail = end(tail === '' ? response_body : tail, half)
}

/** Groups of four base64 digits are three bytes: cutting between groups cuts between bytes. */
function head(base64: string, bytes: number): string {
  return base64.slice(0, Math.floor(bytes / 3) * 4)
}

function end(base64: string, bytes: number): string {
  return base64.slice(Math.max(0, base64.length - Math.floor(bytes / 3) * 4))
}

function decodedLength(base64: string): number {
  return Math.floor((base64.length * 3) / 4)
}

function isEncoded(capture: Record<string, unknown>): boolean {
  const log = capture.log as { response?: { headers?: Record<string, unknown> } } | undefined
  const encoding = log?.response?.headers?.['content-encoding']
  return encoding !== undefined && encoding !== 'identity' && encoding !== ''
}
