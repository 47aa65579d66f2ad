import { expect, it } from 'vitest'
import { allowedHost } from './allowed-host.ts'

const check = allowedHost({ host: '0.0.0.0', hosts: ['Observer.example.com'] })

it.each([
  '127.0.0.1:8086',
  '10.1.2.3',
  '[::1]:8086',
  '[fe80::1]',
  'localhost:8086',
  'LOCALHOST',
  'sidecar:8086',
  'llm-observer.telemetry.svc:8086',
  'llm-observer.telemetry.svc.cluster.local',
  'host.docker.internal:8086',
  'observer.example.com:8086',
  'observer.example.com.',
])('Host %s passes', (host) => expect(check({ host })).toBeUndefined())

it.each([
  undefined,
  '',
  'rebind.attacker.example:8086',
  'observer.example.com.attacker.example',
  'svc.attacker.example',
  'attacker.example:8086:8086',
  '127.0.0.1.attacker.example',
  'user@localhost',
  'local host',
  '[::1',
])('Host %s does not', (host) => expect(check({ host })).toBe('host'))

it('an origin passes where it is this very host', () => {
  expect(check({ host: 'localhost:8086', origin: 'http://localhost:8086' })).toBeUndefined()
  expect(check({ host: 'observer.example.com', origin: 'https://observer.example.com' })).toBeUndefined()
  for (const origin of ['http://localhost:3000', 'https://attacker.example', 'null', '', 'file://'])
    expect(check({ host: 'localhost:8086', origin })).toBe('origin')
})
