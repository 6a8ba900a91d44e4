/*
 * Opening, committing, closing. Everything else the writer does is in write.c.
 *
 * synchronous=OFF: what is at stake is a killed process, and the page cache of the kernel outlives
 * that; the rollback journal then restores the last commit. An fsync every second would add stalls
 * of tens of milliseconds to a process that also has to keep a schedule, and guards only against a
 * power cut, after which a load test is run again anyway.
 */
#include "record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "record/db.h"
#include "record/schema.h"

#define COMMIT_EVERY_NS NS_PER_S
#define BUSY_MS         50

const char *const verdict_names[] = {"pass", "fail", "inconclusive"};
_Static_assert(ARRAY_SIZE(verdict_names) == VERDICT_COUNT, "a name for every verdict");

static const char *const phase_kinds[] = {"baseline", "fault", "recovery", "cooldown"};
_Static_assert(ARRAY_SIZE(phase_kinds) == PLAN_PHASE_COUNT, "a name for every kind of phase");

int record_error(const struct record *r)
{
    return r->error;
}

const char *record_problem(const struct record *r)
{
    return r->problem;
}

const char *record_path(const struct record *r)
{
    return r->path;
}

static int insert_names(struct record *r, const char *sql, const char *const *names, int n)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, &s, NULL);
    for (int i = 0; rc == SQLITE_OK && i < n; i++) {
        sqlite3_bind_int(s, 1, i);
        sqlite3_bind_text(s, 2, names[i], -1, SQLITE_STATIC);
        rc = sqlite3_step(s) == SQLITE_DONE ? sqlite3_reset(s) : sqlite3_errcode(r->db);
    }
    sqlite3_finalize(s);
    return rc ? db_fail(r, rc, "names") : 0;
}

static int make_tables(struct record *r)
{
    for (size_t i = 0; i < schema_tables_n + schema_views_n; i++) {
        const struct schema_object *o =
            i < schema_tables_n ? &schema_tables[i] : &schema_views[i - schema_tables_n];
        int rc = db_exec(r, o->sql);
        if (rc)
            return db_fail(r, rc, o->name);
    }
    int rc = insert_names(r, "INSERT INTO fates VALUES (?, ?)", fate_names, FATE_COUNT);
    if (rc == 0)
        rc = insert_names(r, "INSERT INTO reasons VALUES (?, ?)", fate_reason_names, REASON_COUNT);
    return rc;
}

static int write_meta(struct record *r, const struct plan *plan, const struct record_meta *meta)
{
    const struct {
        const char *key, *value;
    } texts[] = {{"run_id", meta->run_id},   {"squall_version", meta->squall_version},
                 {"machine", meta->machine}, {"tier", meta->tier},
                 {"plan_name", plan->name},  {"plan_file", plan->file}};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (db_meta_text(r, texts[i].key, texts[i].value))
            return r->error;
    char seed[24]; /* as text: SQLite's integers are signed */
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)meta->seed);
    int rc = db_meta_text(r, "seed", seed);
    if (rc == 0)
        rc = db_meta_int(r, "schema", SCHEMA_VERSION);
    if (rc == 0)
        rc = db_meta_int(r, "started_wall_ns", meta->started_wall_ns);
    return rc;
}

static int insert_plan(struct record *r, const struct plan *plan)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(r->db, "INSERT INTO plan VALUES (?)", -1, &s, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(s, 1, plan->resolved ? plan->resolved : "", -1, SQLITE_STATIC);
        rc = sqlite3_step(s) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(r->db);
    }
    sqlite3_finalize(s);
    return rc ? db_fail(r, rc, "plan") : 0;
}

static int insert_phases(struct record *r, const struct plan *plan)
{
    sqlite3_stmt *s = NULL;
    int rc =
        sqlite3_prepare_v2(r->db, "INSERT INTO phases VALUES (?, ?, ?, NULL, NULL)", -1, &s, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < plan->phases_n; i++) {
        sqlite3_bind_int(s, 1, (int)i);
        db_text(s, 2, phase_kinds[plan->phases[i].kind]);
        db_text(s, 3, plan->phases[i].name);
        rc = sqlite3_step(s) == SQLITE_DONE ? sqlite3_reset(s) : sqlite3_errcode(r->db);
    }
    sqlite3_finalize(s);
    return rc ? db_fail(r, rc, "phases") : 0;
}

static int insert_loads(struct record *r, const struct plan *plan)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(r->db, "INSERT INTO loads VALUES (?, ?, ?, ?, ?, ?)", -1, &s, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < plan->loads_n; i++) {
        const struct plan_load *l = &plan->loads[i];
        sqlite3_bind_int(s, 1, (int)i);
        db_text(s, 2, l->name);
        db_text(s, 3, l->model == PLAN_OPEN ? "open" : "closed");
        sqlite3_bind_int64(s, 4, l->timeout_ns);
        sqlite3_bind_int(s, 5, r->loads[i].keep_rows);
        db_text(s, 6, !l->settle.from ? "no" : l->settle.count ? "counts" : "keys");
        rc = sqlite3_step(s) == SQLITE_DONE ? sqlite3_reset(s) : sqlite3_errcode(r->db);
    }
    sqlite3_finalize(s);
    return rc ? db_fail(r, rc, "loads") : 0;
}

