import type { ExternalPlugin } from './kong-config.ts'
import type { MessagePackRpc } from './message-pack-rpc.ts'

/** One instance in the plugin server for each configuration, started when it is first needed. */
export interface PluginInstances {
  idOf(plugin: ExternalPlugin): Promise<number>
  /** All instances are gone: the plugin server ended, or says that it does not know one. */
  forget(): void
}

export function makePluginInstances(rpc: MessagePackRpc): PluginInstances {
  const starting = new Map<string, Promise<number>>()

  async function start(plugin: ExternalPlugin): Promise<number> {
    const started = await rpc.call('plugin.StartInstance', {
      Name: plugin.name,
      Config: JSON.stringify(plugin.config),
    })
    const id = started instanceof Map ? started.get('Id') : undefined
    if (typeof id !== 'number') throw new Error('plugin.StartInstance gave no Id')
    return id
  }

  return {
    idOf(plugin) {
      const known = starting.get(plugin.id)
      if (known !== undefined) return known
      const promise = start(plugin)
      starting.set(plugin.id, promise)
      // The next event may have more luck.
      promise.catch(() => {
        if (starting.get(plugin.id) === promise) starting.delete(plugin.id)
      })
      return promise
    },
    forget: () => starting.clear(),
  }
}
