/* Opening a run file that may come from anywhere. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/db.h"
#include "record/scan.h"
#include "record/schema.h"

#define BUDGET_FIXED     20000 /* units of SCAN_BUDGET_STEPS: 20 million steps */
#define BUDGET_PER_BYTES 50    /* and one unit for so many bytes: 20 steps a byte */
#define LENGTH_MAX       (READER_PLAN_BYTES + 4096)

static int out_of_budget(void *ctx)
{
    struct record *r = ctx;
    return --r->budget < 0;
}

static void harden(struct record *r, int64_t file_bytes)
{
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_limit(r->db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
    sqlite3_limit(r->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(r->db, SQLITE_LIMIT_VDBE_OP, 100000);
    r->budget_all = BUDGET_FIXED + file_bytes / BUDGET_PER_BYTES;
    r->budget = r->budget_all;
    sqlite3_progress_handler(r->db, SCAN_BUDGET_STEPS, out_of_budget, r);
}

static int pragma_int(struct record *r, const char *sql, int64_t *ret)
{
    struct scan d;
    scan_open(&d, r, "header", sql, NULL, 0);
    if (scan_next(&d))
        *ret = scan_int(&d, 0, INT64_MIN, INT64_MAX);
    return scan_close(&d);
}

/* Each table must be a table, made by our own statement. */
static int check_tables(struct record *r)
{
    size_t found = 0;
    struct scan d;
    scan_open(&d, r, "sqlite_schema", "SELECT name, sql FROM sqlite_schema WHERE type = 'table'",
              NULL, 0);
    while (scan_next(&d)) {
        struct str name = scan_str(&d, 0, READER_TEXT_BYTES);
        for (size_t i = 0; i < schema_tables_n && !d.error; i++) {
            if (!str_eq(name, str_of(schema_tables[i].name)))
                continue;
            struct str sql = scan_str(&d, 1, READER_TEXT_BYTES);
            if (!d.error && !str_eq(sql, str_of(schema_tables[i].sql))) {
                char why[96];
                snprintf(why, sizeof why, "table '%s' has other columns than it must have",
                         schema_tables[i].name);
                scan_bad(&d, why);
            }
            found++;
        }
    }
    if (!d.error && found != schema_tables_n)
        scan_bad(&d, "tables are missing");
    return scan_close(&d);
}

static int read_loads(struct record *r)
{
    struct scan d;
    int64_t n = 0;
    scan_open(&d, r, "loads", "SELECT count(*) FROM loads", NULL, 0);
    if (scan_next(&d))
        n = scan_int(&d, 0, 0, READER_LIST_MAX);
    int rc = scan_close(&d);
    if (rc)
        return rc;
    r->loads = xcalloc((size_t)n + 1, sizeof *r->loads);
    static const char *const models[] = {"open", "closed"};
    scan_open(&d, r, "loads", "SELECT load, model, timeout_ns, rows_kept FROM loads ORDER BY load",
              NULL, 0);
    while (scan_next(&d) && (int64_t)r->loads_n < n) {
        struct db_load *l = &r->loads[r->loads_n];
        scan_int(&d, 0, (int64_t)r->loads_n, (int64_t)r->loads_n);
        l->model = scan_word(&d, 1, models, 2) == 0 ? PLAN_OPEN : PLAN_CLOSED;
        l->timeout_ns = scan_int(&d, 2, 0, INT64_MAX);
        l->keep_rows = scan_int(&d, 3, 0, 1);
        r->loads_n++;
    }
    return scan_close(&d);
}

static int check_file(struct record *r, struct err *err)
{
    int64_t application = 0, version = 0;
    int rc = pragma_int(r, "PRAGMA application_id", &application);
    if (rc == 0)
        rc = pragma_int(r, "PRAGMA user_version", &version);
    if (rc)
        return err_set(err, rc, "'%s' cannot be read as a run file: %s", r->path, r->problem);
    if (application != SCHEMA_APPLICATION_ID)
        return err_set(err, -EINVAL, "'%s' is not a run file of squall", r->path);
    if (version != SCHEMA_VERSION)
        return err_set(err, -EINVAL, "run file '%s' has schema %lld, this squall reads %d", r->path,
                       (long long)version, SCHEMA_VERSION);
    if ((rc = check_tables(r)) || (rc = read_loads(r)))
        return err_set(err, rc, "run file '%s' is damaged: %s", r->path, r->problem);
    return 0;
}

/* A journal beside the file: its writer was killed, or is still writing. SQLite then needs write
 * access, to put back what was not committed. */
static bool has_journal(const char *path)
{
    char *journal CLEANUP(free_p) = xasprintf("%s-journal", path);
    struct stat st;
    return stat(journal, &st) == 0 && st.st_size > 0;
}

int record_open(const char *path, struct record **ret, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_set(err, -errno, "cannot open run file '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "run file '%s' is not a regular file", path);
    if (st.st_size == 0)
        return err_set(err, -EINVAL, "run file '%s' is empty", path);
    struct record *r = xmalloc(sizeof *r);
    r->path = xstrdup(path);
    int flags = has_journal(path) ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path, &r->db, flags | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (rc) {
        rc = db_error(r, rc, "open");
        err_set(err, rc, "cannot open run file '%s': %s", path, r->problem);
    } else {
        sqlite3_busy_timeout(r->db, 2000);
        harden(r, st.st_size);
        rc = check_file(r, err);
    }
    if (rc) {
        record_close(r);
        return rc;
    }
    *ret = r;
    return 0;
}
