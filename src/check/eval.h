/*
 * eval.h - what all kinds of check share: the run as they see it, the windows in which a check
 * speaks, and one result made of several windows. For the files of this folder only.
 *
 * A check looks at one or more windows (each phase of a kind is one). Each window gives an outcome;
 * the check fails when one fails, else is inconclusive when one is, else passes; the worst window
 * is the one shown. A window is spoiled (its outcome inconclusive, whatever was measured) when the
 * run ended before it was complete, or when a fault in it had no measured effect or was not undone.
 * Everything is allocated in the results' arena.
 */
#pragma once
#include "check/check.h"
#include "record/reader.h"

struct check_eval {
    struct record *r;
    const struct plan_check *check;
    struct arena *a;
    struct check_result *ret;
    struct reader_meta meta;
    struct reader_phase *phases;
    struct reader_load *loads;
    struct record_fault *faults;
    size_t phases_n, loads_n, faults_n;
    int64_t end_ns;    /* of the last phase that began */
    bool done;         /* the run came to its planned end */
    const char *cause; /* if it did not: what the run itself said; NULL = nothing */
};
int eval_open(struct check_eval *e, struct record *r, const struct plan_check *check,
              struct check_results *out, struct check_result *ret);

struct eval_window {
    struct reader_window w;
    int phase;           /* the one it belongs to; -1 = the whole run */
    const char *name;    /* "fault", "after fault", "run" */
    const char *spoiled; /* why nothing can be said, with the remedy; NULL = sound */
};
/* The windows of the check by its `when`, `phase` and `within`. Always at least one: a phase that
 * does not exist gives a spoiled one. */
void eval_windows(struct check_eval *e, struct eval_window **ret, size_t *ret_n);
/* The same, but each window after a fault phase ends where the next fault phase starts. */
void eval_windows_between(struct check_eval *e, struct eval_window **ret, size_t *ret_n);

struct eval_outcome {
    enum verdict verdict;
    const char *value, *limit;
    double value_num, limit_num, margin; /* NaN = none */
    const char *reason;
    int64_t at_ns;
};
#define EVAL_OUTCOME ((struct eval_outcome){VERDICT_PASS, "", "", NAN, NAN, NAN, "", -1})

/* 0, or -errno when the run file cannot be read. */
typedef int eval_fn(struct check_eval *e, const struct eval_window *w, struct eval_outcome *ret);
int eval_each(struct check_eval *e, const struct eval_window *windows, size_t n, eval_fn *fn);
/* `eval_each` over eval_windows for statements about a whole window: turns the outcome round for
 * `never`, and for `eventually` asks each second of the window by itself. */
int eval_aggregate(struct check_eval *e, eval_fn *fn);
/* All of a check that is about one load and needs a limit; hint: which one to give. */
int eval_of_load(struct record *r, const struct plan_check *check, struct check_results *out,
                 struct check_result *ret, const char *hint, eval_fn *fn);

void eval_never(struct check_eval *e, struct eval_outcome *o); /* turns it round */

/* For a check that says only one thing. Returns 0. */
int eval_conclude(struct check_eval *e, const struct eval_outcome *o);
int eval_inconclusive(struct check_eval *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void eval_detail(struct check_eval *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The check's load, or NULL after eval_inconclusive. */
const struct reader_load *eval_load(struct check_eval *e, int *ret_index);

/* How far a value is from its limit, as a share of the limit; positive is good. NaN when the
 * comparison knows no distance. */
double eval_margin(enum plan_op op, double value, double limit);
/* Joins one limit into an outcome of several: texts are listed, the worst one gives the numbers. */
void eval_add_limit(struct check_eval *e, struct eval_outcome *o, const struct plan_limit *limit,
                    const char *value_text, double value);

const char *eval_count(struct check_eval *e, uint64_t n);    /* 2,412 */
const char *eval_duration(struct check_eval *e, int64_t ns); /* 12.3ms */
const char *eval_clock(struct check_eval *e, int64_t ns);    /* 12.040s, since the start */
/* Text from the system under test as it may stand in a result: no control bytes (a terminal would
 * obey them), cut between two characters with an ellipsis. */
const char *eval_quote(struct check_eval *e, struct str text, size_t max_bytes);
const char *eval_number(struct check_eval *e, double v); /* shortest */
