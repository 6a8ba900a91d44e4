#include "record/fold.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"
#include "record/db.h"
#include "record/histblob.h"
#include "record/reader.h"

const char *const fold_scope_names[] = {"second", "phase"};
_Static_assert(ARRAY_SIZE(fold_scope_names) == FOLD_SCOPE_COUNT, "a name for every scope");

void fold_init(struct fold *f)
{
    for (int i = 0; i < FOLD_SLOTS; i++) {
        f->slots[i].at = -1;
        f->slots[i].hist = hist_new();
    }
}

void fold_done(struct fold *f)
{
    for (int i = 0; i < FOLD_SLOTS; i++)
        hist_free(f->slots[i].hist);
}

static void bind_key(sqlite3_stmt *s, int load, enum fold_scope scope, int64_t at)
{
    sqlite3_bind_int(s, 1, load);
    sqlite3_bind_text(s, 2, fold_scope_names[scope], -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, at);
}

static int write_counts(struct record *r, int load, enum fold_scope scope,
                        const struct fold_slot *slot)
{
    sqlite3_stmt *s = db_use(r, DB_COUNTS_PUT);
    if (!s)
        return r->error;
    bind_key(s, load, scope, slot->at);
    for (int fate = FATE_ACCEPTED; fate < FATE_COUNT; fate++)
        sqlite3_bind_int64(s, 3 + fate, (int64_t)slot->counts[fate]);
    return db_run(r, s, "counts");
}

static int write_hist(struct record *r, int load, enum fold_scope scope,
                      const struct fold_slot *slot)
{
    const struct hist *h = slot->hist;
    if (h->count == 0)
        return 0;
    sqlite3_stmt *s = db_use(r, DB_HIST_PUT);
    if (!s)
        return r->error;
    buf_clear(&r->blob);
    histblob_encode(h, &r->blob);
    bind_key(s, load, scope, slot->at);
    sqlite3_bind_int64(s, 4, (int64_t)h->count);
    sqlite3_bind_int64(s, 5, h->min);
    sqlite3_bind_int64(s, 6, h->max);
    sqlite3_bind_int64(s, 7, h->sum > INT64_MAX ? INT64_MAX : (int64_t)h->sum);
    sqlite3_bind_blob(s, 8, r->blob.p, (int)r->blob.n, SQLITE_STATIC);
    return db_run(r, s, "histogram");
}

static int slot_write(struct record *r, int load, enum fold_scope scope, struct fold_slot *slot)
{
    if (slot->at < 0 || !slot->dirty)
        return 0;
    int rc = write_counts(r, load, scope, slot);
    if (rc == 0)
        rc = write_hist(r, load, scope, slot);
    slot->dirty = false;
    return rc;
}

/* What the file already has for this second or phase: there, when the slot had to make room. */
static int slot_read(struct record *r, int load, enum fold_scope scope, struct fold_slot *slot)
{
    sqlite3_stmt *s = db_use(r, DB_COUNTS_GET);
    if (!s)
        return r->error;
    bind_key(s, load, scope, slot->at);
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        for (int fate = FATE_ACCEPTED; fate < FATE_COUNT; fate++)
            slot->counts[fate] = (uint64_t)sqlite3_column_int64(s, fate - FATE_ACCEPTED);
    sqlite3_reset(s);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? 0 : db_fail(r, rc, "counts");
    if (!(s = db_use(r, DB_HIST_GET)))
        return r->error;
    bind_key(s, load, scope, slot->at);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        slot->hist->min = sqlite3_column_int64(s, 0);
        slot->hist->max = sqlite3_column_int64(s, 1);
        slot->hist->sum = sqlite3_column_int64(s, 2);
        histblob_decode(sqlite3_column_blob(s, 3), (size_t)sqlite3_column_bytes(s, 3),
                        slot->hist->min, slot->hist->max, slot->hist);
    }
    sqlite3_reset(s);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_fail(r, rc, "histogram");
}

static int slot_take(struct record *r, int load, enum fold_scope scope, int64_t at,
                     struct fold_slot **ret)
{
    struct fold *f = &r->folds[load];
    int from = scope == FOLD_SECOND ? 0 : FOLD_SECONDS;
    int to = scope == FOLD_SECOND ? FOLD_SECONDS : FOLD_SLOTS;
    struct fold_slot *oldest = &f->slots[from];
    f->turn++;
    for (int i = from; i < to; i++) {
        struct fold_slot *slot = &f->slots[i];
        if (slot->at == at) {
            slot->used = f->turn;
            *ret = slot;
            return 0;
        }
        if (slot->used < oldest->used)
            oldest = slot;
    }
    int rc = slot_write(r, load, scope, oldest);
    if (rc)
        return rc;
    histblob_clear(oldest->hist);
    memset(oldest->counts, 0, sizeof oldest->counts);
    oldest->at = at;
    oldest->used = f->turn;
    *ret = oldest;
    return slot_read(r, load, scope, oldest);
}

static int phase_of(const struct fold_phases *p, int64_t due_ns)
{
    for (size_t i = p->n; i-- > 0;)
        if (p->start_ns[i] >= 0 && due_ns >= p->start_ns[i])
            return p->end_ns[i] >= 0 && due_ns >= p->end_ns[i] ? -1 : (int)i;
    return -1;
}

static int fold_into(struct record *r, int load, enum fold_scope scope, int64_t at,
                     const struct ledger_row *row)
{
    struct fold_slot *slot;
    int rc = slot_take(r, load, scope, at, &slot);
    if (rc)
        return rc;
    slot->dirty = true;
    slot->counts[row->fate]++;
    int64_t latency_ns;
    if (reader_latency(row, r->loads[load].model, r->loads[load].timeout_ns, &latency_ns))
        hist_record(slot->hist, latency_ns);
    return 0;
}

int fold_row(struct record *r, int load, const struct ledger_row *row)
{
    assert(row->fate > FATE_NONE && row->fate < FATE_COUNT);
    int64_t second = row->due_ns < 0 ? 0 : row->due_ns / NS_PER_S;
    int rc = fold_into(r, load, FOLD_SECOND, second, row);
    int phase = phase_of(&r->phases, row->due_ns);
    return rc || phase < 0 ? rc : fold_into(r, load, FOLD_PHASE, phase, row);
}

int fold_flush(struct record *r)
{
    for (size_t load = 0; load < r->loads_n; load++)
        for (int i = 0; i < FOLD_SLOTS; i++) {
            int rc = slot_write(r, (int)load, i < FOLD_SECONDS ? FOLD_SECOND : FOLD_PHASE,
                                &r->folds[load].slots[i]);
            if (rc)
                return rc;
        }
    return 0;
}
