import type { TokenRule } from '../rule.ts'
import { AI_KEYS } from './vendor-keys-ai.ts'
import { CLOUD_KEYS } from './vendor-keys-cloud.ts'
import { DEVELOPER_KEYS } from './vendor-keys-developer.ts'
import { NAMED_KEYS } from './vendor-keys-named.ts'
import { SERVICE_KEYS } from './vendor-keys-services.ts'

/** Keys of vendors: by their own beginning, or (NAMED_KEYS) by their form beside the vendor's name. */
// biome-ignore format: one row a line
export const VENDOR_KEYS: readonly TokenRule[] = [...AI_KEYS, ...CLOUD_KEYS, ...DEVELOPER_KEYS, ...SERVICE_KEYS, ...NAMED_KEYS]
