/* Requests, and what is folded from them. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "record/db.h"
#include "record/histblob.h"
#include "record/reader.h"
#include "record/scan.h"

bool reader_latency(const struct ledger_row *row, enum plan_model model, int64_t timeout_ns,
                    int64_t *ret_ns)
{
    if (row->sent_ns == 0 || row->fate == FATE_NONE || row->fate == FATE_UNSENT)
        return false;
    int64_t from_ns = model == PLAN_OPEN ? row->due_ns : row->sent_ns;
    if (row->answered_ns >= row->sent_ns)
        *ret_ns = row->answered_ns - from_ns;
    else if (row->reason == REASON_TIMEOUT)
        *ret_ns = timeout_ns;
    else
        return false;
    return *ret_ns >= 0;
}

static int known_load(struct record *r, int load)
{
    if (load >= 0 && (size_t)load < r->loads_n)
        return 0;
    snprintf(r->problem, sizeof r->problem, "the run has no load %d", load);
    return -ENOENT;
}

#define ROW_COLUMNS "q.id, q.due_ns, q.sent_ns, q.answered_ns, q.status, q.bytes, q.fate, q.reason"

static void read_row(struct scan *d, struct ledger_row *ret)
{
    const int64_t far = INT64_MAX / 4; /* so that differences cannot overflow */
    ret->id = (uint64_t)scan_int(d, 0, 0, INT64_MAX);
    ret->due_ns = scan_int(d, 1, -far, far);
    ret->sent_ns = scan_int(d, 2, -far, far);
    ret->answered_ns = scan_int(d, 3, -far, far);
    ret->status = (uint16_t)scan_int(d, 4, 0, UINT16_MAX);
    ret->answer_bytes = (uint32_t)scan_int(d, 5, 0, UINT32_MAX);
    ret->fate = (uint8_t)scan_int(d, 6, FATE_ACCEPTED, FATE_COUNT - 1);
    ret->reason = (uint8_t)scan_int(d, 7, 0, REASON_COUNT - 1);
}

int reader_requests(struct record *r, int load, struct reader_window w, reader_request_fn *fn,
                    void *ctx)
{
    int rc = known_load(r, load);
    if (rc)
        return rc;
    struct scan d;
    scan_open(&d, r, "requests",
              "SELECT " ROW_COLUMNS " FROM requests q WHERE q.load = ? AND q.due_ns >= ? "
              "AND q.due_ns < ? ORDER BY q.id",
              (int64_t[]){load, w.from_ns, w.to_ns}, 3);
    while (rc == 0 && scan_next(&d)) {
        struct ledger_row row;
        read_row(&d, &row);
        if (!d.error)
            rc = fn(ctx, &row);
    }
    int error = scan_close(&d);
    return rc ? rc : error;
}

int reader_request(struct record *r, int load, uint64_t id, struct ledger_row *ret)
{
    struct scan d;
    struct ledger_row row;
    bool found = false;
    scan_open(&d, r, "requests",
              "SELECT " ROW_COLUMNS " FROM requests q WHERE q.load = ? AND q.id = ?",
              (int64_t[]){load, (int64_t)id}, 2);
    if (scan_next(&d)) {
        read_row(&d, &row);
        found = true;
    }
    int rc = scan_close(&d);
    if (rc == 0 && found)
        *ret = row;
    return rc ? rc : found ? 0 : -ENOENT;
}

int reader_items(struct record *r, int load, reader_item_fn *fn, void *ctx)
{
    int rc = known_load(r, load);
    if (rc)
        return rc;
    struct scan d;
    scan_open(&d, r, "items",
              "SELECT " ROW_COLUMNS ", i.key FROM items i JOIN requests q ON q.load = i.load "
              "AND q.id = i.id WHERE i.load = ? ORDER BY i.id, i.item",
              (int64_t[]){load}, 1);
    while (rc == 0 && scan_next(&d)) {
        struct ledger_row row;
        read_row(&d, &row);
        struct str key = scan_str(&d, 8, READER_TEXT_BYTES);
        if (!d.error)
            rc = fn(ctx, &row, key);
    }
    int error = scan_close(&d);
    return rc ? rc : error;
}

