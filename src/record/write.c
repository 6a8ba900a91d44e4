/* The writer's rows: one prepared statement each, nothing allocated. */
#include <assert.h>

#include "record/db.h"

int record_event(struct record *r, const struct record_event *e)
{
    sqlite3_stmt *s = db_use(r, DB_EVENT);
    if (!s)
        return r->error;
    sqlite3_bind_int64(s, 1, e->t_ns);
    db_text(s, 2, e->kind);
    db_text(s, 3, e->subject);
    db_text(s, 4, e->severity);
    db_text(s, 5, e->text);
    return db_run(r, s, "event");
}

static int phase_time(struct record *r, enum db_stmt which, int phase, int64_t t_ns)
{
    sqlite3_stmt *s = db_use(r, which);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, phase);
    sqlite3_bind_int64(s, 2, t_ns);
    return db_run(r, s, "phase");
}

int record_phase_start(struct record *r, int phase, int64_t t_ns)
{
    assert(phase >= 0 && (size_t)phase < r->phases.n);
    r->phases.start_ns[phase] = t_ns;
    return phase_time(r, DB_PHASE_START, phase, t_ns);
}

int record_phase_end(struct record *r, int phase, int64_t t_ns)
{
    assert(phase >= 0 && (size_t)phase < r->phases.n);
    r->phases.end_ns[phase] = t_ns;
    return phase_time(r, DB_PHASE_END, phase, t_ns);
}

static int insert_row(struct record *r, int load, const struct ledger_row *row)
{
    sqlite3_stmt *s = db_use(r, DB_REQUEST);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, load);
    sqlite3_bind_int64(s, 2, (int64_t)row->id);
    sqlite3_bind_int64(s, 3, row->due_ns);
    sqlite3_bind_int64(s, 4, row->sent_ns);
    sqlite3_bind_int64(s, 5, row->answered_ns);
    sqlite3_bind_int(s, 6, row->status);
    sqlite3_bind_int64(s, 7, row->answer_bytes);
    sqlite3_bind_int(s, 8, row->fate);
    sqlite3_bind_int(s, 9, row->reason);
    return db_run(r, s, "request");
}

static int insert_item(struct record *r, int load, uint64_t id, size_t item, struct str key)
{
    sqlite3_stmt *s = db_use(r, DB_ITEM);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, load);
    sqlite3_bind_int64(s, 2, (int64_t)id);
    sqlite3_bind_int64(s, 3, (int64_t)item);
    sqlite3_bind_text(s, 4, key.n ? key.p : "", (int)key.n, SQLITE_STATIC);
    return db_run(r, s, "item");
}

int record_request(struct record *r, int load, const struct ledger_row *row, const struct str *keys,
                   size_t keys_n)
{
    assert(load >= 0 && (size_t)load < r->loads_n);
    int rc = r->error ? r->error : fold_row(r, load, row);
    if (rc || (!r->loads[load].keep_rows && row->fate == FATE_ACCEPTED))
        return rc;
    rc = insert_row(r, load, row);
    for (size_t i = 0; keys && i < keys_n && rc == 0; i++)
        rc = insert_item(r, load, row->id, i, keys[i]);
    return rc;
}

int record_load_end(struct record *r, int load, const struct record_load *l)
{
    assert(load >= 0 && (size_t)load < r->loads_n);
    sqlite3_stmt *s = db_use(r, DB_LOAD_END);
    if (!s)
        return r->error;
    const int64_t v[] = {load,
                         (int64_t)l->due,
                         (int64_t)l->sent,
                         (int64_t)l->late,
                         (int64_t)l->connects,
                         l->lateness_p99_ns,
                         l->lateness_max_ns,
                         l->started_ns,
                         l->ended_ns,
                         (int64_t)l->fates[FATE_ACCEPTED],
                         (int64_t)l->fates[FATE_REFUSED],
                         (int64_t)l->fates[FATE_FAILED],
                         (int64_t)l->fates[FATE_UNKNOWN],
                         (int64_t)l->fates[FATE_UNSENT]};
    for (size_t i = 0; i < ARRAY_SIZE(v); i++)
        sqlite3_bind_int64(s, (int)i + 1, v[i]);
    return db_run(r, s, "load end");
}

