import type { DatabaseSync } from 'node:sqlite'

/**
 * Brings the cursors in line with the configuration. A new sink starts at the oldest row kept; one that is gone is retired:
 * what waited for it is counted as dropped, and it holds no row. If it comes back it goes on from there.
 */
export function configureSinks(database: DatabaseSync, sinks: readonly string[]): void {
  const end = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'log'), 0)"
  const beforeOldest = `coalesce((SELECT min(position) - 1 FROM log WHERE only_sink IS NULL), ${end})`
  const start = database.prepare(`INSERT OR IGNORE INTO sinks SELECT ?, ${beforeOldest}, 0`)
  const comeBack = database.prepare(
    `UPDATE sinks SET retired = 0, position = max(position, ${beforeOldest}) WHERE sink = ? AND retired = 1`,
  )
  const positionOf = database.prepare('SELECT position, retired FROM sinks WHERE sink = ?')
  const countDue = database.prepare(
    `INSERT INTO sink_counts SELECT ?1, tenant, 'due', '', count(*) FROM log WHERE position > ?2 AND only_sink IS NULL
     GROUP BY tenant ON CONFLICT DO UPDATE SET count = count + excluded.count`,
  )
  const countDropped = database.prepare(
    `INSERT INTO sink_counts SELECT ?1, tenant, 'dropped', 'sink_removed', count(*) FROM (
       SELECT tenant FROM log WHERE position > ?2 AND (only_sink IS NULL OR only_sink = ?1)
       UNION ALL SELECT tenant FROM held WHERE sink = ?1 AND position <= ?2
     ) GROUP BY tenant ON CONFLICT DO UPDATE SET count = count + excluded.count`,
  )
  const letGo = database.prepare('DELETE FROM held WHERE sink = ?')
  const retire = database.prepare(`UPDATE sinks SET retired = 1, position = ${end} WHERE sink = ?`)

  database.exec('BEGIN IMMEDIATE')
  try {
    for (const sink of sinks) {
      const before = positionOf.get(sink) as { position: number; retired: number } | undefined
      if (before?.retired === 0) continue
      start.run(sink)
      comeBack.run(sink)
      // What it finds in the log waits for it from now on.
      countDue.run(sink, (positionOf.get(sink) as { position: number }).position)
    }
    const active = database.prepare('SELECT sink, position FROM sinks WHERE retired = 0').all() as {
      sink: string
      position: number
    }[]
    for (const { sink, position } of active) {
      if (sinks.includes(sink)) continue
      countDropped.run(sink, position)
      letGo.run(sink)
      retire.run(sink)
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
