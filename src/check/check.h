/*
 * check.h - one kind of check a file, one row in check_list.h; all evaluated from the run file
 * alone.
 *
 * That is what makes `squall report` on an old run give the same verdict: there is no other way to
 * get one. Three-valued: no data, a fault without effect, a generator that could not keep its rate,
 * a settlement that never became stable: inconclusive, with reason and remedy. Checks are
 * independent of each other.
 */
#pragma once
#include "record/record.h"

struct check_result {
    enum verdict verdict;
    const char *kind, *name;     /* of the check */
    const char *value;           /* what was measured, for people: "p99 12.3ms" */
    const char *limit;           /* what was asked: "< 100ms" */
    double value_num, limit_num; /* NaN when there is no single number */
    double margin;        /* (limit - value) / limit, positive = good; NaN when there is none */
    const char *reason;   /* one sentence: why this verdict; for inconclusive also what to do */
    const char **details; /* e.g. lost ids with times; bounded */
    size_t details_n, details_all;
    int64_t at_ns; /* when it was decided or first violated; -1 */
    const struct plan_check *plan;
};

struct check_results {
    struct arena arena;
    struct plan *plan; /* as kept in the run */
    struct check_result *v;
    size_t n;
    enum verdict verdict;
    const char *reason; /* of the whole: counts, or why inconclusive */
};

#define CHECK_DETAILS_MAX 20 /* lines kept of a check; details_all counts all */

struct check_kind {
    const char *name; /* as in the plan */
    const char *help;
    int (*run)(struct record *r, const struct plan *plan, const struct plan_check *check,
               struct check_results *out, struct check_result *ret);
};

/* Evaluates all checks of the run; the results live in ret until check_results_done. */
int check_run(struct record *r, struct check_results *ret, struct err *err);
void check_results_done(struct check_results *ret);
/* The same with the plan given, not read from the run: for tests and for tools that have it. The
 * plan must outlive ret and is not freed with it. */
int check_evaluate(struct record *r, const struct plan *plan, struct check_results *ret,
                   struct err *err);

const struct check_kind *check_find(const char *name); /* NULL = unknown */
size_t check_count(void);
const struct check_kind *check_at(size_t i); /* sorted by name */
