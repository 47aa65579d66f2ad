/** A series with one value for each step; NaN where there is no sample. */
export interface StepSeries {
  /** With `__name__`. */
  labels: Readonly<Record<string, string>>
  /** Milliseconds since 1970, of the first value. */
  start: number
  stepMs: number
  values: Float64Array
  /** Steps at which Prometheus is told that the series is gone, as it tells itself when a scrape fails. */
  staleAt?: readonly number[]
}

const SAMPLE_BYTES = 18
const SAMPLES_A_REQUEST = 100_000
/** The one NaN that Prometheus takes for "gone". */
const STALE = [2, 0, 0, 0, 0, 0, 0xf0, 0x7f]

/** Writes samples into a real Prometheus that runs with --web.enable-remote-write-receiver (remote write 1.0). */
export async function remoteWrite(url: string, series: Iterable<StepSeries>): Promise<void> {
  let waiting: Buffer[] = []
  let samples = 0
  const flush = async () => {
    const body = snappyLiteral(Buffer.concat(waiting))
    waiting = []
    samples = 0
    const response = await fetch(`${url}/api/v1/write`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
      body: new Uint8Array(body),
    })
    if (!response.ok) throw new Error(`prometheus refused samples: ${response.status} ${await response.text()}`)
  }
  for (const one of series) {
    waiting.push(timeSeries(one))
    samples += one.values.length
    if (samples >= SAMPLES_A_REQUEST) await flush()
  }
  if (waiting.length > 0) await flush()
}

/** prometheus.WriteRequest's field 1: labels (sorted) and samples. */
function timeSeries({ labels, start, stepMs, values, staleAt = [] }: StepSeries): Buffer {
  const head = Object.entries(labels)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => field(1, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))])))
  const gone = new Set(staleAt)
  const samples = Buffer.alloc(values.length * SAMPLE_BYTES)
  let at = 0
  for (let step = 0; step < values.length; step++) {
    const value = values[step]!
    if (Number.isNaN(value) && !gone.has(step)) continue
    samples[at] = 0x12
    samples[at + 1] = SAMPLE_BYTES - 2
    samples[at + 2] = 0x09
    if (Number.isNaN(value)) samples.set(STALE, at + 3)
    else samples.writeDoubleLE(value, at + 3)
    samples[at + 11] = 0x10
    // Today's milliseconds take six bytes as a varint, until the year 2109.
    let time = start + step * stepMs
    for (let byte = 0; byte < 5; byte++) {
      samples[at + 12 + byte] = (time % 128) | 0x80
      time = Math.floor(time / 128)
    }
    samples[at + 17] = time
    at += SAMPLE_BYTES
  }
  return field(1, Buffer.concat([...head, samples.subarray(0, at)]))
}
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content])
}
function varint(number: number): Buffer {
  const bytes: number[] = []
  let rest = number
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Buffer.from([...bytes, rest])
}
/** Snappy's block format without any compression: the length, and then literals. */
function snappyLiteral(content: Buffer): Buffer {
  const parts = [varint(content.length)]
  for (let at = 0; at < content.length; at += 65_536) {
    const part = content.subarray(at, at + 65_536)
    parts.push(Buffer.from([61 << 2, (part.length - 1) & 0xff, (part.length - 1) >> 8]), part)
  }
  return Buffer.concat(parts)
}
