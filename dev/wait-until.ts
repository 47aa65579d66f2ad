/** Polls a condition; when time is up, says what was seen last. The limit ends what hangs: no busy machine reaches it. */
export async function waitUntil(
  condition: () => Promise<boolean | { done: boolean; seen: string }>,
  { withinMs = 300_000, everyMs = 50 }: { withinMs?: number; everyMs?: number } = {},
): Promise<void> {
  const deadline = Date.now() + withinMs
  let seen = ''
  for (;;) {
    try {
      const result = await condition()
      if (result === true || (typeof result === 'object' && result.done)) return
      if (typeof result === 'object') seen = result.seen
    } catch (error) {
      seen = (error as Error).message
    }
    if (Date.now() > deadline)
      throw new Error(`the condition did not come true within ${withinMs} ms (last seen: ${seen})`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
