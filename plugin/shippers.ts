import { randomBytes } from 'node:crypto'
import type { Config } from './config.ts'
import type { ErrorKind } from './errors.ts'
import { makeNotices } from './notices.ts'
import { makeSender } from './send.ts'
import { makeShipper, type Shipper } from './ship.ts'
import { version } from './version.ts'

/**
 * The shippers of this process, one for each (sidecar address, token, certificates). Kong starts a new plugin instance at every
 * change of configuration and has no hook that ends one, so instances hold none: they ask here, and a shipper that
 * nobody has used for a while and that holds nothing closes.
 */
const shippers = new Map<string, { shipper: Shipper; sidecarUrl: string }>()
const IDLE_MS = 5 * 60_000
const SWEEP_MS = 60_000

const processId = randomBytes(8).toString('hex')
/** Errors from before there was a sidecar to tell them to. */
const earlyErrors: [ErrorKind, string][] = []
const MAX_EARLY_ERRORS = 100
let made = 0
let sweeping = false

export function shipperKey(config: Config): string {
  const { ca = '', cert = '', key = '' } = config.tls
  return [config.sidecarUrl, config.intakeToken ?? '', ca, cert, key].join('\n')
}

export function shipperFor(key: string, config: Config): Shipper {
  const existing = shippers.get(key)
  if (existing !== undefined) return existing.shipper
  const shipper = makeShipper({
    instance: `${processId}-${++made}`,
    version,
    address: config.sidecarUrl,
    sender: makeSender(config.sidecarUrl, config.intakeToken, config.tls),
    settings: config,
    notices: makeNotices(),
  })
  shippers.set(key, { shipper, sidecarUrl: config.sidecarUrl })
  if (!sweeping) setInterval(() => closeIdleShippers(IDLE_MS), SWEEP_MS).unref()
  sweeping = true
  for (const [kind, message] of earlyErrors.splice(0)) shipper.fail(kind, message)
  return shipper
}

/** An error of the process, which no shipper's route had: one sidecar learns it, that of the oldest shipper. */
export function failProcess(kind: ErrorKind, message: string): void {
  const [oldest] = shippers.values()
  if (oldest !== undefined) oldest.shipper.fail(kind, message)
  else if (earlyErrors.length < MAX_EARLY_ERRORS) earlyErrors.push([kind, message])
}

/** The newest configuration of a shipper that instances share is the one in force. */
export function configureShipper(key: string, config: Config): void {
  shippers.get(key)?.shipper.configure(config)
}

/**
 * A shipper that is not used any more, but still holds what its token no longer lets through, gives it to the one
 * that took over at the same address. Without such a one it stays: it is bounded, and the sidecar may come back.
 */
export function closeIdleShippers(idleMs: number): void {
  const now = performance.now()
  for (const [key, { shipper, sidecarUrl }] of shippers) {
    if (now - shipper.lastUsedAt < idleMs) continue
    if (!shipper.idle) {
      const heir = [...shippers.values()].find(
        (other) => other.sidecarUrl === sidecarUrl && other.shipper.lastUsedAt > shipper.lastUsedAt,
      )
      if (heir !== undefined) shipper.moveTo(heir.shipper)
    }
    if (!shipper.idle) continue
    shippers.delete(key)
    void shipper.close()
  }
}

export function allShippers(): Shipper[] {
  return [...shippers.values()].map(({ shipper }) => shipper)
}
