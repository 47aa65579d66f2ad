import { X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import { z } from 'zod'
import { type Secret, secretSchema } from './secret.ts'

export const tlsSchema = z.strictObject({
  /** PEM: the sidecar's certificate, and those between it and its authority. */
  cert: secretSchema,
  key: secretSchema,
  /** PEM: who signs the certificates of plugins. With it captures and totals are taken from holders of one alone. */
  clientCa: secretSchema.optional(),
})
export interface TlsSettings {
  cert: Secret
  key: Secret
  clientCa?: Secret | undefined
}

type Environment = Readonly<Record<string, string | undefined>>
export type TlsOptions = Pick<
  SecureContextOptions,
  'cert' | 'key' | 'ca' | 'minVersion' | 'sessionIdContext' | 'secureOptions'
>

/** What a TLS server is made with, and `setSecureContext` puts in force. Throws where a certificate or key is none, or they are no pair. */
export function tlsOptions({ cert, key, clientCa }: TlsSettings, environment: Environment): TlsOptions {
  const options: TlsOptions = {
    cert: cert.reveal(environment),
    key: key.reveal(environment),
    ...(clientCa !== undefined && { ca: clientCa.reveal(environment) }),
    minVersion: 'TLSv1.2',
  }
  try {
    createSecureContext(options)
    if (options.ca !== undefined) new X509Certificate(String(options.ca))
  } catch (error) {
    throw new Error(`listen.tls: the certificate, its key or clientCa is not valid: ${(error as Error).message}`)
  }
  return options
}

/**
 * Whether a request came with a certificate that was checked. Node takes a resumed session of TLS 1.3 for checked, also
 * one that began without a certificate: so there has to be one.
 */
export function showedCertificate(socket: unknown): boolean {
  return socket instanceof TLSSocket && socket.authorized && Object.keys(socket.getPeerCertificate() ?? {}).length > 0
}

/** A server for the unix socket beside a TLS door: the same requests, without TLS. Who may open the file is checked by the system. */
export function plainTwin(server: Server): Server {
  const twin = createServer((request, response) => server.emit('request', request, response))
  twin.requestTimeout = server.requestTimeout
  twin.keepAliveTimeout = server.keepAliveTimeout
  return twin
}
