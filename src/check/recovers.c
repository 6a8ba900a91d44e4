/*
 * recovers: how long after a fault until a load is well again.
 *
 * The clock starts when the fault was over: at its last confirmed undo, or, for a fault that is
 * done in one moment (a kill), when its effect was seen. `first` is the time to the first accepted
 * answer of a request that was due after that. `within` is the time to the steady state: the due
 * time of the first request from which on, for HOLD_NS and at least HOLD_REQUESTS requests (or,
 * when the watched time ends before, for at least HOLD_LEAST_NS until its end),
 *   - the share of accepted is at least 99 %, or that of the baseline when that is lower, and
 *   - the 99th percentile of latency is at most twice the baseline's, or 50 ms above it when that
 *     is more.
 * Each fault is watched until the next one begins, or the run ends.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "check/eval.h"
#include "check/kinds.h"

#define HOLD_NS       (2 * NS_PER_S)
#define HOLD_LEAST_NS NS_PER_S
#define HOLD_REQUESTS 5
#define SHARE_NEEDED  0.99
#define LATENCY_ROOM  (50 * NS_PER_MS)

struct answer {
    int64_t due_ns, answered_ns, latency_ns; /* latency -1: no sample */
    bool accepted;
};

struct recovery {
    const struct reader_load *load;
    struct answer *v;
    size_t n, cap;
    /* how many among v[0..i) are accepted, have a latency, have a good one */
    uint32_t *accepted, *samples, *fast;
};

struct baseline {
    bool known;
    double share;
    int64_t p99_ns;
};

static int add_answer(void *ctx, const struct ledger_row *row)
{
    struct recovery *r = ctx;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 1024;
        r->v = xrealloc(r->v, r->cap, sizeof *r->v);
    }
    struct answer *a = &r->v[r->n++];
    *a = (struct answer){row->due_ns, row->answered_ns, -1, row->fate == FATE_ACCEPTED};
    int64_t latency_ns;
    if (reader_latency(row, r->load->model, r->load->timeout_ns, &latency_ns))
        a->latency_ns = latency_ns;
    return 0;
}

static int by_due(const void *pa, const void *pb)
{
    const struct answer *a = pa, *b = pb;
    return a->due_ns < b->due_ns ? -1 : a->due_ns > b->due_ns;
}

static int read_baseline(struct check_eval *e, int load, struct baseline *ret)
{
    struct hist *h = hist_new();
    uint64_t due = 0, accepted = 0;
    int rc = 0;
    for (size_t i = 0; i < e->phases_n && rc == 0; i++) {
        const struct reader_phase *p = &e->phases[i];
        if (p->kind != PLAN_BASELINE || p->start_ns < 0 || p->end_ns < 0)
            continue;
        struct reader_window w = {p->start_ns, p->end_ns};
        struct reader_fates f;
        rc = reader_hist(e->r, load, w, h, NULL);
        if (rc == 0 && (rc = reader_fates(e->r, load, w, &f)) == 0) {
            due += f.due;
            accepted += f.fates[FATE_ACCEPTED];
        }
    }
    *ret = (struct baseline){.known = accepted > 0 && h->count > 0,
                             .share = due ? (double)accepted / (double)due : 0,
                             .p99_ns = hist_quantile(h, 0.99)};
    hist_free(h);
    return rc;
}

/* --- the moment the fault was over ------------------------------------------------------------ */

static int64_t fault_over(const struct check_eval *e, int phase, int64_t otherwise_ns)
{
    int64_t at_ns = -1;
    for (size_t i = 0; i < e->faults_n; i++) {
        const struct record_fault *f = &e->faults[i];
        bool one_shot = f->one_shot || strcmp(f->kind, "pod-kill") == 0 ||
                        strcmp(f->kind, "container-kill") == 0;
        if (f->phase == phase && strcmp(f->state, one_shot ? "active" : "ended") == 0 &&
            f->t_ns > at_ns)
            at_ns = f->t_ns;
    }
    return at_ns < 0 ? otherwise_ns : at_ns;
}

/* --- the steady state ------------------------------------------------------------------------- */

static void count_up(struct recovery *r, int64_t latency_max_ns)
{
    r->accepted = xcalloc(3 * (r->n + 1), sizeof *r->accepted);
    r->samples = r->accepted + r->n + 1;
    r->fast = r->samples + r->n + 1;
    for (size_t i = 0; i < r->n; i++) {
        const struct answer *a = &r->v[i];
        r->accepted[i + 1] = r->accepted[i] + a->accepted;
        r->samples[i + 1] = r->samples[i] + (a->latency_ns >= 0);
        r->fast[i + 1] = r->fast[i] + (a->latency_ns >= 0 && a->latency_ns <= latency_max_ns);
    }
}

static bool good_stretch(const struct recovery *r, size_t from, size_t to, double share)
{
    double accepted = r->accepted[to] - r->accepted[from];
    double samples = r->samples[to] - r->samples[from];
    double fast = r->fast[to] - r->fast[from];
    return accepted >= share * (double)(to - from) && samples > 0 && fast >= ceil(0.99 * samples);
}

/* Due time of the first request of the steady state, -1 = none. Rows sorted by due. */
static int64_t find_steady(const struct recovery *r, int64_t until_ns, double share)
{
    size_t to = 0;
    for (size_t from = 0; from < r->n; from++) {
        int64_t start_ns = r->v[from].due_ns;
        while (to < r->n && (r->v[to].due_ns < start_ns + HOLD_NS || to - from < HOLD_REQUESTS))
            to++;
        if (to == r->n && until_ns - start_ns < HOLD_LEAST_NS)
            return -1; /* too little time is left to see it */
        if (r->v[from].accepted && good_stretch(r, from, to, share))
            return start_ns;
    }
    return -1;
}

