/*
 * ledger.db – integers only, STRICT, one transaction for each batch read from the spool.
 *
 *   position   where the ledger stands in which spool: moved in the same transaction as everything below (law 4)
 *   cells      hour × tenant × provider × model × status: calls, tokens by type, cost, savings (saved: by a semantic
 *              cache, cache_saved: by the provider's)
 *   totals     the same over all hours, so that a start reads one row for each series
 *   counts     everything that is counted but not by hour: (metric, up to four labels) → value
 *   histograms (metric, tenant, provider, model, bucket) → count; bucket -1 holds the sum in milliseconds
 *   labels     names that were admitted as label values; what came later folds into __other__ (law 13)
 *   epochs     the highest sequence number seen of each numbering of the tap
 *   missing    ranges of sequence numbers that have not come yet, and since when
 *   accounted  numbers that the plugin dropped of a numbering of which nothing has come yet
 *   plugin_drops  running totals that plugin processes told of themselves
 *   calls      a line for each call, by start: its usage and what it was first priced at, so that it can be priced again
 *   call_kinds what the calls of a day (UTC) have in common, so that a line is short; a few kinds may stand twice
 *   retention  lines and adjustments of calls that started before kept_from are gone, or were never there
 *   adjustments  what `reprice` wrote: a call's price before and after; the first price plus these is today's
 *   spend      tenant × quarter of an hour of the calls' starts: cost as first priced, what adjustments added (up) and took
 *              (down) since, calls that have no price now; for budgets, kept for two months
 *   adjustment_cells, adjustment_totals  the sums of them by hour, and over all hours: they outlive the lines
 *
 * Constraints
 *   L1  Money: one hour's pico-USD may pass int64 (9.2 million dollars), and SQLite would turn it into a float. So an
 *       amount is two columns, amount = usd × 10^12 + pico, with 0 ≤ pico < 10^12: the carry is made in each addition.
 *   L2  Tokens of a cell may pass int64 only if a provider tells nonsense. STRICT then refuses the row, and the amount
 *       goes to the cell's next `part`. Readers add all parts as BigInt; nothing is ever summed by SQL.
 *   L3  totals = the sum of cells, always (both move in one transaction); the same for those of adjustments.
 *   L4  cells, totals, counts and calls are as first priced: a later price only adds adjustments. Everything only grows.
 *   L5  One call's amounts fit an integer that JSON carries exactly (2^53), so they are single columns.
 */

/** One entry for each version: what brings a store from the version before to it. Append, never edit. */
export const LEDGER_MIGRATIONS: readonly string[] = [
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
  `ALTER TABLE cells ADD COLUMN tokens_cache_read_image INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE totals ADD COLUMN tokens_cache_read_image INTEGER NOT NULL DEFAULT 0;`,
]
