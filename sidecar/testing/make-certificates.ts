import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Authority {
  /** PEM files. */
  ca: string
  /** A certificate for 127.0.0.1 and localhost, and its key. */
  issue(name: string): { cert: string; key: string }
}

/** A certificate authority of its own in a folder, made by openssl. */
export function makeAuthority(folder: string, name: string): Authority {
  const path = (file: string) => join(folder, `${name}-${file}`)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const [ca, caKey] = [path('ca.pem'), path('ca.key')]
  openssl('req', '-x509', ...newKey, '-keyout', caKey, '-out', ca, '-days', '2', '-subj', `/CN=${name}`)
  return {
    ca,
    issue(leaf) {
      const [cert, key, request, extensions] = [`${leaf}.pem`, `${leaf}.key`, `${leaf}.csr`, `${leaf}.ext`].map(
        path,
      ) as [string, string, string, string]
      writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
      openssl('req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${leaf}`)
      const signing = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-extfile', extensions]
      openssl('x509', '-req', '-in', request, ...signing, '-out', cert)
      return { cert, key }
    },
  }
}

/** Puts one PEM file's content in the place of another's. */
export function replaceFile(file: string, by: string): void {
  writeFileSync(file, readFileSync(by))
}
