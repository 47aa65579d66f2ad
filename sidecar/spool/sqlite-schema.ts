/*
 * spool.db – one durable log, N cursors.
 *
 *   position   1 … 40 │ 41 … 57 │ 58 … 90 │ 91 … 120
 *              trimmed│  kept   │         │
 *                     ▲         ▲         ▲        ▲
 *                     │       loki      otlp    ledger, langfuse           cursors: the last position settled
 *                     └ the slowest cursor: all up to it may be trimmed
 *
 *   bytes      ├─ ids, billing keys ─┼─ dead letters ─┼─────── calls ───────┼─ write-ahead log ─┤ ≤ limit
 *                  at most a half        an eighth                               a sixteenth
 *
 * Constraints
 *   C1  `append` answers after the commit's fsync (WAL, synchronous=FULL); many waiting appends share one.
 *   C2  A call id is stored once. Ids live for seven days and at least as long as their row, longer than any retry;
 *       where they would take more than half of the limit the oldest are forgotten early, which is counted.
 *   C3  A billing key belongs to the first call that brought it; a later one is stored as a repeat (cost 0).
 *   C4  A cursor and what became of the calls it passes move in one transaction.
 *   C5  A row that the ledger has not passed is never dropped. At the size limit the other readers are moved on,
 *       oldest rows first, each counted per tenant as dropped/spool_full; then append answers `full`.
 *       A batch that is in flight at that moment counts as dropped even if its sink takes it.
 *   C6  One process writes: it holds spool.lock. Tools may read, and replay dead letters, beside it.
 *   C7  Reads are short and never held open across a send, so that the write-ahead log stays small.
 *   C8  For each reader: appended + replayed = sent + sampled_out + rejected + dropped + waiting.
 *   C9  What one request costs does not grow with the store: what waits is counted in memory (reader-counts.ts), and
 *       read from the file only at start and after a tool has written.
 *
 * Layout
 *   calls         position, id, tenant, at, only_reader (a replayed dead letter, for one reader alone), repeat, body (JSON)
 *   ids           16 bytes of a call's id → when appended
 *   billing_keys  16 bytes of the key's SHA-256 → when claimed
 *   cursors       reader → position; retired: no longer configured, holds nothing up, and goes on there if it comes back
 *   outcomes      reader × tenant × outcome × reason → count
 *   dead_letters  what a sink will never take, whole, to be listed and replayed
 *   identity      names this store, so that a ledger knows when the spool was replaced
 *
 * A reader that is configured for the first time starts at the oldest row kept. One that is no longer configured is
 * retired: what waited for it is counted as dropped/reader_removed.
 */
/** Run with the SQL function `claim_key` (sqlite-claims.ts) defined. */
export const SPOOL_MIGRATIONS: readonly string[] = [
  `CREATE TABLE calls (
     position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, tenant TEXT NOT NULL, at INTEGER NOT NULL,
     repeat INTEGER NOT NULL, body TEXT NOT NULL
   ) STRICT;
   CREATE TABLE ids (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE INDEX ids_by_time ON ids (at);
   CREATE TABLE billing_keys (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE INDEX billing_keys_by_time ON billing_keys (at);
   CREATE TABLE cursors (reader TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE outcomes (
     reader TEXT NOT NULL, tenant TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
     PRIMARY KEY (reader, tenant, outcome, reason)
   ) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE calls ADD COLUMN only_reader TEXT;
   CREATE TABLE dead_letters (
     reader TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, tenant TEXT NOT NULL, reason TEXT NOT NULL,
     at INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (reader, position)
   ) STRICT;`,
  `CREATE TABLE new_ids (key BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   INSERT OR IGNORE INTO new_ids SELECT claim_key(id), at FROM ids;
   DROP TABLE ids;
   ALTER TABLE new_ids RENAME TO ids;
   CREATE INDEX ids_by_time ON ids (at);
   CREATE TABLE new_billing_keys (key BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   INSERT OR IGNORE INTO new_billing_keys SELECT claim_key(key), at FROM billing_keys;
   DROP TABLE billing_keys;
   ALTER TABLE new_billing_keys RENAME TO billing_keys;
   CREATE INDEX billing_keys_by_time ON billing_keys (at);
   ALTER TABLE cursors ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX dead_letters_by_time ON dead_letters (at, position);
   CREATE TABLE identity (id TEXT NOT NULL) STRICT;
   INSERT INTO identity VALUES (lower(hex(randomblob(16))));`,
]
