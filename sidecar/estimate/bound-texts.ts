/**
 * Of texts that are longer than `limit` UTF-16 units together, the same share of each, and for each how much longer the
 * whole is. A share of all tells more than the whole of some, and far more than leaving the rest out: a call costs a
 * bounded time and is off by what the rest differs from its sample.
 */
export function boundTexts(
  texts: readonly string[],
  limit: number,
): { texts: readonly string[]; factors: readonly number[]; cut: boolean } {
  let length = 0
  for (const text of texts) length += text.length
  if (length <= limit) return { texts, factors: texts.map(() => 1), cut: false }
  const share = limit / length
  const kept = texts.map((text) => text.slice(0, Math.floor(text.length * share)))
  // Of many short texts nothing may be left: then they weigh what the others do, by the share.
  let keptLength = 0
  for (const text of kept) keptLength += text.length
  const factor = length / Math.max(1, keptLength)
  return { texts: kept, factors: texts.map(() => factor), cut: true }
}
