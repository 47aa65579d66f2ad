import { expect, it } from 'vitest'
import { membersFrom } from './answer-end.ts'

it('finds the last members of the outermost object alone', () => {
  const text = '…words","nested":{"done":false,"eval_count":9},"done":true,"eval_count":3}\n'
  expect(membersFrom(text, 'done')).toEqual({ done: true, eval_count: 3 })
  expect(membersFrom('"inner":{"done":true,"eval_count":9}}', 'done')).toBeUndefined()
  expect(membersFrom('says \\"done\\": true","eval_count":3}', 'done')).toBeUndefined()
  expect(membersFrom('"done":true,"eval_co', 'done')).toBeUndefined()
  expect(membersFrom('', 'done')).toBeUndefined()
})

it('gives up after some places', () => {
  expect(membersFrom(`${'"done":'.repeat(100)}1}`, 'done')).toEqual({ done: 1 })
  expect(membersFrom('"done":'.repeat(100_000), 'done')).toBeUndefined()
})
