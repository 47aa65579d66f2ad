import { z } from 'zod'

/** Whether a push to this sink is compressed; `auto`: unless the sink is on this machine, where bytes cost less than packing them. */
export const gzipSchema = z
  .union([z.boolean(), z.literal('auto')], { error: 'write true, false or auto' })
  .default('auto')
export type GzipSetting = z.infer<typeof gzipSchema>

export function usesGzip(setting: GzipSetting, url: string): boolean {
  return setting === 'auto' ? !isLoopback(new URL(url).hostname) : setting
}

/** As URL writes a host: IPv4 in four numbers whatever was given, IPv6 in brackets. */
function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname) ||
    hostname === '[::1]' ||
    /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]$/.test(hostname)
  )
}
