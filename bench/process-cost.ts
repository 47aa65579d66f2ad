import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).trim())

/** CPU seconds (user and system, all threads) that a process has used so far. Linux. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The command name may hold spaces; fields count from behind its closing bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export interface ThreadCpu {
  name: string
  /** Since the thread began; from the scheduler, in nanoseconds. */
  nanoseconds: number
}

/** Each living thread of a process by its id. Linux. */
export function threadsCpu(pid: number): Map<string, ThreadCpu> {
  const threads = new Map<string, ThreadCpu>()
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    try {
      const name = readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim()
      const [onCpu] = readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')
      threads.set(id, { name: id === String(pid) ? 'main' : name, nanoseconds: Number(onCpu) })
    } catch {
      // The thread has ended since it was listed.
    }
  }
  return threads
}

/** What was used between two looks, by name, the dearest first; threads of one name together. */
export function cpuByName(before: Map<string, ThreadCpu>, after: Map<string, ThreadCpu>): ThreadCpu[] {
  const sums = new Map<string, number>()
  for (const [id, { name, nanoseconds }] of after)
    sums.set(name, (sums.get(name) ?? 0) + nanoseconds - (before.get(id)?.nanoseconds ?? 0))
  return [...sums].map(([name, nanoseconds]) => ({ name, nanoseconds })).sort((a, b) => b.nanoseconds - a.nanoseconds)
}

/** Resident memory in MiB. */
export function residentMebibytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) / 1024
}
