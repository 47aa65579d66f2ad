/** Where an operator chooses the name of a deployment, or the client that of the model: it says nothing of the price. */
const NAMES_ARE_CHOSEN: ReadonlySet<string> = new Set(['azure.ai.openai', 'azure.ai.inference'])

/**
 * Whether the model that the request names may set the price where the one that served has none.
 * @param guessed the provider was taken from the wire format, since nobody knows its host.
 */
export function requestMayPrice(provider: string, guessed: boolean): boolean {
  return !guessed && !NAMES_ARE_CHOSEN.has(provider)
}
