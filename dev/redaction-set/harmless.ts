import { sample } from '../../sidecar/redaction/sample.ts'
import { pick } from './examples.ts'

type Make = (random: () => number) => string
const of =
  (...templates: string[]): Make =>
  (random) =>
    sample(pick(templates, random), random)
const upTo = (limit: number, random: () => number) => Math.floor(random() * limit)

/** What looks like personal data or a secret and is none. */
// biome-ignore format: one kind a line
export const HARMLESS: Readonly<Record<string, Make>> = {
  'order number': of('4711-{d4}-{d5}', 'A{d6}', 'PO-{d8}', 'SO{d7}', '#1{d5}', 'RE-2026-{d5}', 'WO/{d4}/{d4}'),
  'invoice number': of('INV-2026-{d4}', '2026{d6}', 'R{d7}', 'F-{d3}/{d4}'),
  'commit': of('{h40}', '{h7}', '{h12}', 'commit {h40}'),
  'hash': of('{h32}', '{h64}', 'sha256:{h64}', 'md5 {h32}', 'sha512-{w86}=='),
  'UUID': of('{uuid}', 'urn:uuid:{uuid}', 'trace {h32}', 'span {h16}'),
  'price': (random) => `${pick(['$', '€', '£', ''], random)}${1 + upTo(900, random)},${String(upTo(1000, random)).padStart(3, '0')}.${String(upTo(100, random)).padStart(2, '0')}`,
  'amount': of('1{d2} {d3} {d3}', '{d1}.{d3}.{d3},00', '{d2},{d3},{d3}'),
  'version': of('v{d1}.{d2}.{d1}', '{d1}.{d1}.{d2}-rc.{d1}', 'version 1.{d1}.{d2}.{d1}', 'Chrome/1{d2}.0.{d4}.{d2}', 'node-v24.{d1}.{d1}'),
  'time': of('2026-{mm}-{dd}T{mm}:{dd}:00.{d3}Z', '{dd}.{mm}.2026', '{mm}/{dd}/2026', '2026-{mm}-{dd} {mm}:{dd}:{dd}.{d6}', '17{d8}', '17{d11}'),
  'measure': of('{d2}.{d4} kg', '5{d1}.{d6}, 13.{d6}', '{d3} × {d3} mm', '0.{d12}', '{d1}.{d5}e-{d2}'),
  'program text': (random) => pick(['@Override public void run()', 'import { x } from "@scope/pkg@1.2.3"', 'a::b::c', 'std::vector<int> v{1, 2}', 'if (a[i] == 0x7f) return', 'git@github.com:team/repo.git', 'foo@2x.png', 'token = next(iterator)', 'password: required', 'const key = row.id', 'max_tokens: 4096', 'api_key = os.environ["API_KEY"]', 'password = getpass()', 'secret: $' + '{{ secrets.TOKEN }}', 'key: user_name', 'Authorization: Bearer <token>', 'postgres://user:password@localhost/db', 'export PASSWORD=$(cat file)', '<input type="password" name="password">', 'token_type: bearer', 'primary_key: order_id'], random),
  'model': (random) => pick(['gpt-4o-2024-08-06', 'claude-sonnet-4-20250514', 'text-embedding-3-large', 'meta-llama/Llama-3.1-405B-Instruct', 'anthropic.claude-3-5-sonnet-20241022-v2:0', 'gemini-2.5-pro-preview-05-06'], random),
  'id of an API': of('chatcmpl-{w29}', 'call_{w24}', 'msg_01{w22}', 'req_{h24}', 'resp_{h48}', 'toolu_01{w22}', 'fp_{h10}', 'file-{w24}', 'asst_{w24}'),
  'file': of('IMG_2026{mm}{dd}_{d6}.jpg', '/var/log/app-{d4}.log', 'report_{d4}_final.pdf', 'chunk-{V8}.js', 'C:\\Users\\x\\new{d2}.txt'),
  'URL': of('https://example.org/a/{d6}/b?page={d2}', 'https://shop.example.com/p/{w10}', 'http://localhost:8080/v1/{uuid}', 'https://x.test/?utm_source=mail&id={d8}'),
  'tracking number': of('1Z{V6}{d10}', 'JD0{d13}', 'RB{d9}XX'),
  'article number': of('ISBN 978-3-16-{d6}-0', 'EAN 40{d11}', 'SKU {V4}-{d4}', 'Art.-Nr. {d4}.{d3}'),
  'sentence': (random) => pick(['The bearer of this letter', 'a basic income', 'at noon we meet at the dot', 'he was born to run', 'the secret of the key', 'look at example 3', 'a phone call at 10', 'my card is green', 'the token economy', 'call the function with 3 arguments', 'in 2024 about 35 came back'], random),
  'list of numbers': (random) => Array.from({ length: 6 }, () => upTo(1000, random)).join(', '),
  'table of numbers': (random) => Array.from({ length: 4 }, () => (upTo(9000, random) / 100).toFixed(2)).join(' '),
}