/* Settlement matches requests, not sums, and a recovery is found between two answers. */
static bool needs_rows(const struct plan *plan, const struct plan_load *l)
{
    if (l->keep_rows || l->settle.from)
        return true;
    for (size_t i = 0; i < plan->checks_n; i++) {
        const struct plan_check *c = &plan->checks[i];
        if (c->load && strcmp(c->kind, "recovers") == 0 && strcmp(c->load, l->name) == 0)
            return true;
    }
    return false;
}

static void remember_plan(struct record *r, const struct plan *plan)
{
    r->loads_n = plan->loads_n;
    r->loads = xcalloc(plan->loads_n + 1, sizeof *r->loads);
    r->folds = xcalloc(plan->loads_n + 1, sizeof *r->folds);
    for (size_t i = 0; i < plan->loads_n; i++) {
        const struct plan_load *l = &plan->loads[i];
        r->loads[i] = (struct db_load){
            .model = l->model, .timeout_ns = l->timeout_ns, .keep_rows = needs_rows(plan, l)};
        fold_init(&r->folds[i]);
    }
    r->phases.n = plan->phases_n;
    r->phases.start_ns = xcalloc(plan->phases_n + 1, sizeof(int64_t));
    r->phases.end_ns = xcalloc(plan->phases_n + 1, sizeof(int64_t));
    for (size_t i = 0; i < plan->phases_n; i++)
        r->phases.start_ns[i] = r->phases.end_ns[i] = -1;
}

static int fill_new(struct record *r, const struct plan *plan, const struct record_meta *meta)
{
    char pragmas[160];
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA synchronous=OFF; PRAGMA cache_size=-8192; PRAGMA application_id=%d; "
             "PRAGMA user_version=%d",
             SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
    int rc = db_exec(r, pragmas);
    if (rc)
        return db_fail(r, rc, "new file");
    sqlite3_busy_timeout(r->db, BUSY_MS);
    if ((rc = db_begin(r)) || (rc = make_tables(r)) || (rc = write_meta(r, plan, meta)) ||
        (rc = insert_plan(r, plan)) || (rc = insert_phases(r, plan)) ||
        (rc = insert_loads(r, plan)))
        return rc;
    return db_commit(r);
}

int record_create(const char *path, const struct plan *plan, const struct record_meta *meta,
                  struct record **ret, struct err *err)
{
    /* the file must be new: an old run is never written into */
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(err, -errno, "cannot create run file '%s': %s", path, strerror(errno));
    close(fd);
    struct record *r = xmalloc(sizeof *r);
    r->writer = true;
    r->path = xstrdup(path);
    remember_plan(r, plan);
    int rc = sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE, NULL);
    rc = rc ? db_fail(r, rc, "open") : fill_new(r, plan, meta);
    if (rc) {
        err_set(err, rc, "cannot write run file '%s': %s", path, r->problem);
        record_close(r);
        unlink(path);
        return rc;
    }
    *ret = r;
    return 0;
}

int record_tick(struct record *r, int64_t now_ns, bool force)
{
    if (r->error)
        return r->error;
    if (!r->ticked) {
        r->ticked = true;
        r->committed_ns = now_ns;
    }
    if (!force && now_ns - r->committed_ns < COMMIT_EVERY_NS)
        return 0;
    int rc = fold_flush(r);
    if (rc == 0)
        rc = db_commit(r);
    if (rc == -EBUSY)
        return 0;
    r->committed_ns = now_ns;
    return rc;
}

int record_finish(struct record *r, int64_t t_ns, const char *how)
{
    int rc = db_meta_text(r, "how", how);
    if (rc == 0)
        rc = db_meta_int(r, "ended_ns", t_ns);
    return rc ? rc : record_tick(r, r->committed_ns, true);
}

void record_close(struct record *r)
{
    if (!r)
        return;
    if (r->writer && r->db && !r->error) {
        fold_flush(r);
        for (int tries = 0; db_commit(r) == -EBUSY && tries < 40; tries++)
            continue; /* each try waits BUSY_MS for the reader */
    }
    for (int i = 0; i < DB_COUNT; i++)
        sqlite3_finalize(r->stmts[i]);
    sqlite3_close(r->db);
    for (size_t i = 0; r->folds && i < r->loads_n; i++)
        fold_done(&r->folds[i]);
    free(r->folds);
    free(r->loads);
    free(r->phases.start_ns);
    free(r->phases.end_ns);
    buf_done(&r->blob);
    free(r->path);
    free(r);
}