static int insert_label(struct record *r, int series, const struct series_label *label)
{
    sqlite3_stmt *s = db_use(r, DB_SERIES_LABEL);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, series);
    sqlite3_bind_text(s, 2, label->name.n ? label->name.p : "", (int)label->name.n, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, label->value.n ? label->value.p : "", (int)label->value.n,
                      SQLITE_STATIC);
    return db_run(r, s, "series label");
}

int record_series(struct record *r, int series, const struct series *of)
{
    sqlite3_stmt *s = db_use(r, DB_SERIES);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, series);
    db_text(s, 2, of->key);
    db_text(s, 3, of->name);
    int rc = db_run(r, s, "series");
    for (size_t i = 0; i < of->labels_n && rc == 0; i++)
        rc = insert_label(r, series, &of->labels[i]);
    return rc;
}

int record_sample(struct record *r, int series, int64_t t_ns, double value)
{
    sqlite3_stmt *s = db_use(r, DB_SAMPLE);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, series);
    sqlite3_bind_int64(s, 2, t_ns);
    sqlite3_bind_double(s, 3, value); /* SQLite stores NaN as NULL */
    return db_run(r, s, "sample");
}

int record_log(struct record *r, int64_t t_ns, const char *service, int stream, const char *line)
{
    sqlite3_stmt *s = db_use(r, DB_LOG);
    if (!s)
        return r->error;
    sqlite3_bind_int64(s, 1, t_ns);
    db_text(s, 2, service);
    sqlite3_bind_int(s, 3, stream);
    db_text(s, 4, line);
    return db_run(r, s, "log");
}

int record_fault(struct record *r, const struct record_fault *f)
{
    sqlite3_stmt *s = db_use(r, DB_FAULT);
    if (!s)
        return r->error;
    sqlite3_bind_int64(s, 1, f->t_ns);
    sqlite3_bind_int(s, 2, f->fault);
    sqlite3_bind_int(s, 3, f->phase);
    const char *const texts[] = {f->name,  f->kind,     f->targets, f->state,
                                 f->asked, f->measured, f->text};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        db_text(s, (int)i + 4, texts[i]);
    sqlite3_bind_int(s, 11, f->one_shot);
    return db_run(r, s, "fault");
}

int record_settled_object(struct record *r, int load, const char *key, int64_t count)
{
    sqlite3_stmt *s = db_use(r, DB_OBJECT);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, load);
    db_text(s, 2, key);
    sqlite3_bind_int64(s, 3, count);
    return db_run(r, s, "settled object");
}

int record_settled(struct record *r, int load, bool stable, int64_t t_ns, const char *problem)
{
    sqlite3_stmt *s = db_use(r, DB_SETTLED);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, load);
    sqlite3_bind_int(s, 2, stable);
    sqlite3_bind_int64(s, 3, t_ns);
    sqlite3_bind_text(s, 4, problem, -1, SQLITE_STATIC);
    return db_run(r, s, "settled");
}

int record_check_result(struct record *r, const struct record_check *c)
{
    sqlite3_stmt *s = db_use(r, DB_DETAIL_CLEAR);
    if (!s)
        return r->error;
    sqlite3_bind_int(s, 1, c->nr);
    int rc = db_run(r, s, "check");
    if (rc || !(s = db_use(r, DB_CHECK)))
        return rc ? rc : r->error;
    sqlite3_bind_int(s, 1, c->nr);
    const char *const texts[] = {c->kind,  c->name,  verdict_names[c->verdict],
                                 c->value, c->limit, c->reason};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        db_text(s, (int)i + 2, texts[i]);
    sqlite3_bind_double(s, 8, c->value_num);
    sqlite3_bind_double(s, 9, c->limit_num);
    sqlite3_bind_double(s, 10, c->margin);
    if (c->at_ns < 0)
        sqlite3_bind_null(s, 11);
    else
        sqlite3_bind_int64(s, 11, c->at_ns);
    rc = db_run(r, s, "check");
    for (size_t i = 0; i < c->details_n && rc == 0; i++) {
        if (!(s = db_use(r, DB_DETAIL)))
            return r->error;
        sqlite3_bind_int(s, 1, c->nr);
        sqlite3_bind_int64(s, 2, (int64_t)i);
        db_text(s, 3, c->details[i]);
        rc = db_run(r, s, "check detail");
    }
    return rc;
}

int record_verdict(struct record *r, enum verdict verdict, const char *reason)
{
    int rc = db_meta_text(r, "verdict", verdict_names[verdict]);
    return rc ? rc : db_meta_text(r, "verdict_reason", reason);
}
