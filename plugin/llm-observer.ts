import { type Config, readConfig, SCHEMA } from './config.ts'
import { type Kong, readCapture, type Seen } from './read-capture.ts'
import { guardPluginServer } from './server-guard.ts'
import { configureShipper, shipperFor, shipperKey } from './shippers.ts'
import { installShutdown, readingBegins, readingEnds } from './shutdown.ts'
import { version } from './version.ts'

/**
 * The Kong plugin, run by kong-js-pluginserver. It lives in the `log` phase alone: the client has its answer already,
 * and nothing here can delay, change or fail a request (design law 1). It writes nothing to stdout: Kong reads that.
 */
guardPluginServer()

class LlmObserver {
  readonly #config: Config
  readonly #shipper: string
  readonly #seen: Seen = { tapped: undefined }

  /** Throws where the configuration is wrong: Kong logs the message, which names the field. */
  constructor(raw: unknown) {
    this.#config = readConfig(raw)
    this.#shipper = shipperKey(this.#config)
    configureShipper(this.#shipper, this.#config)
    installShutdown()
  }

  async log(kong: Kong): Promise<void> {
    readingBegins()
    try {
      const number = () => shipperFor(this.#shipper, this.#config).number()
      const read = await readCapture(kong, this.#config, this.#seen, number)
      if ('shipped' in read) return
      const shipper = shipperFor(this.#shipper, this.#config)
      if ('json' in read) shipper.push(read.json, read.number, read.node)
      else if ('loss' in read) shipper.lose(read.loss, read.number, read.node)
      else shipper.fail(read.error)
    } finally {
      readingEnds()
    }
  }
}

export { LlmObserver as Plugin }
export const Name = 'llm-observer'
export const Version = version
/** After every plugin that writes into Kong's log document: the AI plugins stand at 768 and above. */
export const Priority = 5
export const Schema = SCHEMA
