/*
 * observer.db – one file, one writer: the log of calls for the sinks, and the ledger. Integers and text only, STRICT.
 *
 *   the log
 *   position   1 … 40 │ 41 … 57 │ 58 … 90 │ 91 … 120
 *              deleted│  kept   │         │
 *                     ▲         ▲         ▲        ▲
 *                     │       loki      otlp     langfuse           sinks: the last position that each has settled
 *                     └ the slowest cursor: what lies before it is deleted, but for rows that are held
 *
 *   log          calls that a sink still has to settle, as JSON in UTF-8; only_sink: a replayed dead letter, for that sink alone
 *   sinks        cursors; retired: no longer configured, holds nothing up, and goes on there if it comes back
 *   sink_counts  sink × tenant × outcome × reason → calls; `due` are those put before the sink
 *   held         rows behind the cursor that wait for one tenant's key or limit at the sink
 *   dead_letters calls that a sink will never take, whole, to be listed and replayed
 *
 *   what was seen
 *   epochs       of each numbering the numbers that are settled (numbers.ts), by the 16 bytes of the epoch
 *   running_totals  totals that a plugin process or an epoch tells of itself, so that they count once
 *   carried_ids  16 bytes of ids that the spool of version 0.1 remembered; gone after seven days
 *   answers      answers that can be retrieved later, by 16 bytes of their identity → the call that was billed for them
 *   state        identity of this store; bytes of the log and of the dead letters; whether the store went back; how many
 *                deltas were written, so that a sum says which of them it holds
 *
 *   the ledger
 *   cells      hour × tenant × provider × model × status: calls, tokens by type, cost, savings (saved: by a semantic
 *              cache, cache_saved: by the provider's)
 *   totals     the same over all hours, so that a start reads one row for each series
 *   counts     everything that is counted but not by hour: (metric, up to four labels) → value
 *   histograms (metric, tenant, provider, model, bucket) → count; bucket -1 holds the sum in milliseconds
 *   labels     names that were admitted as label values; what came later folds into __other__ (law 13)
 *   calls      a line for each call, by start: its usage and what it was first priced at, so that it can be priced again
 *   call_kinds what the calls of a day (UTC) have in common, so that a line is short; a few kinds may stand twice
 *   retention  lines and adjustments of calls that started before kept_from are gone, or were never there
 *   adjustments  a call's price before and after: written by `reprice`, and where a retrieval brings an answer's final usage;
 *              basis: what that retrieval was priced by, for later prices (ledger/price-basis.ts)
 *   spend      tenant × quarter of an hour of the calls' starts: cost as first priced, what adjustments added (up) and took
 *              (down) since, calls that have no price now; for budgets, kept for two months
 *   adjustment_cells, adjustment_totals  the sums of them by hour, and over all hours: they outlive the lines
 *
 * Constraints
 *   S1  One request of the plugin is one transaction: what was seen, the log's rows, the ledger and its sums. `append`
 *       answers after the commit's fsync (WAL, synchronous=FULL); requests that wait share one.
 *   S2  A call is stored once: by its epoch and number, and by its line (start and id) where it has none.
 *   S3  A cursor and what became of the calls that it passes move in one transaction.
 *       For each sink and tenant: due + replayed = sent + sampled_out + rejected + dropped + waiting.
 *   S4  The log's own bytes are bounded (state.log_bytes); at the limit the oldest rows go, counted as dropped for each
 *       sink that had not settled them. The ledger is never dropped, and no sink holds up an append.
 *   S5  Reads are made on other connections and are short, so that the write-ahead log stays small.
 *   L1  Money: one hour's pico-USD may pass int64 (9.2 million dollars), and SQLite would turn it into a float. So an
 *       amount is two columns, amount = usd × 10^12 + pico, with 0 ≤ pico < 10^12: the carry is made in each addition.
 *   L2  Tokens of a cell may pass int64 only if a provider tells nonsense. STRICT then refuses the row, and the amount
 *       goes to the cell's next `part`. Readers add all parts as BigInt; nothing is ever summed by SQL. The same holds for
 *       counts: their second part is a row whose metric ends in `.part`.
 *   L3  totals = the sum of cells, always (both move in one transaction); the same for those of adjustments.
 *   L4  cells, totals, counts and calls are as first priced: a later price only adds adjustments. Everything only grows.
 *   L5  One call's amounts fit an integer that JSON carries exactly (2^53), so they are single columns.
 */