/* What the folded tables must be asked for to get a window. */
struct scope {
    enum fold_scope of;
    int64_t from, to; /* at in [from, to) */
    bool exact;
};

static int64_t second_at_or_after(int64_t ns)
{
    if (ns <= 0)
        return INT64_MIN;
    return ns / NS_PER_S + (ns % NS_PER_S != 0);
}

static int find_scope(struct record *r, struct reader_window w, struct scope *ret)
{
    *ret = (struct scope){.of = FOLD_SECOND,
                          .from = second_at_or_after(w.from_ns),
                          .to = w.to_ns <= 0 ? INT64_MIN : second_at_or_after(w.to_ns),
                          .exact = w.from_ns <= 0 && w.to_ns == INT64_MAX};
    /* phases follow each other, so from the start of one to the end of one is a row of them */
    struct scan d;
    scan_open(&d, r, "phases",
              "SELECT min(a.phase), max(b.phase) FROM phases a, phases b "
              "WHERE a.start_ns = ? AND b.end_ns = ? AND a.phase <= b.phase",
              (int64_t[]){w.from_ns, w.to_ns}, 2);
    if (scan_next(&d) && !scan_null(&d, 0)) {
        int64_t first = scan_int(&d, 0, 0, READER_LIST_MAX);
        int64_t last = scan_int(&d, 1, first, READER_LIST_MAX);
        *ret = (struct scope){FOLD_PHASE, first, last + 1, true};
    }
    return scan_close(&d);
}

static void merge_blob(struct scan *d, int column, struct hist *scratch)
{
    int64_t n = scan_int(d, column, 0, INT64_MAX / 4);
    int64_t min = scan_int(d, column + 1, 0, INT64_MAX);
    int64_t max = scan_int(d, column + 2, min, INT64_MAX);
    int64_t sum = scan_int(d, column + 3, 0, INT64_MAX);
    if (d->error)
        return;
    if (sqlite3_column_type(d->s, column + 4) != SQLITE_BLOB && n) {
        scan_bad(d, "buckets were expected");
        return;
    }
    if (histblob_decode(sqlite3_column_blob(d->s, column + 4),
                        (size_t)sqlite3_column_bytes(d->s, column + 4), min, max, scratch) ||
        scratch->count != (uint64_t)n) {
        scan_bad(d, "buckets are malformed");
        return;
    }
    scratch->min = min;
    scratch->max = max;
    scratch->sum = sum;
}

static int hist_of_scope(struct record *r, int load, const struct scope *scope, struct hist *into)
{
    struct hist *scratch = hist_new();
    struct scan d;
    scan_open(&d, r, "histograms",
              scope->of == FOLD_PHASE
                  ? "SELECT n, min_ns, max_ns, sum_ns, buckets FROM histograms "
                    "WHERE load = ? AND scope = 'phase' AND at >= ? AND at < ?"
                  : "SELECT n, min_ns, max_ns, sum_ns, buckets FROM histograms "
                    "WHERE load = ? AND scope = 'second' AND at >= ? AND at < ?",
              (int64_t[]){load, scope->from, scope->to}, 3);
    while (scan_next(&d)) {
        merge_blob(&d, 0, scratch);
        if (!d.error) {
            hist_merge(into, scratch);
            histblob_clear(scratch);
        }
    }
    hist_free(scratch);
    return scan_close(&d);
}

struct hist_ctx {
    struct hist *into;
    const struct db_load *load;
};

static int hist_row(void *ctx, const struct ledger_row *row)
{
    struct hist_ctx *c = ctx;
    int64_t latency_ns;
    if (reader_latency(row, c->load->model, c->load->timeout_ns, &latency_ns))
        hist_record(c->into, latency_ns);
    return 0;
}

