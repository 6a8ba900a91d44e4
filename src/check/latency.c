/*
 * latency: percentiles, mean or maximum of the requests that were due in a window, from due to
 * answered.
 *
 * Two things make it inconclusive beside having no samples. The generator was late by itself (open
 * model: the 99th percentile of its lateness while a connection was free, over the whole load,
 * above the larger of 1 ms and a tenth of the smallest limit): then the latency is partly its own.
 * Requests were never sent: their latency is missing, and it is the slow ones that are; only when
 * the limit is broken even if all of them had been answered at once is the check a fail.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "check/eval.h"
#include "check/kinds.h"

/* p99, p99.9, and p999 as people say it; NaN when it is none. */
static double quantile_of(const char *what)
{
    char *end;
    if (what[0] != 'p' || what[1] < '0' || what[1] > '9')
        return NAN;
    double v = strtod(what + 1, &end);
    if (*end)
        return NAN;
    while (v > 100)
        v /= 10;
    return v / 100;
}

static double measure(const struct plan_limit *l, const struct hist *h)
{
    double q = quantile_of(l->what);
    if (!isnan(q))
        return (double)hist_quantile(h, q);
    if (strcmp(l->what, "mean") == 0)
        return hist_mean(h);
    if (strcmp(l->what, "max") == 0)
        return (double)h->max;
    return strcmp(l->what, "min") == 0 ? (double)h->min : NAN;
}

static void judge(struct check_eval *e, const struct hist *h, struct eval_outcome *ret)
{
    for (size_t i = 0; i < e->check->limits_n; i++) {
        const struct plan_limit *l = &e->check->limits[i];
        double value = measure(l, h);
        const char *text =
            isnan(value) ? arena_printf(e->a, "%s unknown", l->what)
                         : arena_printf(e->a, "%s %s", l->what, eval_duration(e, (int64_t)value));
        eval_add_limit(e, ret, l, text, value);
    }
}

static int64_t allowed_lateness(const struct plan_check *check)
{
    double smallest = INFINITY;
    for (size_t i = 0; i < check->limits_n; i++)
        if (check->limits[i].value < smallest)
            smallest = check->limits[i].value;
    return smallest / 10 > NS_PER_MS ? (int64_t)fmin(smallest / 10, 1e18) : NS_PER_MS;
}

static const char *generator_problem(struct check_eval *e, const struct reader_load *load)
{
    if (load->model == PLAN_CLOSED)
        return NULL; /* it has no schedule to be late for */
    if (!load->ended)
        return "the generator's own lateness is missing because the run was cut off; run it again";
    int64_t allowed_ns = allowed_lateness(e->check);
    if (load->end.lateness_p99_ns <= allowed_ns)
        return NULL;
    return arena_printf(e->a,
                        "the generator did not keep its rate: it was late by %s (p99) where %s is "
                        "allowed; give it more `workers`, a lower rate or a quieter machine",
                        eval_duration(e, load->end.lateness_p99_ns), eval_duration(e, allowed_ns));
}

/* Is the limit broken even when every unsent request counts as answered at once, and also when
 * each counts as slow? */
static bool broken_anyway(struct check_eval *e, struct hist *h, uint64_t unsent, int64_t timeout_ns)
{
    struct hist *other = hist_new();
    struct eval_outcome fast = EVAL_OUTCOME, slow = EVAL_OUTCOME;
    hist_merge(other, h);
    hist_record_n(h, 0, unsent);
    judge(e, h, &fast);
    hist_record_n(other, timeout_ns, unsent);
    judge(e, other, &slow);
    hist_free(other);
    return fast.verdict == VERDICT_FAIL && slow.verdict == VERDICT_FAIL;
}

static int with_hist(struct check_eval *e, const struct eval_window *w, struct hist *h,
                     struct eval_outcome *ret)
{
    int index;
    const struct reader_load *load = eval_load(e, &index);
    struct reader_fates f;
    bool exact;
    int rc = reader_hist(e->r, index, w->w, h, &exact);
    if (rc == 0)
        rc = reader_fates(e->r, index, w->w, &f);
    if (rc)
        return rc;
    if (h->count == 0) {
        ret->verdict = VERDICT_INCONCLUSIVE;
        ret->reason = arena_printf(e->a,
                                   "no request of '%s' that was due in this time was sent; "
                                   "let the load run then",
                                   e->check->load);
        return 0;
    }
    judge(e, h, ret);
    ret->reason = arena_printf(e->a, "of %s requests%s", eval_count(e, h->count),
                               exact ? "" : " in the whole seconds that begin in it");
    const char *problem = generator_problem(e, load);
    uint64_t unsent = f.fates[FATE_UNSENT];
    if (!problem && unsent && !broken_anyway(e, h, unsent, load->timeout_ns))
        problem = arena_printf(e->a,
                               "%s of %s requests were never sent, so their latency is missing; "
                               "raise `concurrency` or `workers`, or lower the rate",
                               eval_count(e, unsent), eval_count(e, f.due));
    if (problem) {
        ret->verdict = VERDICT_INCONCLUSIVE;
        ret->reason = problem;
    }
    return 0;
}

static int latency_window(struct check_eval *e, const struct eval_window *w,
                          struct eval_outcome *ret)
{
    struct hist *h = hist_new();
    int rc = with_hist(e, w, h, ret);
    hist_free(h);
    return rc;
}

static int latency_run(struct record *r, const struct plan *plan, const struct plan_check *check,
                       struct check_results *out, struct check_result *ret)
{
    return eval_of_load(r, check, out, ret, "e.g. `p99: < 100ms`", latency_window);
}

const struct check_kind check_latency = {
    .name = "latency",
    .help = "percentiles, mean or maximum of the time from due to answered",
    .run = latency_run,
};
