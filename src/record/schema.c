#include "record/schema.h"

#include "base/mem.h"

/* clang-format off */
#define TABLE(NAME, REST) { #NAME, "CREATE TABLE " #NAME " " REST }
#define VIEW(NAME, REST)  { #NAME, "CREATE VIEW " #NAME " AS " REST }
/* clang-format on */

const struct schema_object schema_tables[] = {
    TABLE(meta, "(key TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID"),
    TABLE(plan, "(text TEXT NOT NULL)"),
    TABLE(fates, "(fate INTEGER PRIMARY KEY, name TEXT NOT NULL)"),
    TABLE(reasons, "(reason INTEGER PRIMARY KEY, name TEXT NOT NULL)"),
    TABLE(phases, "(phase INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, "
                  "start_ns INTEGER, end_ns INTEGER)"),
    TABLE(loads, "(load INTEGER PRIMARY KEY, name TEXT NOT NULL, model TEXT NOT NULL, "
                 "timeout_ns INTEGER NOT NULL, rows_kept INTEGER NOT NULL, "
                 "settle TEXT NOT NULL)"),
    TABLE(events, "(t_ns INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, "
                  "severity TEXT NOT NULL, text TEXT NOT NULL)"),
    /* keyed by (load, id): a request that is written twice is an error, not two rows */
    TABLE(requests, "(load INTEGER NOT NULL, id INTEGER NOT NULL, due_ns INTEGER NOT NULL, "
                    "sent_ns INTEGER NOT NULL, answered_ns INTEGER NOT NULL, "
                    "status INTEGER NOT NULL, bytes INTEGER NOT NULL, fate INTEGER NOT NULL, "
                    "reason INTEGER NOT NULL, PRIMARY KEY (load, id)) WITHOUT ROWID"),
    TABLE(items, "(load INTEGER NOT NULL, id INTEGER NOT NULL, item INTEGER NOT NULL, "
                 "key TEXT NOT NULL, PRIMARY KEY (load, id, item)) WITHOUT ROWID"),
    TABLE(load_ends, "(load INTEGER PRIMARY KEY, due INTEGER NOT NULL, sent INTEGER NOT NULL, "
                     "late INTEGER NOT NULL, connects INTEGER NOT NULL, "
                     "lateness_p99_ns INTEGER NOT NULL, lateness_max_ns INTEGER NOT NULL, "
                     "started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, "
                     "accepted INTEGER NOT NULL, refused INTEGER NOT NULL, "
                     "failed INTEGER NOT NULL, unknown INTEGER NOT NULL, unsent INTEGER NOT NULL)"),
    TABLE(histograms, "(load INTEGER NOT NULL, scope TEXT NOT NULL, at INTEGER NOT NULL, "
                      "n INTEGER NOT NULL, min_ns INTEGER NOT NULL, max_ns INTEGER NOT NULL, "
                      "sum_ns INTEGER NOT NULL, buckets BLOB NOT NULL, "
                      "PRIMARY KEY (load, scope, at)) WITHOUT ROWID"),
    TABLE(counts, "(load INTEGER NOT NULL, scope TEXT NOT NULL, at INTEGER NOT NULL, "
                  "accepted INTEGER NOT NULL, refused INTEGER NOT NULL, "
                  "failed INTEGER NOT NULL, unknown INTEGER NOT NULL, unsent INTEGER NOT NULL, "
                  "PRIMARY KEY (load, scope, at)) WITHOUT ROWID"),
    TABLE(series, "(series INTEGER PRIMARY KEY, key TEXT NOT NULL, name TEXT NOT NULL)"),
    TABLE(series_labels, "(series INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, "
                         "PRIMARY KEY (series, name)) WITHOUT ROWID"),
    TABLE(samples, "(series INTEGER NOT NULL, t_ns INTEGER NOT NULL, value REAL)"),
    TABLE(logs, "(t_ns INTEGER NOT NULL, service TEXT NOT NULL, stream INTEGER NOT NULL, "
                "line TEXT NOT NULL)"),
    TABLE(faults, "(t_ns INTEGER NOT NULL, fault INTEGER NOT NULL, phase INTEGER NOT NULL, "
                  "name TEXT NOT NULL, kind TEXT NOT NULL, targets TEXT NOT NULL, "
                  "state TEXT NOT NULL, asked TEXT NOT NULL, measured TEXT NOT NULL, "
                  "text TEXT NOT NULL, one_shot INTEGER NOT NULL)"),
    TABLE(settled, "(load INTEGER PRIMARY KEY, stable INTEGER NOT NULL, t_ns INTEGER NOT NULL, "
                   "problem TEXT)"),
    TABLE(settled_objects, "(load INTEGER NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL)"),
    TABLE(checks, "(nr INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, "
                  "verdict TEXT NOT NULL, value TEXT NOT NULL, limits TEXT NOT NULL, "
                  "reason TEXT NOT NULL, value_num REAL, limit_num REAL, margin REAL, "
                  "at_ns INTEGER)"),
    TABLE(check_details, "(nr INTEGER NOT NULL, line INTEGER NOT NULL, text TEXT NOT NULL, "
                         "PRIMARY KEY (nr, line)) WITHOUT ROWID"),
};
const size_t schema_tables_n = ARRAY_SIZE(schema_tables);

