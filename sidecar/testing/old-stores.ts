import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { asRepeat, type LlmCall } from '../call.ts'
import { lineId } from '../ledger/call-line-store.ts'
import { STORE_MIGRATIONS } from '../store/schema.ts'

/** The tables of spool.db as version 0.1 made them (its schema version 3). */
const SPOOL = `CREATE TABLE calls (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, tenant TEXT NOT NULL, at INTEGER NOT NULL,
    repeat INTEGER NOT NULL, body TEXT NOT NULL, only_reader TEXT
  ) STRICT;
  CREATE TABLE cursors (reader TEXT PRIMARY KEY, position INTEGER NOT NULL, retired INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
  CREATE TABLE outcomes (
    reader TEXT NOT NULL, tenant TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (reader, tenant, outcome, reason)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dead_letters (
    reader TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, tenant TEXT NOT NULL, reason TEXT NOT NULL,
    at INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (reader, position)
  ) STRICT;
  CREATE TABLE ids (key BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE billing_keys (key BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE identity (id TEXT NOT NULL) STRICT;
  INSERT INTO identity VALUES ('the spool');
  PRAGMA user_version = 3;`

/** Columns of `cells` and `totals` that are filled here; every other one is 0. */
const CELL = ['tenant', 'provider', 'model', 'status', 'part', 'calls', 'cost_usd', 'cost_pico']

/** Writes stores as version 0.1 left them: ledger.db (schema version 4) and spool.db. */
export function writeOldStores(folder: string) {
  const ledger = new DatabaseSync(join(folder, 'ledger.db'))
  for (const migration of STORE_MIGRATIONS.slice(0, 4)) ledger.exec(migration)
  ledger.exec("PRAGMA user_version = 4; UPDATE position SET spool = 'the spool'; UPDATE retention SET kept_from = 0")
  const spool = new DatabaseSync(join(folder, 'spool.db'))
  spool.exec(SPOOL)
  const columns = (table: string) =>
    (ledger.prepare('SELECT name FROM pragma_table_info(?)').all(table) as { name: string }[]).map(({ name }) => name)
  const cells = columns('cells')
  const totals = columns('totals')

  return {
    ledger,
    spool,
    /** A reader's cursor. */
    reader(name: string, position: number, retired = 0): void {
      spool.prepare('INSERT INTO cursors VALUES (?, ?, ?)').run(name, position, retired)
    },
    append(
      call: LlmCall,
      { at, repeat = false, only = null }: { at: number; repeat?: boolean; only?: string | null },
    ): number {
      spool.prepare('INSERT INTO ids VALUES (?, ?)').run(lineId(call.id), at)
      const row = spool
        .prepare('INSERT INTO calls (id, tenant, at, repeat, body, only_reader) VALUES (?, ?, ?, ?, ?, ?)')
        .run(call.id, call.tenant, at, repeat ? 1 : 0, JSON.stringify(call), only)
      return Number(row.lastInsertRowid)
    },
    /** As the ledger counted a priced call: its cell, its totals, its line. */
    count(call: LlmCall, position: number, { line = true } = {}): void {
      const cost = call.cost.state === 'priced' ? call.cost.picoUsd : 0
      const hour = Math.floor(call.startedAt / 3_600_000)
      const values: Record<string, string | number> = {
        ...{ hour, tenant: call.tenant, provider: call.provider, model: call.model, status: call.status },
        ...{ part: 0, calls: 1, cost_usd: Math.floor(cost / 1e12), cost_pico: cost % 1e12 },
        ...Object.fromEntries(Object.entries(call.usage).map(([type, tokens]) => [`tokens_${type}`, tokens])),
      }
      const sums = [...CELL.slice(5), ...cells.filter((name) => name.startsWith('tokens_'))]
      for (const [table, names] of [
        ['cells', cells],
        ['totals', totals],
      ] as const)
        ledger
          .prepare(
            `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})
             ON CONFLICT DO UPDATE SET ${sums.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')}`,
          )
          .run(...names.map((name) => values[name] ?? 0))
      if (line) {
        const kind = ledger
          .prepare(
            `INSERT INTO call_kinds (day, tenant, provider, model, usage_source, state, price_id, book)
             VALUES (?, ?, ?, ?, 'provider', 'priced', 'p', 'b')`,
          )
          .run(Math.floor(call.startedAt / 86_400_000), call.tenant, call.provider, call.model)
        ledger
          .prepare('INSERT INTO calls (started_at, id, kind, duration_ms, usage, cost) VALUES (?, ?, ?, ?, ?, ?)')
          .run(call.startedAt, lineId(call.id), kind.lastInsertRowid, call.durationMs, 'i:1', cost)
      }
      ledger.prepare('UPDATE position SET position = ?').run(position)
      ledger.exec(
        `INSERT OR IGNORE INTO labels VALUES ('tenant', '${call.tenant}'), ('provider', '${call.provider}'), ('model', '${call.model}')`,
      )
    },
    repeatOf: asRepeat,
    close(): void {
      ledger.close()
      spool.close()
    },
  }
}