static int64_t find_first(const struct recovery *r)
{
    int64_t first_ns = -1;
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].accepted && (first_ns < 0 || r->v[i].answered_ns < first_ns))
            first_ns = r->v[i].answered_ns;
    return first_ns;
}

/* --- judging ---------------------------------------------------------------------------------- */

struct watched {
    int64_t over_ns, until_ns, first_ns, steady_ns; /* -1 = never */
    struct baseline baseline;
};

static void judge_one(struct check_eval *e, const struct plan_limit *l, const struct watched *w,
                      struct eval_outcome *ret)
{
    bool first = strcmp(l->what, "first") == 0;
    int64_t at_ns = first ? w->first_ns : w->steady_ns;
    int64_t watched_ns = w->until_ns - w->over_ns;
    const char *what = first ? "first answer" : "steady";
    if (at_ns >= 0) {
        eval_add_limit(
            e, ret, l,
            arena_printf(e->a, "%s after %s", what, eval_duration(e, at_ns - w->over_ns)),
            (double)(at_ns - w->over_ns));
    } else if ((double)(watched_ns + HOLD_LEAST_NS) >= l->value) {
        eval_add_limit(e, ret, l,
                       arena_printf(e->a, "no %s in %s", first ? what : "steady state",
                                    eval_duration(e, watched_ns)),
                       INFINITY);
    } else {
        eval_add_limit(e, ret, l, arena_printf(e->a, "%s not seen", what), NAN);
        ret->reason = arena_printf(e->a,
                                   "it was watched for %s only, the limit is %s; make the recovery "
                                   "phase longer",
                                   eval_duration(e, watched_ns), l->text);
    }
}

static void judge(struct check_eval *e, const struct watched *w, struct eval_outcome *ret)
{
    if (w->baseline.known)
        ret->reason = arena_printf(e->a, "fault over at %s; baseline p99 %s, %.4g%% accepted",
                                   eval_clock(e, w->over_ns), eval_duration(e, w->baseline.p99_ns),
                                   w->baseline.share * 100);
    else
        ret->reason = arena_printf(e->a, "fault over at %s", eval_clock(e, w->over_ns));
    for (size_t i = 0; i < e->check->limits_n; i++)
        judge_one(e, &e->check->limits[i], w, ret);
    if (isinf(ret->value_num))
        ret->value_num = ret->margin = NAN;
    ret->at_ns = w->steady_ns >= 0 ? w->steady_ns : w->first_ns;
}

static bool asks_steady(const struct plan_check *check)
{
    for (size_t i = 0; i < check->limits_n; i++)
        if (strcmp(check->limits[i].what, "first") != 0)
            return true;
    return false;
}

static int watch(struct check_eval *e, int load, struct recovery *r, struct watched *w,
                 struct eval_outcome *ret)
{
    int rc =
        reader_requests(e->r, load, (struct reader_window){w->over_ns, w->until_ns}, add_answer, r);
    if (rc == 0)
        rc = read_baseline(e, load, &w->baseline);
    if (rc)
        return rc;
    ret->verdict = VERDICT_INCONCLUSIVE;
    if (r->n == 0) {
        ret->reason = arena_printf(e->a,
                                   "no request of '%s' was due after the fault; let the load "
                                   "run on",
                                   e->check->load);
        return 0;
    }
    if (asks_steady(e->check) && !w->baseline.known) {
        ret->reason = "there is no accepted request in a baseline phase to compare with; put a "
                      "`baseline` before the fault";
        return 0;
    }
    qsort(r->v, r->n, sizeof *r->v, by_due);
    int64_t p99_ns = w->baseline.p99_ns;
    count_up(r, p99_ns > LATENCY_ROOM ? 2 * p99_ns : p99_ns + LATENCY_ROOM);
    w->first_ns = find_first(r);
    w->steady_ns = find_steady(r, w->until_ns, fmin(SHARE_NEEDED, w->baseline.share));
    ret->verdict = VERDICT_PASS;
    judge(e, w, ret);
    return 0;
}

static int recovers_window(struct check_eval *e, const struct eval_window *window,
                           struct eval_outcome *ret)
{
    int index;
    struct recovery r = {.load = eval_load(e, &index)};
    struct watched w = {.over_ns = window->w.from_ns, .until_ns = window->w.to_ns};
    if (window->phase >= 0 && e->phases[window->phase].kind == PLAN_FAULT)
        w.over_ns = fault_over(e, window->phase, w.over_ns);
    int rc = watch(e, index, &r, &w, ret);
    free(r.v);
    free(r.accepted);
    return rc;
}

static int recovers_run(struct record *r, const struct plan *plan, const struct plan_check *check,
                        struct check_results *out, struct check_result *ret)
{
    struct check_eval e;
    int index, rc = eval_open(&e, r, check, out, ret);
    const struct reader_load *load = rc ? NULL : eval_load(&e, &index);
    if (!load)
        return rc;
    if (check->limits_n == 0)
        return eval_inconclusive(&e, "the check has no limit; give `within` or `first`");
    if (!load->rows_kept)
        return eval_inconclusive(&e,
                                 "the run file does not keep the requests of '%s' one by one; "
                                 "add `record: all` to the load",
                                 load->name);
    struct eval_window *windows;
    size_t n;
    eval_windows_between(&e, &windows, &n);
    return eval_each(&e, windows, n, recovers_window);
}

const struct check_kind check_recovers = {
    .name = "recovers",
    .help = "time after a fault until a load is well again",
    .run = recovers_run,
};
