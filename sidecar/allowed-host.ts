import { isIP } from 'node:net'

export interface HostSettings {
  host: string
  hosts: readonly string[]
}

export interface RequestOrigin {
  /** The Host header (`:authority`), with or without port. */
  host: string | undefined
  /** The Origin header, as browsers send it. */
  origin?: string | undefined
}

/** Which header is to blame; undefined: neither. */
export type HostFault = 'host' | 'origin' | undefined

/**
 * Keeps web pages out: one that lets its own name point to this machine (DNS rebinding) comes with that name as Host, one of
 * another site comes with its Origin. A Host passes that no stranger's DNS can give: an address, a name without a dot
 * (`localhost`, `sidecar`), the cluster's own names, the configured ones. An Origin passes that is this very host.
 * Not for requests by a unix socket: no page reaches it, and its clients send any Host.
 */
export function allowedHost({ host: own, hosts }: HostSettings): (request: RequestOrigin) => HostFault {
  const named = new Set([own, ...hosts].map((name) => name.toLowerCase()))
  const known = (name: string) =>
    isIP(name) !== 0 ||
    !name.includes('.') ||
    named.has(name) ||
    PRIVATE_SUFFIXES.some((suffix) => name.endsWith(suffix))
  return ({ host, origin }) => {
    const name = nameOf(host)
    if (name === undefined || name === '' || !known(name)) return 'host'
    if (origin === undefined) return undefined
    // Address and port: a page of another port of this machine is another site too.
    return URL.canParse(origin) && new URL(origin).host.toLowerCase() === host?.toLowerCase() ? undefined : 'origin'
  }
}

/** Names that the public DNS does not give: those of Kubernetes, and ICANN's for private use. */
const PRIVATE_SUFFIXES = ['.svc', '.cluster.local', '.internal', '.localhost']

/** `observer:8086`, `[::1]:8086`, in small letters, without the port and a last dot. */
function nameOf(host: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(host ?? '')
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '')
}
