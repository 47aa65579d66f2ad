/** Something wrong with a field; a warning where it may be meant. */
export interface Finding {
  path: readonly string[]
  message: string
  level: 'error' | 'warning'
}

export const error = (path: string | readonly string[], message: string): Finding => ({
  path: typeof path === 'string' ? path.split('.') : path,
  message,
  level: 'error',
})
export const warning = (path: string | readonly string[], message: string): Finding => ({
  ...error(path, message),
  level: 'warning',
})
