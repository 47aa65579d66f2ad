import { type Capture, captureSchema } from './capture.ts'
import { makePlainCheck } from './plain-check.ts'

const isPlain = makePlainCheck(captureSchema)

/**
 * The value itself where it is a capture as plugin and tap make nearly all of them, so that `captureSchema` would give
 * back the same. Undefined says nothing: then the schema decides, drops what it does not know, and words what is wrong.
 */
export function plainCapture(value: unknown): Capture | undefined {
  return isPlain(value) ? (value as Capture) : undefined
}
