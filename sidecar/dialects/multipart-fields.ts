const MAX_FIELDS = 64
const MAX_VALUE_BYTES = 4096

/**
 * The text fields of a `multipart/form-data` body (RFC 7578), without its files: of a cut body, those that stand whole.
 * Undefined where the content type names no boundary.
 */
export function multipartFields(body: Uint8Array, contentType: string | undefined): Record<string, string> | undefined {
  const boundary = /^multipart\/form-data\b.*?;\s*boundary=(?:"([^"]{1,200})"|([^;\s"]{1,200}))/i.exec(
    contentType ?? '',
  )
  const name = boundary?.[1] ?? boundary?.[2]
  if (name === undefined) return undefined
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const delimiter = Buffer.from(`--${name}`)
  const fields = new Map<string, string>()
  let at = bytes.indexOf(delimiter)
  for (let count = 0; at >= 0 && count < MAX_FIELDS; count++) {
    const start = at + delimiter.length
    const next = bytes.indexOf(delimiter, start)
    if (next < 0) break
    const headEnd = bytes.indexOf('\r\n\r\n', start)
    if (headEnd >= 0 && headEnd < next) {
      const head = bytes.toString('utf8', start, Math.min(headEnd, start + MAX_VALUE_BYTES))
      const field = /^content-disposition:[^\r\n]*?;\s*name="([^"]{1,100})"/im.exec(head)?.[1]
      const isFile = /;\s*filename\*?=/i.test(head)
      const value = bytes.subarray(headEnd + 4, Math.max(headEnd + 4, next - 2))
      if (field !== undefined && !isFile && value.length <= MAX_VALUE_BYTES) fields.set(field, value.toString('utf8'))
    }
    at = next
  }
  return Object.fromEntries(fields)
}
