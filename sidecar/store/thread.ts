import { extname } from 'node:path'
import { parentPort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { causeOf, faultOf, StoreUnavailable, type TransientCause } from './errors.ts'

/**
 * One request and one answer a ticket between the event loop and a thread that owns a SQLite connection, so that no
 * fsync and no long read holds up the event loop. The writer and the reader use the same.
 */
interface Question {
  ticket: number
  request: unknown
}
/** Ticket 0: the thread has opened its file (or could not). No ticket: an event, or a heartbeat. */
interface Reply {
  ticket?: number
  result?: unknown
  error?: Failure
  event?: unknown
}
interface Failure {
  message: string
  unavailable?: TransientCause
}

export interface Thread<Request, Event> {
  /** What is in `transfer` goes over whole, and is gone here. */
  ask<T>(request: Request, transfer?: ArrayBuffer[]): Promise<T>
  onEvent(listener: (event: Event) => void): void
  /** The thread has ended without being asked to. Told once. */
  onDeath(listener: (error: Error) => void): void
  /** Milliseconds since the thread last said that it runs; a thread in a long statement says nothing. */
  silentFor(): number
  close(): Promise<void>
}

const HEARTBEAT_MS = 1000

/** @param name of the module beside this file, without its extension: .ts in the checkout, .js in the package. */
export async function startThread<Request, Event, Opened>(
  name: string,
  workerData: unknown,
): Promise<{ thread: Thread<Request, Event>; opened: Opened }> {
  const worker = new Worker(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url), { workerData, name })
  const pending = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>()
  const listeners: ((event: Event) => void)[] = []
  const mourners: ((error: Error) => void)[] = []
  let tickets = 0
  let lastHeard = performance.now()
  let ended: Error | undefined
  let closing = false

  const end = (error: Error) => {
    if (ended !== undefined) return
    ended = error
    for (const { reject } of pending.values()) reject(error)
    pending.clear()
    if (!closing) for (const told of mourners) told(error)
  }
  const opened = new Promise<Opened>((resolve, reject) => {
    worker.on('message', ({ ticket, result, error, event }: Reply) => {
      lastHeard = performance.now()
      if (ticket === undefined) {
        if (event !== undefined) for (const listener of listeners) listener(event as Event)
        return
      }
      if (ticket === 0) {
        if (error === undefined) resolve(result as Opened)
        else reject(new Error(error.message))
        return
      }
      const asked = pending.get(ticket)
      pending.delete(ticket)
      if (error === undefined) asked?.resolve(result as never)
      else asked?.reject(errorOf(error))
    })
    worker.on('error', (error: Error) => {
      end(error)
      reject(error)
    })
    worker.on('exit', () => {
      const error = new Error(`the thread ${name} has ended`)
      end(error)
      reject(error)
    })
  })
  const thread: Thread<Request, Event> = {
    ask<T>(request: Request, transfer: ArrayBuffer[] = []): Promise<T> {
      if (ended !== undefined) return Promise.reject(ended)
      const ticket = ++tickets
      return new Promise<T>((resolve, reject) => {
        pending.set(ticket, { resolve, reject })
        worker.postMessage({ ticket, request } satisfies Question, transfer)
      })
    },
    onEvent: (listener) => void listeners.push(listener),
    onDeath: (listener) => void mourners.push(listener),
    silentFor: () => (ended === undefined ? performance.now() - lastHeard : Number.POSITIVE_INFINITY),
    async close() {
      closing = true
      await worker.terminate()
    },
  }
  try {
    return { thread, opened: await opened }
  } catch (error) {
    closing = true
    await worker.terminate()
    throw error
  }
}

function errorOf({ message, unavailable }: Failure): Error {
  return unavailable === undefined ? new Error(message) : new StoreUnavailable(unavailable, message)
}

export interface Asked<Request> {
  request: Request
  answer(result: unknown): void
  fail(error: unknown): void
}

/**
 * The thread's own end. `open` opens the file; what it returns answers all requests that wait at once, so that writes can
 * share one transaction. What `handle` throws ends the thread, and with it the process.
 */
export function serveThread<Request, Event, Opened>(
  open: (tell: (event: Event) => void) => { opened: Opened; handle: (asked: readonly Asked<Request>[]) => void },
): void {
  const port = parentPort!
  const post = (reply: Reply) => port.postMessage(reply)
  let handle: (asked: readonly Asked<Request>[]) => void
  try {
    const made = open((event) => post({ event }))
    handle = made.handle
    post({ ticket: 0, result: made.opened })
  } catch (error) {
    post({ ticket: 0, error: failureOf(error) })
    return
  }
  setInterval(() => post({}), HEARTBEAT_MS).unref()
  port.on('message', (first: Question) => {
    const questions = [first]
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
      questions.push(next.message as Question)
    handle(
      questions.map(({ ticket, request }) => ({
        request: request as Request,
        answer: (result) => post({ ticket, result }),
        fail: (error) => post({ ticket, error: failureOf(error) }),
      })),
    )
  })
}

function failureOf(error: unknown): Failure {
  const { message } = error as Error
  return faultOf(error) === 'transient' ? { message, unavailable: causeOf(error) } : { message }
}
