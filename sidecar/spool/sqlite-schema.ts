/*
 * spool.db – one durable log, N cursors.
 *
 *   position   1 … 40 │ 41 … 57 │ 58 … 90 │ 91 … 120
 *              trimmed│  kept   │         │
 *                     ▲         ▲         ▲        ▲
 *                     │       loki      otlp    ledger, langfuse           cursors: the last position settled
 *                     └ the slowest cursor: all up to it may be trimmed
 *
 * Constraints
 *   C1  `append` answers after the commit's fsync (WAL, synchronous=FULL); many waiting appends share one.
 *   C2  A call id is stored once. Ids live for seven days and at least as long as their row, longer than any retry.
 *   C3  A billing key belongs to the first call that brought it; a later one is stored as a repeat (cost 0).
 *   C4  A cursor, what became of the calls it passes, and dead letters move in one transaction.
 *   C5  A row that the ledger has not passed is never dropped. At the size limit the other readers are moved on,
 *       oldest rows first, each counted per tenant as dropped/spool_full; then append answers `full`.
 *       A batch that is in flight at that moment counts as dropped even if its sink takes it.
 *   C6  One process writes: it holds spool.lock. Tools may read, and replay dead letters, beside it.
 *   C7  Reads are short and never held open across a send, so that the write-ahead log stays small.
 *
 * Layout
 *   calls         position, id, tenant, at, only_reader (a replayed dead letter, for one reader alone), repeat, body (JSON)
 *   ids           id → when appended
 *   billing_keys  key → when claimed
 *   cursors       reader → position
 *   outcomes      reader × tenant × outcome × reason → count
 *   dead_letters  what a sink will never take, whole, to be listed and replayed
 */
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
]
