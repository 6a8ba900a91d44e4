/*
 * log: how many lines of a service's output match a pattern (PCRE2) in a window.
 *
 * Patterns and lines are other people's: every match has limits, and a pattern that reaches them
 * makes the check inconclusive, not wrong. A service that wrote no line at all in the whole run is
 * no evidence either way.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <stdio.h>

#include "check/eval.h"
#include "check/kinds.h"

#define MATCH_STEPS_MAX 100000
#define MATCH_HEAP_KIB  1024
#define LINE_SHOWN_MAX  160

struct log_scan {
    struct check_eval *e;
    pcre2_code *code;
    pcre2_match_context *limits;
    pcre2_match_data *data;
    uint64_t lines, matches;
    int problem; /* a PCRE2 error other than no match */
    int64_t first_ns;
    const char *first;
};

static void scan_done(struct log_scan *s)
{
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->limits);
    pcre2_code_free(s->code);
}

static int scan_init(struct log_scan *s, const char *pattern, char *why, size_t cap)
{
    int code;
    PCRE2_SIZE at;
    s->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &code,
                            &at, NULL);
    if (!s->code) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof text);
        snprintf(why, cap, "pattern '%s' is not valid at byte %zu: %s", pattern, (size_t)at,
                 (const char *)text);
        return -1;
    }
    s->limits = pcre2_match_context_create(NULL);
    s->data = pcre2_match_data_create_from_pattern(s->code, NULL);
    pcre2_set_match_limit(s->limits, MATCH_STEPS_MAX);
    pcre2_set_depth_limit(s->limits, MATCH_STEPS_MAX);
    pcre2_set_heap_limit(s->limits, MATCH_HEAP_KIB);
    return 0;
}

static int scan_line(void *ctx, const struct reader_log *log)
{
    struct log_scan *s = ctx;
    s->lines++;
    int rc = pcre2_match(s->code, (PCRE2_SPTR)log->line.p, log->line.n, 0, 0, s->data, s->limits);
    if (rc < 0) {
        if (rc != PCRE2_ERROR_NOMATCH)
            s->problem = rc;
        return 0;
    }
    if (s->matches++ == 0) {
        s->first_ns = log->t_ns;
        s->first = eval_quote(s->e, log->line, LINE_SHOWN_MAX);
    }
    return 0;
}

static int any_line(void *ctx, const struct reader_log *log)
{
    return 1;
}

static void judge(struct check_eval *e, const struct log_scan *s, struct eval_outcome *ret)
{
    static const struct plan_limit once = {"count", PLAN_GE, 1, ">= 1"};
    const char *text =
        arena_printf(e->a, "%s of %s lines", eval_count(e, s->matches), eval_count(e, s->lines));
    for (size_t i = 0; i < e->check->limits_n; i++)
        eval_add_limit(e, ret, &e->check->limits[i], text, (double)s->matches);
    if (e->check->limits_n == 0)
        eval_add_limit(e, ret, &once, text, (double)s->matches);
    ret->at_ns = s->matches ? s->first_ns : -1;
    if (s->matches)
        ret->reason = arena_printf(e->a, "first at %s: %s", eval_clock(e, s->first_ns), s->first);
    else
        ret->reason = arena_printf(e->a, "no line of '%s' matches", e->check->service);
}

static int log_window(struct check_eval *e, const struct eval_window *w, struct eval_outcome *ret)
{
    struct log_scan s = {.e = e};
    char why[512];
    ret->verdict = VERDICT_INCONCLUSIVE;
    if (scan_init(&s, e->check->matches, why, sizeof why)) {
        ret->reason = arena_strdup(e->a, why);
        return 0;
    }
    int rc = reader_logs(e->r, e->check->service, w->w, scan_line, &s);
    if (rc == 0 && s.problem) {
        ret->reason = "the pattern took too long on a line; make it simpler";
    } else if (rc == 0) {
        ret->verdict = VERDICT_PASS;
        judge(e, &s, ret);
    }
    scan_done(&s);
    return rc;
}

static int each_window(struct check_eval *e, const struct eval_window *w, struct eval_outcome *ret)
{
    int rc = log_window(e, w, ret);
    if (rc == 0 && e->check->when == PLAN_NEVER)
        eval_never(e, ret);
    return rc;
}

static int log_run(struct record *r, const struct plan *plan, const struct plan_check *check,
                   struct check_results *out, struct check_result *ret)
{
    struct check_eval e;
    int rc = eval_open(&e, r, check, out, ret);
    if (rc)
        return rc;
    rc = reader_logs(r, check->service, READER_ALL, any_line, NULL);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return eval_inconclusive(
            &e, "service '%s' wrote no line in the whole run; does it log to its output?",
            check->service ? check->service : "");
    struct eval_window *windows;
    size_t n;
    eval_windows(&e, &windows, &n);
    return eval_each(&e, windows, n, each_window);
}

const struct check_kind check_log = {
    .name = "log",
    .help = "lines of a service's output that match a pattern",
    .run = log_run,
};