#define SECONDS(COLUMN) "round(" COLUMN " / 1e9, 6)"

/* clang-format off */
const struct schema_object schema_views[] = {
    {"settled_by_key", "CREATE INDEX settled_by_key ON settled_objects (load, key)"},
    VIEW(v_events,
         "SELECT " SECONDS("t_ns") " AS t_s, kind, subject, severity, text "
         "FROM events ORDER BY t_ns"),
    VIEW(v_requests,
         "SELECT l.name AS load, q.id, p.name AS phase, " SECONDS("q.due_ns") " AS due_s, "
         "nullif(" SECONDS("q.sent_ns") ", 0) AS sent_s, "
         "nullif(" SECONDS("q.answered_ns") ", 0) AS answered_s, "
         "CASE WHEN q.sent_ns > 0 AND q.answered_ns > 0 THEN round((q.answered_ns - "
         "iif(l.model = 'open', q.due_ns, q.sent_ns)) / 1e6, 3) END AS latency_ms, "
         "q.status, q.bytes, f.name AS fate, e.name AS reason "
         "FROM requests q LEFT JOIN loads l USING (load) "
         "LEFT JOIN fates f USING (fate) LEFT JOIN reasons e USING (reason) "
         "LEFT JOIN phases p ON q.due_ns >= p.start_ns "
         "AND (p.end_ns IS NULL OR q.due_ns < p.end_ns)"),
    VIEW(v_settlement,
         "SELECT i.load, i.key, sum(f.name = 'accepted') AS accepted, "
         "sum(f.name = 'unknown') AS unknown, "
         "sum(f.name NOT IN ('accepted', 'unknown')) AS others, "
         "coalesce((SELECT sum(o.n) FROM settled_objects o "
         "WHERE o.load = i.load AND o.key = i.key), 0) AS found "
         "FROM items i JOIN requests q USING (load, id) JOIN fates f USING (fate) "
         "GROUP BY i.load, i.key"),
    VIEW(v_lost,
         "SELECT l.name AS load, s.key, s.accepted, s.unknown, s.found, "
         "s.accepted - s.found AS lost FROM v_settlement s JOIN loads l USING (load) "
         "WHERE s.found < iif(l.settle = 'counts', s.accepted, min(s.accepted, 1))"),
    VIEW(v_seconds,
         "SELECT l.name AS load, c.at AS second, c.accepted, c.refused, c.failed, "
         "c.unknown, c.unsent, h.n AS latencies, round(h.min_ns / 1e6, 3) AS min_ms, "
         "round(h.sum_ns / 1e6 / h.n, 3) AS mean_ms, round(h.max_ns / 1e6, 3) AS max_ms "
         "FROM counts c JOIN loads l USING (load) LEFT JOIN histograms h "
         "ON h.load = c.load AND h.scope = c.scope AND h.at = c.at "
         "WHERE c.scope = 'second' ORDER BY c.load, c.at"),
    VIEW(v_samples,
         "SELECT " SECONDS("t_ns") " AS t_s, key, value FROM samples JOIN series USING (series)"),
    VIEW(v_logs,
         "SELECT " SECONDS("t_ns") " AS t_s, service, line FROM logs"),
};
/* clang-format on */
const size_t schema_views_n = ARRAY_SIZE(schema_views);
