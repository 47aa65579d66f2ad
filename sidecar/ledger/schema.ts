import { TOKEN_TYPES } from '../call.ts'

/*
 * ledger.db – integers only, STRICT, one transaction for each batch read from the spool.
 *
 *   position   where the ledger stands in the spool: moved in the same transaction as everything below (law 4)
 *   cells      hour × tenant × provider × model × status: calls, tokens by type, cost, savings
 *   counts     everything that is counted but not by hour: (metric, up to four labels) → value
 *   histograms (metric, tenant, provider, model, bucket) → count; bucket -1 holds the sum in milliseconds
 *   labels     names that were admitted as label values; what came later folds into __other__ (law 13)
 *   epochs     the highest sequence number seen of each numbering of the tap
 *   missing    ranges of sequence numbers that have not come yet, and since when
 *   plugin_drops  running totals that plugin processes told of themselves
 *
 * Money: pico-USD of one hour's cell may pass int64 (9.2 million dollars), and SQLite would turn it into a float.
 * So an amount is two columns, whole dollars and pico-dollars: amount = usd × 10^12 + pico. Each addition is below
 * 10^12 in `pico`, so nine million additions fit; readers add both as BigInt.
 */
const tokenColumns = TOKEN_TYPES.map((type) => `tokens_${type} INTEGER NOT NULL DEFAULT 0`).join(',\n    ')

/** One entry for each version: what brings a store from the version before to it. Append, never edit. */
export const LEDGER_MIGRATIONS: readonly string[] = [
  `CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL) STRICT;
   INSERT INTO position VALUES (1, 0);
   CREATE TABLE cells (
    hour INTEGER NOT NULL, tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, status TEXT NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    cost_usd INTEGER NOT NULL DEFAULT 0, cost_pico INTEGER NOT NULL DEFAULT 0,
    saved_usd INTEGER NOT NULL DEFAULT 0, saved_pico INTEGER NOT NULL DEFAULT 0,
    ${tokenColumns},
    PRIMARY KEY (hour, tenant, provider, model, status)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE counts (
    metric TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL, c TEXT NOT NULL, d TEXT NOT NULL,
    value INTEGER NOT NULL, PRIMARY KEY (metric, a, b, c, d)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE histograms (
    metric TEXT NOT NULL, tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, bucket INTEGER NOT NULL,
    value INTEGER NOT NULL, PRIMARY KEY (metric, tenant, provider, model, bucket)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE labels (kind TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;
   CREATE TABLE epochs (
    node TEXT NOT NULL, epoch TEXT NOT NULL, highest INTEGER NOT NULL, last_at INTEGER NOT NULL, PRIMARY KEY (node, epoch)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE missing (
    node TEXT NOT NULL, epoch TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, noticed_at INTEGER NOT NULL,
    PRIMARY KEY (node, epoch, first)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE plugin_drops (
    instance TEXT NOT NULL, reason TEXT NOT NULL, total INTEGER NOT NULL, PRIMARY KEY (instance, reason)
   ) STRICT, WITHOUT ROWID;`,
]
