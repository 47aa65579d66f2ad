/** The float64 nearest to an exact amount: through its decimal text, never by dividing a float. */
export function picoToUsd(picoUsd: bigint): number {
  const digits = (picoUsd < 0n ? -picoUsd : picoUsd).toString().padStart(13, '0')
  const text = `${digits.slice(0, -12)}.${digits.slice(-12)}`
  return Number(picoUsd < 0n ? `-${text}` : text)
}
