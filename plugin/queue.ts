/** One capture, serialized, on its way to the sidecar. */
export interface Item {
  /** The capture as JSON in UTF-8: encoded once, its size known, and outside the JavaScript heap. */
  json: Buffer
  /** By the tap, or by the plugin where the tap did not number it. */
  number: Numbered
  /** Kong's node, where it is known. */
  node: string | undefined
  /** Milliseconds, performance.now(). */
  queuedAt: number
  /** It failed in a batch of its own: it is sent alone again, behind all others. Counts what was stored before. */
  suspectAt?: number
}
export type Numbered = readonly [epoch: string, sequence: number]

export type QueueDrop = 'queue_full' | 'too_large'

/**
 * Queue of captures, bounded in bytes. An item is waiting, or taken (in flight), or settled.
 * Waiting and taken items together never exceed the bound; when a new one does not fit, the oldest waiting ones are
 * dropped, never a taken one; if even that is not enough, the new one is. Nothing is dropped uncounted: pushed =
 * settled + dropped + waiting + taken.
 */
export interface Queue {
  push(item: Item): void
  /** The oldest items: at least one if any waits, else as many as the limits allow. A suspect is taken alone. */
  take(maxItems: number, maxBytes: number): Item[]
  /** Taken items come back, in front of all others. */
  giveBack(items: readonly Item[]): void
  /** A taken item comes back, behind all others. */
  putLast(item: Item): void
  /** Taken items are done with: delivered, or dropped by the caller. */
  settle(items: readonly Item[]): void
  setLimit(bytes: number): void
  readonly oldest: Item | undefined
  readonly waiting: number
  readonly waitingBytes: number
  /** Of waiting and taken items. */
  readonly bytes: number
}

const COMPACT_AFTER = 1024

export function makeQueue(limitBytes: number, onDrop: (item: Item, reason: QueueDrop) => void): Queue {
  /** `slots[head..]` are waiting; before `head` there is nothing but free slots. */
  let slots: (Item | undefined)[] = []
  let head = 0
  let waitingBytes = 0
  let takenBytes = 0
  let limit = limitBytes

  function shift(): Item {
    const item = slots[head]!
    slots[head++] = undefined
    waitingBytes -= item.json.length
    if (head >= COMPACT_AFTER && head * 2 >= slots.length) {
      slots = slots.slice(head)
      head = 0
    }
    return item
  }
  function makeRoomFor(bytes: number): void {
    while (waitingBytes + takenBytes + bytes > limit && head < slots.length) onDrop(shift(), 'queue_full')
  }

  return {
    push(item) {
      const bytes = item.json.length
      if (bytes > limit) return onDrop(item, 'too_large')
      // Room that taken items hold cannot be had: then dropping the waiting ones would not help the new one.
      if (takenBytes + bytes > limit) return onDrop(item, 'queue_full')
      makeRoomFor(bytes)
      slots.push(item)
      waitingBytes += bytes
    },
    take(maxItems, maxBytes) {
      const taken: Item[] = []
      let bytes = 0
      while (head < slots.length && taken.length < maxItems) {
        const next = slots[head]!
        if (taken.length > 0 && (bytes + next.json.length > maxBytes || next.suspectAt !== undefined)) break
        taken.push(shift())
        bytes += next.json.length
        if (next.suspectAt !== undefined) break
      }
      takenBytes += bytes
      return taken
    },
    giveBack(items) {
      for (const item of items.toReversed()) {
        takenBytes -= item.json.length
        waitingBytes += item.json.length
        if (head > 0) slots[--head] = item
        else slots.unshift(item)
      }
      makeRoomFor(0)
    },
    putLast(item) {
      takenBytes -= item.json.length
      waitingBytes += item.json.length
      slots.push(item)
      makeRoomFor(0)
    },
    settle(items) {
      for (const item of items) takenBytes -= item.json.length
    },
    setLimit(bytes) {
      limit = bytes
      makeRoomFor(0)
    },
    get oldest() {
      return slots[head]
    },
    get waiting() {
      return slots.length - head
    },
    get waitingBytes() {
      return waitingBytes
    },
    get bytes() {
      return waitingBytes + takenBytes
    },
  }
}
