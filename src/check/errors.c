/* errors: how many of the requests that were due in a window were not accepted. */
#include <math.h>
#include <string.h>

#include "check/eval.h"
#include "check/kinds.h"

static bool holds(const struct check_eval *e, double bad, double due)
{
    for (size_t i = 0; i < e->check->limits_n; i++) {
        const struct plan_limit *l = &e->check->limits[i];
        double value = strcmp(l->what, "share") == 0 ? bad / due : bad;
        if (!plan_compare(l->op, value, l->value))
            return false;
    }
    return true;
}

static const char *say_value(struct check_eval *e, const struct plan_limit *l, double value,
                             uint64_t bad, uint64_t asked)
{
    if (strcmp(l->what, "share") == 0)
        return arena_printf(e->a, "%.3g%% not accepted (%s of %s)", value * 100, eval_count(e, bad),
                            eval_count(e, asked));
    return arena_printf(e->a, "%s of %s not accepted", eval_count(e, bad), eval_count(e, asked));
}

static int errors_window(struct check_eval *e, const struct eval_window *w,
                         struct eval_outcome *ret)
{
    int load;
    if (!eval_load(e, &load))
        return 0;
    struct reader_fates f;
    int rc = reader_fates(e->r, load, w->w, &f);
    if (rc)
        return rc;
    uint64_t unsent = f.fates[FATE_UNSENT], asked = f.due - unsent;
    uint64_t bad = f.fates[FATE_REFUSED] + f.fates[FATE_FAILED] + f.fates[FATE_UNKNOWN];
    if (asked == 0) {
        ret->verdict = VERDICT_INCONCLUSIVE;
        ret->reason = arena_printf(e->a,
                                   "no request of '%s' was sent in this time; "
                                   "let the load run then",
                                   e->check->load);
        return 0;
    }
    for (size_t i = 0; i < e->check->limits_n; i++) {
        const struct plan_limit *l = &e->check->limits[i];
        double value = strcmp(l->what, "share") == 0 ? (double)bad / (double)asked : (double)bad;
        eval_add_limit(e, ret, l, say_value(e, l, value, bad, asked), value);
    }
    ret->reason =
        arena_printf(e->a, "%s refused, %s failed, %s unknown, %s unsent",
                     eval_count(e, f.fates[FATE_REFUSED]), eval_count(e, f.fates[FATE_FAILED]),
                     eval_count(e, f.fates[FATE_UNKNOWN]), eval_count(e, unsent));
    /* what the unsent ones would have met is not known: both extremes must say the same to fail */
    bool bad_anyway =
        !holds(e, (double)bad, (double)f.due) && !holds(e, (double)(bad + unsent), (double)f.due);
    if (unsent && !bad_anyway) {
        ret->verdict = VERDICT_INCONCLUSIVE;
        ret->reason = arena_printf(e->a,
                                   "%s of %s requests were never sent, so the share is not known; "
                                   "raise `concurrency` or `workers`, or lower the rate",
                                   eval_count(e, unsent), eval_count(e, f.due));
    }
    return 0;
}

static int errors_run(struct record *r, const struct plan *plan, const struct plan_check *check,
                      struct check_results *out, struct check_result *ret)
{
    return eval_of_load(r, check, out, ret, "`share` or `count`", errors_window);
}

const struct check_kind check_errors = {
    .name = "errors",
    .help = "share or number of requests that were not accepted",
    .run = errors_run,
};
