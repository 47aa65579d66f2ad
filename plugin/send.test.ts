import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeSender } from './send.ts'

describe('a sidecar’s socket that is not there', () => {
  it('is named: the folder that nobody made, or the socket in it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'send-'))
    const socket = join(folder, 'run', 'sidecar.sock')
    const sender = makeSender(`unix:${socket}`, undefined)
    const reason = async () => {
      const answer = await sender.send(Buffer.from('{}'), 1000)
      return answer.kind === 'later' ? answer.reason : answer
    }
    expect(await reason()).toContain(`no folder ${join(folder, 'run')}`)
    mkdirSync(join(folder, 'run'))
    expect(await reason()).toContain(`no ${socket}; the sidecar makes it`)
    await sender.close()
    rmSync(folder, { recursive: true })
  })
})
