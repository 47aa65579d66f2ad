import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib'

/** A small body can unpack to any size: more than this is not kept. */
export const DECODED_LIMIT = 8 * 1024 * 1024

export interface DecodedBody {
  /** Undefined where nothing could be read. */
  bytes: Uint8Array | undefined
  /** The encoded body ended too early: these are its first bytes. */
  truncated: boolean
  reason?: 'unknown_encoding' | 'corrupt' | 'too_large'
}

type Decoder = (bytes: Uint8Array, cut: boolean, maxOutputLength: number) => Uint8Array

const gunzip: Decoder = (bytes, cut, maxOutputLength) =>
  gunzipSync(bytes, { maxOutputLength, finishFlush: cut ? constants.Z_SYNC_FLUSH : constants.Z_FINISH })

const DECODERS: Readonly<Record<string, Decoder>> = {
  gzip: gunzip,
  'x-gzip': gunzip,
  // The standard means zlib's format; many servers send the bare one.
  deflate: (bytes, cut, maxOutputLength) => {
    const options = { maxOutputLength, finishFlush: cut ? constants.Z_SYNC_FLUSH : constants.Z_FINISH }
    const zlibHeader = ((bytes[0] ?? 0) & 0x0f) === 8 && (((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)) % 31 === 0
    return zlibHeader ? inflateSync(bytes, options) : inflateRawSync(bytes, options)
  },
  br: (bytes, cut, maxOutputLength) =>
    brotliDecompressSync(bytes, {
      maxOutputLength,
      finishFlush: cut ? constants.BROTLI_OPERATION_FLUSH : constants.BROTLI_OPERATION_FINISH,
    }),
  zstd: (bytes, cut, maxOutputLength) =>
    zstdDecompressSync(bytes, {
      maxOutputLength,
      finishFlush: cut ? constants.ZSTD_e_flush : constants.ZSTD_e_end,
    }),
}

/** Undoes `Content-Encoding`. Never throws. */
export function decodeBody(
  bytes: Uint8Array,
  contentEncoding: string | undefined,
  limit: number = DECODED_LIMIT,
): DecodedBody {
  const encodings = (contentEncoding ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity')
  if (encodings.length > 4) return { bytes: undefined, truncated: false, reason: 'unknown_encoding' }
  let decoded: DecodedBody = { bytes, truncated: false }
  for (const encoding of encodings.reverse()) {
    if (decoded.bytes === undefined) break
    const decoder = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined
    if (decoder === undefined) return { bytes: undefined, truncated: false, reason: 'unknown_encoding' }
    decoded = decodeOne(decoder, decoded.bytes, decoded.truncated, limit)
  }
  return decoded
}

function decodeOne(decoder: Decoder, bytes: Uint8Array, truncated: boolean, limit: number): DecodedBody {
  if (bytes.length === 0) return { bytes, truncated }
  if (!truncated) {
    try {
      return { bytes: decoder(bytes, false, limit), truncated: false }
    } catch (error) {
      if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return { bytes: undefined, truncated: false, reason: 'too_large' }
      // Otherwise it may only have been cut: the second attempt takes what there is.
    }
  }
  try {
    return { bytes: decoder(bytes, true, limit), truncated: true }
  } catch (error) {
    const reason = codeOf(error) === 'ERR_BUFFER_TOO_LARGE' ? 'too_large' : 'corrupt'
    return { bytes: undefined, truncated: false, reason }
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
