#include "record/db.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "record/reader.h"

static const char *const stmt_sql[] = {
    [DB_EVENT] = "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
    [DB_PHASE_START] = "UPDATE phases SET start_ns = ?2 WHERE phase = ?1",
    [DB_PHASE_END] = "UPDATE phases SET end_ns = ?2 WHERE phase = ?1",
    [DB_REQUEST] = "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DB_ITEM] = "INSERT INTO items VALUES (?, ?, ?, ?)",
    [DB_LOAD_END] =
        "INSERT OR REPLACE INTO load_ends VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DB_HIST_PUT] = "INSERT OR REPLACE INTO histograms VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [DB_HIST_GET] = ("SELECT min_ns, max_ns, sum_ns, buckets FROM histograms "
                     "WHERE load = ? AND scope = ? AND at = ?"),
    [DB_COUNTS_PUT] = "INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [DB_COUNTS_GET] = ("SELECT accepted, refused, failed, unknown, unsent FROM counts "
                       "WHERE load = ? AND scope = ? AND at = ?"),
    [DB_SERIES] = "INSERT INTO series VALUES (?, ?, ?)",
    [DB_SERIES_LABEL] = "INSERT INTO series_labels VALUES (?, ?, ?)",
    [DB_SAMPLE] = "INSERT INTO samples VALUES (?, ?, ?)",
    [DB_LOG] = "INSERT INTO logs VALUES (?, ?, ?, ?)",
    [DB_FAULT] = "INSERT INTO faults VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DB_SETTLED] = "INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?)",
    [DB_OBJECT] = "INSERT INTO settled_objects VALUES (?, ?, ?)",
    [DB_META] = "INSERT OR REPLACE INTO meta VALUES (?, ?)",
    [DB_CHECK] = "INSERT OR REPLACE INTO checks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DB_DETAIL] = "INSERT INTO check_details VALUES (?, ?, ?)",
    [DB_DETAIL_CLEAR] = "DELETE FROM check_details WHERE nr = ?",
};
_Static_assert(ARRAY_SIZE(stmt_sql) == DB_COUNT, "a text for every statement");

static int errno_of(struct record *r, int rc)
{
    int system_errno = r->db ? sqlite3_system_errno(r->db) : 0;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return 0;
    case SQLITE_FULL: return -ENOSPC;
    case SQLITE_NOMEM: return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return -EBUSY;
    case SQLITE_READONLY: return -EROFS;
    case SQLITE_CONSTRAINT: return -EEXIST;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: return system_errno > 0 ? -system_errno : -EIO;
    case SQLITE_PERM:
    case SQLITE_AUTH: return -EACCES;
    }
    return -EINVAL; /* corrupt, not a database, too big, interrupted by the budget, no such table */
}

int db_error(struct record *r, int rc, const char *what)
{
    int code = errno_of(r, rc);
    const char *text = (rc & 0xff) == SQLITE_INTERRUPT ? "reading it does not end"
                       : r->db                         ? sqlite3_errmsg(r->db)
                                                       : sqlite3_errstr(rc);
    snprintf(r->problem, sizeof r->problem, "%s: %s", what, text);
    return code;
}

int db_fail(struct record *r, int rc, const char *what)
{
    int code = db_error(r, rc, what);
    if (!r->writer)
        return code;
    if (r->error == 0) {
        r->error = code;
        log_debug("record", "write failed what=%s error=%d", what, code);
    }
    for (int i = 0; i < DB_COUNT; i++)
        sqlite3_reset(r->stmts[i]);
    if (!sqlite3_get_autocommit(r->db))
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    return r->error;
}

int db_exec(struct record *r, const char *sql)
{
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL);
}

sqlite3_stmt *db_use(struct record *r, enum db_stmt which)
{
    if (r->error)
        return NULL;
    if (!r->stmts[which]) {
        int rc = sqlite3_prepare_v3(r->db, stmt_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                    &r->stmts[which], NULL);
        if (rc) {
            db_fail(r, rc, "prepare");
            return NULL;
        }
    }
    return r->stmts[which];
}

int db_run(struct record *r, sqlite3_stmt *s, const char *what)
{
    int rc = db_begin(r);
    if (rc)
        return rc;
    rc = sqlite3_step(s);
    if (rc != SQLITE_DONE)
        return db_fail(r, rc, what);
    sqlite3_reset(s);
    return 0;
}

int db_begin(struct record *r)
{
    if (r->error)
        return r->error;
    if (!sqlite3_get_autocommit(r->db))
        return 0;
    int rc = db_exec(r, "BEGIN");
    return rc ? db_fail(r, rc, "begin") : 0;
}

int db_commit(struct record *r)
{
    if (r->error)
        return r->error;
    if (sqlite3_get_autocommit(r->db))
        return 0;
    int rc = db_exec(r, "COMMIT");
    /* a reader holds the file: the transaction stays open and the next tick tries again */
    if ((rc & 0xff) == SQLITE_BUSY)
        return -EBUSY;
    return rc ? db_fail(r, rc, "commit") : 0;
}

void db_text(sqlite3_stmt *s, int column, const char *text)
{
    /* never longer than the reader takes */
    sqlite3_bind_text(s, column, text ? text : "",
                      (int)strnlen(text ? text : "", READER_TEXT_BYTES), SQLITE_STATIC);
}

int db_meta_text(struct record *r, const char *key, const char *value)
{
    sqlite3_stmt *s = db_use(r, DB_META);
    if (!s)
        return r->error;
    db_text(s, 1, key);
    db_text(s, 2, value);
    return db_run(r, s, "meta");
}

int db_meta_int(struct record *r, const char *key, int64_t value)
{
    sqlite3_stmt *s = db_use(r, DB_META);
    if (!s)
        return r->error;
    db_text(s, 1, key);
    sqlite3_bind_int64(s, 2, value);
    return db_run(r, s, "meta");
}
