/* The lists of a run file; rows of requests are in reader_rows.c, series and logs in
 * reader_series.c. */
#include "record/reader.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "record/db.h"
#include "record/scan.h"
#include "record/schema.h"

static const char *const phase_kinds[] = {"baseline", "fault", "recovery", "cooldown"};
_Static_assert(ARRAY_SIZE(phase_kinds) == PLAN_PHASE_COUNT, "a name for every kind of phase");

/* How many rows a list has, so that its array is made once. */
static int count_rows(struct record *r, const char *what, const char *sql, size_t *ret)
{
    struct scan d;
    *ret = 0;
    scan_open(&d, r, what, sql, NULL, 0);
    if (scan_next(&d))
        *ret = (size_t)scan_int(&d, 0, 0, READER_LIST_MAX);
    return scan_close(&d);
}

static void meta_value(struct scan *d, struct arena *a, struct reader_meta *ret)
{
    const struct {
        const char *key;
        const char **to;
    } texts[] = {{"run_id", &ret->run_id},
                 {"squall_version", &ret->squall_version},
                 {"machine", &ret->machine},
                 {"tier", &ret->tier},
                 {"plan_name", &ret->plan_name},
                 {"plan_file", &ret->plan_file},
                 {"how", &ret->how}};
    const struct {
        const char *key;
        int64_t *to;
    } numbers[] = {{"started_wall_ns", &ret->started_wall_ns}, {"ended_ns", &ret->ended_ns}};
    struct str key = scan_str(d, 0, READER_TEXT_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (str_eq(key, str_of(texts[i].key)))
            *texts[i].to = scan_copy(d, 1, a);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (str_eq(key, str_of(numbers[i].key)))
            *numbers[i].to = scan_int(d, 1, INT64_MIN, INT64_MAX);
    if (str_eq(key, STR("seed"))) {
        char *end;
        const char *text = scan_text(d, 1);
        ret->seed = strtoull(text, &end, 10);
        if (end == text || *end)
            scan_bad(d, "the seed is no number");
    }
}

/* The last time that anything in the file has: what a cut-off run got to. */
static int last_time(struct record *r, int64_t *ret)
{
    struct scan d;
    scan_open(&d, r, "events",
              "SELECT max(coalesce((SELECT max(t_ns) FROM events), 0), "
              "coalesce((SELECT max(max(due_ns, answered_ns)) FROM requests), 0), "
              "coalesce((SELECT max(max(coalesce(start_ns, 0), coalesce(end_ns, 0))) FROM phases), "
              "0))",
              NULL, 0);
    if (scan_next(&d))
        *ret = scan_int(&d, 0, 0, INT64_MAX);
    return scan_close(&d);
}

int reader_meta(struct record *r, struct arena *a, struct reader_meta *ret)
{
    struct reader_meta m = {.schema = SCHEMA_VERSION,
                            .run_id = "",
                            .squall_version = "",
                            .machine = "",
                            .tier = "",
                            .plan_name = "",
                            .plan_file = ""};
    struct scan d;
    scan_open(&d, r, "meta", "SELECT key, value FROM meta", NULL, 0);
    while (scan_next(&d))
        meta_value(&d, a, &m);
    int rc = scan_close(&d);
    if (rc == 0 && !m.how)
        rc = last_time(r, &m.ended_ns);
    if (rc == 0)
        *ret = m;
    return rc;
}

int reader_plan_text(struct record *r, struct arena *a, const char **ret)
{
    struct scan d;
    const char *text = NULL;
    scan_open(&d, r, "plan", "SELECT text FROM plan LIMIT 1", NULL, 0);
    if (scan_next(&d)) {
        struct str s = scan_str(&d, 0, READER_PLAN_BYTES);
        text = arena_strndup(a, s.p, s.n);
    } else {
        scan_bad(&d, "the plan is missing");
    }
    int rc = scan_close(&d);
    if (rc == 0)
        *ret = text;
    return rc;
}

int reader_phases(struct record *r, struct arena *a, struct reader_phase **ret, size_t *ret_n)
{
    size_t n, i = 0;
    int rc = count_rows(r, "phases", "SELECT count(*) FROM phases", &n);
    if (rc)
        return rc;
    struct reader_phase *v = arena_array(a, n + 1, sizeof *v);
    struct scan d;
    scan_open(&d, r, "phases",
              "SELECT phase, kind, name, start_ns, end_ns FROM phases ORDER BY phase", NULL, 0);
    for (; i < n && scan_next(&d); i++) {
        scan_int(&d, 0, (int64_t)i, (int64_t)i);
        v[i].kind = (enum plan_phase_kind)scan_word(&d, 1, phase_kinds, PLAN_PHASE_COUNT);
        v[i].name = scan_copy(&d, 2, a);
        v[i].start_ns = scan_null(&d, 3) ? -1 : scan_int(&d, 3, 0, INT64_MAX);
        v[i].end_ns = scan_null(&d, 4) ? -1 : scan_int(&d, 4, 0, INT64_MAX);
        if (v[i].end_ns >= 0 && (v[i].start_ns < 0 || v[i].end_ns < v[i].start_ns))
            scan_bad(&d, "a phase ends before it starts");
    }
    rc = scan_close(&d);
    *ret = v;
    *ret_n = i;
    return rc;
}

static void load_end(struct scan *d, int column, struct reader_load *l)
{
    l->ended = !scan_null(d, column);
    if (!l->ended)
        return;
    int64_t v[13];
    for (int i = 0; i < 13; i++)
        v[i] = scan_int(d, column + i, i < 8 && i > 3 ? INT64_MIN : 0, INT64_MAX / 2);
    struct record_load *e = &l->end;
    e->due = (uint64_t)v[0];
    e->sent = (uint64_t)v[1];
    e->late = (uint64_t)v[2];
    e->connects = (uint64_t)v[3];
    e->lateness_p99_ns = v[4];
    e->lateness_max_ns = v[5];
    e->started_ns = v[6];
    e->ended_ns = v[7];
    for (int i = 0; i < 5; i++)
        e->fates[FATE_ACCEPTED + i] = (uint64_t)v[8 + i];
}

int reader_loads(struct record *r, struct arena *a, struct reader_load **ret, size_t *ret_n)
{
    static const char *const settle[] = {"no", "keys", "counts"};
    struct reader_load *v = arena_array(a, r->loads_n + 1, sizeof *v);
    size_t i = 0;
    struct scan d;
    scan_open(&d, r, "loads",
              "SELECT l.load, l.name, l.settle, (SELECT count(*) FROM requests q WHERE q.load = "
              "l.load), e.due, e.sent, e.late, e.connects, e.lateness_p99_ns, e.lateness_max_ns, "
              "e.started_ns, e.ended_ns, e.accepted, e.refused, e.failed, e.unknown, e.unsent "
              "FROM loads l LEFT JOIN load_ends e USING (load) ORDER BY l.load",
              NULL, 0);
    for (; i < r->loads_n && scan_next(&d); i++) {
        scan_int(&d, 0, (int64_t)i, (int64_t)i);
        v[i].name = scan_copy(&d, 1, a);
        int how = scan_word(&d, 2, settle, 3);
        v[i].settled = how > 0;
        v[i].counted = how == 2;
        v[i].rows = (uint64_t)scan_int(&d, 3, 0, INT64_MAX);
        v[i].model = r->loads[i].model;
        v[i].timeout_ns = r->loads[i].timeout_ns;
        v[i].rows_kept = r->loads[i].keep_rows;
        load_end(&d, 4, &v[i]);
    }
    int rc = scan_close(&d);
    *ret = v;
    *ret_n = i;
    return rc;
}

int reader_faults(struct record *r, struct arena *a, struct record_fault **ret, size_t *ret_n)
{
    size_t n, i = 0;
    int rc = count_rows(r, "faults", "SELECT count(*) FROM faults", &n);
    if (rc)
        return rc;
    struct record_fault *v = arena_array(a, n + 1, sizeof *v);
    struct scan d;
    scan_open(&d, r, "faults",
              "SELECT t_ns, fault, phase, name, kind, targets, state, asked, measured, text, "
              "one_shot FROM faults ORDER BY rowid",
              NULL, 0);
    for (; i < n && scan_next(&d); i++) {
        struct record_fault *f = &v[i];
        f->t_ns = scan_int(&d, 0, INT64_MIN, INT64_MAX);
        f->fault = (int)scan_int(&d, 1, INT32_MIN, INT32_MAX);
        f->phase = (int)scan_int(&d, 2, INT32_MIN, INT32_MAX);
        const char **texts[] = {&f->name,  &f->kind,     &f->targets, &f->state,
                                &f->asked, &f->measured, &f->text};
        for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
            *texts[t] = scan_copy(&d, (int)t + 3, a);
        f->one_shot = scan_int(&d, 10, 0, 1);
    }
    rc = scan_close(&d);
    *ret = v;
    *ret_n = i;
    return rc;
}

int reader_events(struct record *r, struct reader_window w, reader_event_fn *fn, void *ctx)
{
    struct scan d;
    scan_open(&d, r, "events",
              "SELECT t_ns, kind, subject, severity, text FROM events "
              "WHERE t_ns >= ? AND t_ns < ? ORDER BY t_ns, rowid",
              (int64_t[]){w.from_ns, w.to_ns}, 2);
    int rc = 0;
    while (rc == 0 && scan_next(&d)) {
        struct record_event e = {.t_ns = scan_int(&d, 0, INT64_MIN, INT64_MAX),
                                 .kind = scan_text(&d, 1),
                                 .subject = scan_text(&d, 2),
                                 .severity = scan_text(&d, 3),
                                 .text = scan_text(&d, 4)};
        if (!d.error)
            rc = fn(ctx, &e);
    }
    int error = scan_close(&d);
    return rc ? rc : error;
}

int reader_settled(struct record *r, struct arena *a, int load, struct reader_settled *ret)
{
    struct reader_settled v = {0};
    struct scan d;
    scan_open(&d, r, "settled",
              "SELECT stable, t_ns, problem, (SELECT count(*) FROM settled_objects o "
              "WHERE o.load = ?1) FROM settled WHERE load = ?1",
              (int64_t[]){load}, 1);
    if (scan_next(&d)) {
        v.read = true;
        v.stable = scan_int(&d, 0, 0, 1);
        v.t_ns = scan_int(&d, 1, INT64_MIN, INT64_MAX);
        v.problem = scan_null(&d, 2) ? NULL : scan_copy(&d, 2, a);
        v.objects = (uint64_t)scan_int(&d, 3, 0, INT64_MAX);
    }
    int rc = scan_close(&d);
    if (rc == 0)
        *ret = v;
    return rc;
}

int reader_objects(struct record *r, int load, reader_object_fn *fn, void *ctx)
{
    struct scan d;
    scan_open(&d, r, "settled_objects",
              "SELECT key, n FROM settled_objects WHERE load = ? ORDER BY rowid", (int64_t[]){load},
              1);
    int rc = 0;
    while (rc == 0 && scan_next(&d)) {
        struct str key = scan_str(&d, 0, READER_TEXT_BYTES);
        int64_t n = scan_int(&d, 1, INT64_MIN / 4, INT64_MAX / 4);
        if (!d.error)
            rc = fn(ctx, key, n);
    }
    int error = scan_close(&d);
    return rc ? rc : error;
}

static int check_details(struct record *r, struct arena *a, struct record_check *c)
{
    size_t n = 0;
    struct scan d;
    const char **v = arena_array(a, 256, sizeof *v);
    scan_open(&d, r, "check_details",
              "SELECT text FROM check_details WHERE nr = ? ORDER BY line LIMIT 256",
              (int64_t[]){c->nr}, 1);
    while (n < 256 && scan_next(&d))
        v[n++] = scan_copy(&d, 0, a);
    c->details = v;
    c->details_n = n;
    return scan_close(&d);
}

int reader_checks(struct record *r, struct arena *a, struct record_check **ret, size_t *ret_n)
{
    size_t n, i = 0;
    int rc = count_rows(r, "checks", "SELECT count(*) FROM checks", &n);
    if (rc)
        return rc;
    struct record_check *v = arena_array(a, n + 1, sizeof *v);
    struct scan d;
    scan_open(&d, r, "checks",
              "SELECT nr, kind, name, verdict, value, limits, reason, value_num, limit_num, "
              "margin, at_ns FROM checks ORDER BY nr",
              NULL, 0);
    for (; i < n && scan_next(&d); i++) {
        v[i].nr = (int)scan_int(&d, 0, 0, INT32_MAX);
        v[i].kind = scan_copy(&d, 1, a);
        v[i].name = scan_copy(&d, 2, a);
        v[i].verdict = (enum verdict)scan_word(&d, 3, verdict_names, VERDICT_COUNT);
        v[i].value = scan_copy(&d, 4, a);
        v[i].limit = scan_copy(&d, 5, a);
        v[i].reason = scan_copy(&d, 6, a);
        v[i].value_num = scan_num(&d, 7);
        v[i].limit_num = scan_num(&d, 8);
        v[i].margin = scan_num(&d, 9);
        v[i].at_ns = scan_null(&d, 10) ? -1 : scan_int(&d, 10, -1, INT64_MAX);
    }
    rc = scan_close(&d);
    for (size_t j = 0; j < i && rc == 0; j++)
        rc = check_details(r, a, &v[j]);
    *ret = v;
    *ret_n = i;
    return rc;
}
