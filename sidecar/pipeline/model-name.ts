import { maskSecrets } from '../redaction/redact.ts'

const MAX_NAME = 256

/** A model's name as a label: bounded, and no credential, whatever a client wrote there. */
export function modelName(name: string | undefined): string | undefined {
  return name === undefined || name === '' ? undefined : maskSecrets(name).slice(0, MAX_NAME)
}