int reader_hist(struct record *r, int load, struct reader_window w, struct hist *into,
                bool *ret_exact)
{
    int rc = known_load(r, load);
    if (rc)
        return rc;
    struct scope scope = {.exact = true};
    if (r->loads[load].keep_rows) {
        struct hist_ctx ctx = {into, &r->loads[load]};
        rc = reader_requests(r, load, w, hist_row, &ctx);
    } else if ((rc = find_scope(r, w, &scope)) == 0) {
        rc = hist_of_scope(r, load, &scope, into);
    }
    if (rc == 0 && ret_exact)
        *ret_exact = scope.exact;
    return rc;
}

static int accepted_of_scope(struct record *r, int load, const struct scope *scope, uint64_t *ret)
{
    struct scan d;
    scan_open(&d, r, "counts",
              scope->of == FOLD_PHASE ? "SELECT accepted FROM counts WHERE load = ? "
                                        "AND scope = 'phase' AND at >= ? AND at < ?"
                                      : "SELECT accepted FROM counts WHERE load = ? "
                                        "AND scope = 'second' AND at >= ? AND at < ?",
              (int64_t[]){load, scope->from, scope->to}, 3);
    *ret = 0;
    while (scan_next(&d))
        *ret += (uint64_t)scan_int(&d, 0, 0, INT64_MAX / 4);
    return scan_close(&d);
}

int reader_fates(struct record *r, int load, struct reader_window w, struct reader_fates *ret)
{
    int rc = known_load(r, load);
    if (rc)
        return rc;
    struct reader_fates f = {.exact = true};
    struct scan d;
    scan_open(&d, r, "requests",
              "SELECT fate, reason, count(*) FROM requests WHERE load = ? AND due_ns >= ? "
              "AND due_ns < ? GROUP BY fate, reason",
              (int64_t[]){load, w.from_ns, w.to_ns}, 3);
    while (scan_next(&d)) {
        int64_t fate = scan_int(&d, 0, FATE_ACCEPTED, FATE_COUNT - 1);
        int64_t reason = scan_int(&d, 1, 0, REASON_COUNT - 1);
        uint64_t n = (uint64_t)scan_int(&d, 2, 0, INT64_MAX / 4);
        f.fates[fate] += n;
        if (fate != FATE_ACCEPTED)
            f.reasons[reason] += n;
    }
    if ((rc = scan_close(&d)))
        return rc;
    if (!r->loads[load].keep_rows) {
        struct scope scope;
        rc = find_scope(r, w, &scope);
        if (rc == 0)
            rc = accepted_of_scope(r, load, &scope, &f.fates[FATE_ACCEPTED]);
        f.exact = scope.exact;
    }
    for (int fate = FATE_ACCEPTED; fate < FATE_COUNT; fate++)
        f.due += f.fates[fate];
    if (rc == 0)
        *ret = f;
    return rc;
}

int reader_seconds(struct record *r, int load, reader_second_fn *fn, void *ctx)
{
    int rc = known_load(r, load);
    if (rc)
        return rc;
    struct hist *h = hist_new();
    struct scan d;
    scan_open(&d, r, "counts",
              "SELECT c.at, c.accepted, c.refused, c.failed, c.unknown, c.unsent, h.n, h.min_ns, "
              "h.max_ns, h.sum_ns, h.buckets FROM counts c LEFT JOIN histograms h "
              "ON h.load = c.load AND h.scope = c.scope AND h.at = c.at "
              "WHERE c.load = ? AND c.scope = 'second' ORDER BY c.at",
              (int64_t[]){load}, 1);
    while (rc == 0 && scan_next(&d)) {
        struct reader_second s = {.second = scan_int(&d, 0, 0, INT64_MAX / NS_PER_S - 1),
                                  .hist = h};
        for (int fate = FATE_ACCEPTED; fate < FATE_COUNT; fate++)
            s.fates[fate] = (uint64_t)scan_int(&d, fate, 0, INT64_MAX / 4);
        histblob_clear(h);
        if (!scan_null(&d, 6))
            merge_blob(&d, 6, h);
        if (!d.error)
            rc = fn(ctx, &s);
    }
    hist_free(h);
    int error = scan_close(&d);
    return rc ? rc : error;
}