/** Name in `state` of how many deltas were written. */
export const DELTAS = 'deltas'

/** One entry for each version: what brings a store from the version before to it. Append, never edit. */
export const STORE_MIGRATIONS: readonly string[] = [
  `CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL) STRICT;
   INSERT INTO position VALUES (1, 0);
   CREATE TABLE cells (
    hour INTEGER NOT NULL, tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, status TEXT NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    cost_usd INTEGER NOT NULL DEFAULT 0, cost_pico INTEGER NOT NULL DEFAULT 0,
    saved_usd INTEGER NOT NULL DEFAULT 0, saved_pico INTEGER NOT NULL DEFAULT 0,
    tokens_input INTEGER NOT NULL DEFAULT 0,
    tokens_input_audio INTEGER NOT NULL DEFAULT 0,
    tokens_input_image INTEGER NOT NULL DEFAULT 0,
    tokens_cache_read INTEGER NOT NULL DEFAULT 0,
    tokens_cache_read_audio INTEGER NOT NULL DEFAULT 0,
    tokens_cache_write INTEGER NOT NULL DEFAULT 0,
    tokens_cache_write_5m INTEGER NOT NULL DEFAULT 0,
    tokens_cache_write_1h INTEGER NOT NULL DEFAULT 0,
    tokens_output INTEGER NOT NULL DEFAULT 0,
    tokens_output_reasoning INTEGER NOT NULL DEFAULT 0,
    tokens_output_audio INTEGER NOT NULL DEFAULT 0,
    tokens_output_image INTEGER NOT NULL DEFAULT 0,
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
  `ALTER TABLE position ADD COLUMN spool TEXT;
   ALTER TABLE cells RENAME TO cells_1;
   CREATE TABLE cells (
    hour INTEGER NOT NULL, tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, status TEXT NOT NULL,
    part INTEGER NOT NULL, calls INTEGER NOT NULL,
    cost_usd INTEGER NOT NULL, cost_pico INTEGER NOT NULL, saved_usd INTEGER NOT NULL, saved_pico INTEGER NOT NULL,
    tokens_input INTEGER NOT NULL, tokens_input_audio INTEGER NOT NULL, tokens_input_image INTEGER NOT NULL,
    tokens_cache_read INTEGER NOT NULL, tokens_cache_read_audio INTEGER NOT NULL, tokens_cache_write INTEGER NOT NULL,
    tokens_cache_write_5m INTEGER NOT NULL, tokens_cache_write_1h INTEGER NOT NULL, tokens_output INTEGER NOT NULL,
    tokens_output_reasoning INTEGER NOT NULL, tokens_output_audio INTEGER NOT NULL, tokens_output_image INTEGER NOT NULL,
    PRIMARY KEY (hour, tenant, provider, model, status, part)
   ) STRICT, WITHOUT ROWID;
   INSERT INTO cells SELECT hour, tenant, provider, model, status, 0, calls,
     cost_usd + cost_pico / 1000000000000, cost_pico % 1000000000000,
     saved_usd + saved_pico / 1000000000000, saved_pico % 1000000000000,
     tokens_input, tokens_input_audio, tokens_input_image, tokens_cache_read, tokens_cache_read_audio, tokens_cache_write,
     tokens_cache_write_5m, tokens_cache_write_1h, tokens_output, tokens_output_reasoning, tokens_output_audio,
     tokens_output_image FROM cells_1;
   DROP TABLE cells_1;
   CREATE TABLE totals (
    tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, status TEXT NOT NULL,
    part INTEGER NOT NULL, calls INTEGER NOT NULL,
    cost_usd INTEGER NOT NULL, cost_pico INTEGER NOT NULL, saved_usd INTEGER NOT NULL, saved_pico INTEGER NOT NULL,
    tokens_input INTEGER NOT NULL, tokens_input_audio INTEGER NOT NULL, tokens_input_image INTEGER NOT NULL,
    tokens_cache_read INTEGER NOT NULL, tokens_cache_read_audio INTEGER NOT NULL, tokens_cache_write INTEGER NOT NULL,
    tokens_cache_write_5m INTEGER NOT NULL, tokens_cache_write_1h INTEGER NOT NULL, tokens_output INTEGER NOT NULL,
    tokens_output_reasoning INTEGER NOT NULL, tokens_output_audio INTEGER NOT NULL, tokens_output_image INTEGER NOT NULL,
    PRIMARY KEY (tenant, provider, model, status, part)
   ) STRICT, WITHOUT ROWID;
   INSERT INTO totals SELECT tenant, provider, model, status, 0, sum(calls),
     sum(cost_usd) + sum(cost_pico) / 1000000000000, sum(cost_pico) % 1000000000000,
     sum(saved_usd) + sum(saved_pico) / 1000000000000, sum(saved_pico) % 1000000000000,
     sum(tokens_input), sum(tokens_input_audio), sum(tokens_input_image), sum(tokens_cache_read),
     sum(tokens_cache_read_audio), sum(tokens_cache_write), sum(tokens_cache_write_5m), sum(tokens_cache_write_1h),
     sum(tokens_output), sum(tokens_output_reasoning), sum(tokens_output_audio), sum(tokens_output_image)
     FROM cells GROUP BY tenant, provider, model, status;
   CREATE TABLE accounted (
    epoch TEXT NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (epoch, sequence)
   ) STRICT, WITHOUT ROWID;
   ALTER TABLE plugin_drops ADD COLUMN last_at INTEGER NOT NULL DEFAULT 0;
   UPDATE plugin_drops SET last_at = unixepoch() * 1000;`,
  `ALTER TABLE cells ADD COLUMN cache_saved_usd INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE cells ADD COLUMN cache_saved_pico INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE totals ADD COLUMN cache_saved_usd INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE totals ADD COLUMN cache_saved_pico INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE calls (
    started_at INTEGER NOT NULL, id BLOB NOT NULL, kind INTEGER NOT NULL, duration_ms INTEGER NOT NULL,
    usage TEXT NOT NULL, billed TEXT, cost INTEGER NOT NULL, cache_saved INTEGER, saved INTEGER, reported INTEGER,
    PRIMARY KEY (started_at, id)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE call_kinds (
    kind INTEGER PRIMARY KEY, day INTEGER NOT NULL, tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    tenant_name TEXT, provider_name TEXT, response_model TEXT, request_model TEXT, service_tier TEXT, attributes TEXT,
    usage_source TEXT NOT NULL, state TEXT NOT NULL, price_id TEXT, reason TEXT, book TEXT NOT NULL
   ) STRICT;
   CREATE INDEX call_kinds_by_day ON call_kinds (day);
   CREATE TABLE retention (one INTEGER PRIMARY KEY CHECK (one = 1), kept_from INTEGER NOT NULL) STRICT;
   INSERT INTO retention SELECT 1, coalesce(min((max(hour) + 1) * 3600000, unixepoch() * 1000), 0) FROM cells;
   CREATE TABLE adjustments (
    started_at INTEGER NOT NULL, call BLOB NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL,
    old_price_id TEXT, old_reason TEXT, old_cost INTEGER NOT NULL,
    new_price_id TEXT, new_reason TEXT, new_cost INTEGER NOT NULL,
    difference INTEGER NOT NULL, book TEXT NOT NULL, PRIMARY KEY (started_at, call, number)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE adjustment_cells (
    hour INTEGER NOT NULL, tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, entries INTEGER NOT NULL,
    up_usd INTEGER NOT NULL, up_pico INTEGER NOT NULL, down_usd INTEGER NOT NULL, down_pico INTEGER NOT NULL,
    PRIMARY KEY (hour, tenant, provider, model)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE adjustment_totals (
    tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, entries INTEGER NOT NULL,
    up_usd INTEGER NOT NULL, up_pico INTEGER NOT NULL, down_usd INTEGER NOT NULL, down_pico INTEGER NOT NULL,
    PRIMARY KEY (tenant, provider, model)
   ) STRICT, WITHOUT ROWID;`,
  // Of what was before only hours are known: they stand in their first quarter. Money is summed column by column (L1).
  `CREATE TABLE spend (
    slot INTEGER NOT NULL, tenant TEXT NOT NULL, unpriced INTEGER NOT NULL,
    cost_usd INTEGER NOT NULL, cost_pico INTEGER NOT NULL,
    up_usd INTEGER NOT NULL, up_pico INTEGER NOT NULL, down_usd INTEGER NOT NULL, down_pico INTEGER NOT NULL,
    PRIMARY KEY (slot, tenant)
   ) STRICT, WITHOUT ROWID;
   INSERT INTO spend SELECT hour * 4, tenant, 0,
     sum(cost_usd) + sum(cost_pico) / 1000000000000, sum(cost_pico) % 1000000000000, 0, 0, 0, 0
     FROM cells WHERE hour >= unixepoch() / 3600 - 1488 GROUP BY hour, tenant;
   INSERT INTO spend SELECT hour * 4, tenant, 0, 0, 0,
     sum(up_usd) + sum(up_pico) / 1000000000000, sum(up_pico) % 1000000000000,
     sum(down_usd) + sum(down_pico) / 1000000000000, sum(down_pico) % 1000000000000
     FROM adjustment_cells WHERE hour >= unixepoch() / 3600 - 1488 GROUP BY hour, tenant
     ON CONFLICT DO UPDATE SET up_usd = excluded.up_usd, up_pico = excluded.up_pico,
       down_usd = excluded.down_usd, down_pico = excluded.down_pico;`,
  // One store: until here it was ledger.db; what spool.db held comes by migrate-two-stores.ts.
  `CREATE TABLE log (
    position INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, tenant TEXT NOT NULL, only_sink TEXT,
    repeat INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL
   ) STRICT;
   CREATE TABLE sinks (sink TEXT PRIMARY KEY, position INTEGER NOT NULL, retired INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE sink_counts (
    sink TEXT NOT NULL, tenant TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (sink, tenant, outcome, reason)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE held (
    sink TEXT NOT NULL, tenant TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (sink, tenant, position)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX held_by_position ON held (position);
   CREATE TABLE dead_letters (
    sink TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, tenant TEXT NOT NULL, reason TEXT NOT NULL,
    at INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (sink, position)
   ) STRICT;
   CREATE INDEX dead_letters_by_time ON dead_letters (at, position);
   CREATE TABLE state (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
   INSERT INTO state VALUES ('identity', lower(hex(randomblob(16)))), ('log_bytes', 0), ('dead_letter_bytes', 0);
   CREATE TABLE answers (
    key BLOB PRIMARY KEY, started_at INTEGER NOT NULL, call BLOB NOT NULL, final INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX answers_by_time ON answers (started_at);
   CREATE TABLE carried_ids (key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
   ALTER TABLE calls ADD COLUMN checksum INTEGER;
   ALTER TABLE adjustments ADD COLUMN basis TEXT;
   CREATE TABLE nodes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
   INSERT INTO nodes (name) SELECT DISTINCT node FROM epochs;
   ALTER TABLE epochs RENAME TO epochs_4;
   CREATE TABLE epochs (
    epoch BLOB PRIMARY KEY, node INTEGER NOT NULL, highest INTEGER NOT NULL, closed_below INTEGER NOT NULL, holes BLOB,
    due_at INTEGER, last_day INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX epochs_due ON epochs (due_at) WHERE due_at IS NOT NULL;
   CREATE INDEX epochs_by_day ON epochs (last_day);
   INSERT OR IGNORE INTO epochs SELECT epoch_key(epoch), nodes.id, highest, highest,
     (SELECT encode_holes(json_group_array(json_array(first, last, noticed_at / 1000)))
      FROM (SELECT * FROM missing WHERE missing.node = epochs_4.node AND missing.epoch = epochs_4.epoch ORDER BY first)),
     (SELECT min(noticed_at) / 1000 FROM missing WHERE missing.node = epochs_4.node AND missing.epoch = epochs_4.epoch),
     last_at / 86400000 FROM epochs_4 JOIN nodes ON nodes.name = epochs_4.node ORDER BY highest DESC;
   DROP TABLE epochs_4;
   DROP TABLE missing;
   DROP TABLE accounted;
   CREATE TABLE running_totals (
    source TEXT NOT NULL, name TEXT NOT NULL, total INTEGER NOT NULL, last_day INTEGER NOT NULL, PRIMARY KEY (source, name)
   ) STRICT, WITHOUT ROWID;
   INSERT INTO running_totals SELECT instance, reason, total, last_at / 86400000 FROM plugin_drops;
   DROP TABLE plugin_drops;
   DROP TABLE position;
   INSERT INTO counts SELECT 'lost', a, 'gap', '', '', value FROM counts WHERE metric = 'capture_gaps';
   INSERT INTO counts SELECT 'lost', '', a, '', '', value FROM counts WHERE metric = 'plugin_dropped';
   DELETE FROM counts WHERE metric IN ('capture_gaps', 'plugin_dropped');
   ALTER TABLE cells ADD COLUMN tokens_cache_read_image INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE totals ADD COLUMN tokens_cache_read_image INTEGER NOT NULL DEFAULT 0;`,
]
