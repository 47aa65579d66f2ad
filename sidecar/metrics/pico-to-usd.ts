import { decimalUsd } from '../call.ts'

/** The float64 nearest to an exact amount: through its decimal text, never by dividing a float. */
export function picoToUsd(picoUsd: bigint): number {
  return Number(decimalUsd(picoUsd))
}
