import { readFileSync } from 'node:fs'
import { buildConnector } from 'undici'

/** PEM as text, or the absolute path of a file that holds it. */
export interface TlsConfig {
  /** Who signs the sidecar's certificate; undefined: the authorities that Node knows. */
  ca: string | undefined
  /** The plugin's own, where the sidecar asks for one (`listen.tls.clientCa`). */
  cert: string | undefined
  key: string | undefined
}

/**
 * Connections to the sidecar. Files are read for each new one, so that certificates are exchanged without a restart; a
 * connection that is open stays as it is.
 */
export function makeConnector({ ca, cert, key }: TlsConfig): buildConnector.connector {
  return (options, callback) => {
    let connect: buildConnector.connector
    try {
      connect = buildConnector({
        ...(ca !== undefined && { ca: read(ca) }),
        ...(cert !== undefined && { cert: read(cert) }),
        ...(key !== undefined && { key: read(key) }),
        // Another certificate is checked anew.
        maxCachedSessions: 0,
      })
    } catch (error) {
      callback(error as Error, null)
      return
    }
    connect(options, callback)
  }
}

function read(value: string): string {
  return value.startsWith('/') ? readFileSync(value, 'utf8') : value
}
