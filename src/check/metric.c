/*
 * metric: the scraped samples of one service's series against a number.
 *
 * before, during, after, eventually: some sample in the window holds. always: every sample holds.
 * never: none does. A sample that is NaN (the exporter said so, or the series vanished from a
 * scrape that worked) is no value: it proves nothing, and where every sample counts it leaves a
 * gap, so that always and never become inconclusive unless a real sample breaks them.
 */
#include <math.h>
#include <string.h>

#include "check/eval.h"
#include "check/kinds.h"

struct metric_scan {
    const struct plan_check *check;
    uint64_t samples, gaps, holding;
    double last, lowest, highest; /* real ones */
    int64_t first_holds_ns, first_breaks_ns;
    double first_holds, first_breaks;
};

static bool sample_holds(const struct plan_check *check, double value)
{
    for (size_t i = 0; i < check->limits_n; i++)
        if (!plan_compare(check->limits[i].op, value, check->limits[i].value))
            return false;
    return true;
}

static int add_sample(void *ctx, size_t which, int64_t t_ns, double value)
{
    struct metric_scan *s = ctx;
    if (isnan(value)) {
        s->gaps++;
        return 0;
    }
    if (s->samples++ == 0)
        s->lowest = s->highest = value;
    s->last = value;
    s->lowest = fmin(s->lowest, value);
    s->highest = fmax(s->highest, value);
    if (sample_holds(s->check, value)) {
        if (s->holding++ == 0) {
            s->first_holds_ns = t_ns;
            s->first_holds = value;
        }
    } else if (s->samples - s->holding == 1) {
        s->first_breaks_ns = t_ns;
        s->first_breaks = value;
    }
    return 0;
}

static void all_limits(struct check_eval *e, const struct metric_scan *s, struct eval_outcome *ret)
{
    const char *text =
        s->lowest == s->highest
            ? eval_number(e, s->last)
            : arena_printf(e->a, "%s to %s", eval_number(e, s->lowest), eval_number(e, s->highest));
    ret->value = text;
    for (size_t i = 0; i < e->check->limits_n; i++)
        ret->limit = arena_printf(e->a, "%s%s%s",
                                  i                              ? ret->limit
                                  : e->check->when == PLAN_NEVER ? "never "
                                                                 : "",
                                  i ? ", " : "", e->check->limits[i].text);
}

static void put(struct check_eval *e, struct eval_outcome *ret, enum verdict verdict, double value,
                int64_t at_ns, const char *reason)
{
    ret->verdict = verdict;
    ret->reason = reason;
    ret->value_num = value;
    ret->limit_num = e->check->limits[0].value;
    ret->margin = eval_margin(e->check->limits[0].op, value, ret->limit_num);
    ret->at_ns = at_ns;
}

static void judge_some(struct check_eval *e, const struct metric_scan *s, struct eval_outcome *o)
{
    if (s->holding)
        put(e, o, VERDICT_PASS, s->first_holds, s->first_holds_ns,
            arena_printf(e->a, "%s at %s", eval_number(e, s->first_holds),
                         eval_clock(e, s->first_holds_ns)));
    else
        put(e, o, VERDICT_FAIL, s->last, -1,
            arena_printf(e->a, "none of %s samples holds", eval_count(e, s->samples)));
}

static void judge_every(struct check_eval *e, const struct metric_scan *s, bool never,
                        struct eval_outcome *o)
{
    uint64_t wrong = never ? s->holding : s->samples - s->holding;
    double value = never ? s->first_holds : s->first_breaks;
    int64_t at_ns = never ? s->first_holds_ns : s->first_breaks_ns;
    if (wrong)
        put(e, o, VERDICT_FAIL, value, at_ns,
            arena_printf(e->a, "%s at %s, and in %s of %s samples", eval_number(e, value),
                         eval_clock(e, at_ns), eval_count(e, wrong), eval_count(e, s->samples)));
    else if (s->gaps)
        put(e, o, VERDICT_INCONCLUSIVE, s->last, -1,
            arena_printf(e->a,
                         "%s samples are right but %s are missing (NaN or vanished); "
                         "was the service down?",
                         eval_count(e, s->samples), eval_count(e, s->gaps)));
    else
        put(e, o, VERDICT_PASS, s->last, -1,
            arena_printf(e->a, "all of %s samples", eval_count(e, s->samples)));
    if (never)
        o->margin = -o->margin;
}

static int scan(struct check_eval *e, const struct eval_window *w,
                const struct series_selector *sel, struct metric_scan *s, size_t *ret_series)
{
    struct reader_series *series;
    size_t n, kept = 0;
    int rc = reader_series(e->r, e->a, sel, &series, &n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        for (size_t k = 0; k < series[i].series.labels_n; k++) {
            const struct series_label *l = &series[i].series.labels[k];
            if (str_eq(l->name, STR("service")) && str_eq(l->value, str_of(e->check->service))) {
                series[kept++] = series[i];
                break;
            }
        }
    *ret_series = kept;
    return rc ? rc : reader_samples(e->r, series, kept, w->w, add_sample, s);
}

static int metric_window(struct check_eval *e, const struct eval_window *w,
                         struct eval_outcome *ret)
{
    struct series_selector *sel;
    size_t at, series_n;
    ret->verdict = VERDICT_INCONCLUSIVE;
    if (series_selector_parse(str_of(e->check->series), &sel, &at)) {
        ret->reason =
            arena_printf(e->a, "series '%s' is not valid at byte %zu", e->check->series, at + 1);
        return 0;
    }
    struct metric_scan s = {.check = e->check};
    int rc = scan(e, w, sel, &s, &series_n);
    series_selector_free(sel);
    if (rc)
        return rc;
    if (series_n == 0) {
        ret->reason = arena_printf(e->a,
                                   "service '%s' never had a series %s; look at its metrics "
                                   "page for the name",
                                   e->check->service, e->check->series);
        return 0;
    }
    if (s.samples == 0) {
        ret->reason = s.gaps ? "the series had only NaN in this time"
                             : "the series had no sample in this time; scrape more often or make "
                               "the phase longer";
        return 0;
    }
    all_limits(e, &s, ret);
    if (e->check->when == PLAN_ALWAYS || e->check->when == PLAN_NEVER)
        judge_every(e, &s, e->check->when == PLAN_NEVER, ret);
    else
        judge_some(e, &s, ret);
    return 0;
}

static int metric_run(struct record *r, const struct plan *plan, const struct plan_check *check,
                      struct check_results *out, struct check_result *ret)
{
    struct check_eval e;
    int rc = eval_open(&e, r, check, out, ret);
    if (rc)
        return rc;
    if (check->limits_n == 0 || !check->series || !check->service)
        return eval_inconclusive(&e, "the check needs a service, a series and a value");
    struct eval_window *windows;
    size_t n;
    eval_windows(&e, &windows, &n);
    return eval_each(&e, windows, n, metric_window);
}

const struct check_kind check_metric = {
    .name = "metric",
    .help = "one scraped series of a service against a number",
    .run = metric_run,
};
