#include "check/eval.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"

#define CAUSE_BYTES 500

/* The last error that the run told about itself. */
static int take_cause(void *ctx, const struct record_event *event)
{
    struct check_eval *e = ctx;
    if (strcmp(event->kind, "run") == 0 && strcmp(event->severity, "err") == 0)
        e->cause = eval_quote(e, str_of(event->text), CAUSE_BYTES);
    return 0;
}

int eval_open(struct check_eval *e, struct record *r, const struct plan_check *check,
              struct check_results *out, struct check_result *ret)
{
    *e = (struct check_eval){.r = r, .check = check, .a = &out->arena, .ret = ret};
    int rc = reader_meta(r, e->a, &e->meta);
    if (rc == 0)
        rc = reader_phases(r, e->a, &e->phases, &e->phases_n);
    if (rc == 0)
        rc = reader_loads(r, e->a, &e->loads, &e->loads_n);
    if (rc == 0)
        rc = reader_faults(r, e->a, &e->faults, &e->faults_n);
    e->done = e->meta.how && strcmp(e->meta.how, "done") == 0;
    if (rc == 0 && !e->done)
        rc = reader_events(r, READER_ALL, take_cause, e);
    e->end_ns = e->meta.ended_ns;
    for (size_t i = e->phases_n; i-- > 0;)
        if (e->phases[i].start_ns >= 0) {
            if (e->phases[i].end_ns >= 0)
                e->end_ns = e->phases[i].end_ns;
            break;
        }
    return rc;
}

/* --- texts ------------------------------------------------------------------------------------ */

const char *eval_count(struct check_eval *e, uint64_t n)
{
    char plain[32];
    int len = snprintf(plain, sizeof plain, "%llu", (unsigned long long)n);
    char *out = arena_alloc(e->a, (size_t)len + (size_t)len / 3 + 1), *to = out;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = plain[i];
    }
    return out;
}

const char *eval_duration(struct check_eval *e, int64_t ns)
{
    char text[64];
    return arena_strdup(e->a, units_human_duration(ns, text, sizeof text));
}

const char *eval_clock(struct check_eval *e, int64_t ns)
{
    return arena_printf(e->a, "%.3fs", (double)ns / 1e9);
}

const char *eval_number(struct check_eval *e, double v)
{
    return arena_printf(e->a, "%.6g", v);
}

const char *eval_quote(struct check_eval *e, struct str text, size_t max_bytes)
{
    size_t n = text.n;
    if (n > max_bytes)
        for (n = max_bytes; n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80;)
            n--; /* not into a UTF-8 sequence */
    char *out = arena_printf(e->a, "%.*s%s", (int)n, text.p, n < text.n ? "..." : "");
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return out;
}

/* --- results ---------------------------------------------------------------------------------- */

void eval_detail(struct check_eval *e, const char *fmt, ...)
{
    struct check_result *ret = e->ret;
    ret->details_all++;
    if (ret->details_n == CHECK_DETAILS_MAX)
        return;
    if (!ret->details)
        ret->details = arena_array(e->a, CHECK_DETAILS_MAX, sizeof *ret->details);
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ret->details[ret->details_n++] = arena_strdup(e->a, text);
}

int eval_conclude(struct check_eval *e, const struct eval_outcome *o)
{
    struct check_result *ret = e->ret;
    ret->verdict = o->verdict;
    ret->value = o->value;
    ret->limit = o->limit;
    ret->value_num = o->value_num;
    ret->limit_num = o->limit_num;
    ret->margin = o->margin;
    ret->reason = o->reason;
    ret->at_ns = o->at_ns;
    return 0;
}

int eval_inconclusive(struct check_eval *e, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct eval_outcome o = EVAL_OUTCOME;
    o.verdict = VERDICT_INCONCLUSIVE;
    o.reason = arena_strdup(e->a, text);
    return eval_conclude(e, &o);
}

const struct reader_load *eval_load(struct check_eval *e, int *ret_index)
{
    for (size_t i = 0; e->check->load && i < e->loads_n; i++)
        if (strcmp(e->loads[i].name, e->check->load) == 0) {
            *ret_index = (int)i;
            return &e->loads[i];
        }
    eval_inconclusive(e, "the run has no load '%s'", e->check->load ? e->check->load : "");
    return NULL;
}

double eval_margin(enum plan_op op, double value, double limit)
{
    bool below = op == PLAN_LT || op == PLAN_LE;
    if (op == PLAN_EQ || op == PLAN_NE || isnan(value) || limit == 0)
        return NAN;
    double distance = below ? limit - value : value - limit;
    return distance / fabs(limit);
}

/* fail is worse than inconclusive is worse than pass */
static int badness(enum verdict v)
{
    return v == VERDICT_FAIL ? 2 : v == VERDICT_INCONCLUSIVE ? 1 : 0;
}

static bool worse(enum verdict va, double ma, enum verdict vb, double mb)
{
    if (badness(va) != badness(vb))
        return badness(va) > badness(vb);
    return !isnan(ma) && (isnan(mb) || ma < mb);
}

void eval_add_limit(struct check_eval *e, struct eval_outcome *o, const struct plan_limit *limit,
                    const char *value_text, double value)
{
    enum verdict verdict = isnan(value)                                   ? VERDICT_INCONCLUSIVE
                           : plan_compare(limit->op, value, limit->value) ? VERDICT_PASS
                                                                          : VERDICT_FAIL;
    double margin = eval_margin(limit->op, value, limit->value);
    bool first = o->limit[0] == 0;
    bool named = strcmp(limit->what, "value") != 0 && strcmp(limit->what, "count") != 0;
    o->value = first ? value_text : arena_printf(e->a, "%s, %s", o->value, value_text);
    o->limit = arena_printf(e->a, "%s%s%s%s%s", o->limit, first ? "" : ", ",
                            named ? limit->what : "", named ? " " : "", limit->text);
    if (first || worse(verdict, margin, o->verdict, o->margin)) {
        o->value_num = value;
        o->limit_num = limit->value;
        o->margin = margin;
    }
    if (badness(verdict) > badness(o->verdict))
        o->verdict = verdict;
}

/* --- windows ---------------------------------------------------------------------------------- */

static const char *const kind_words[] = {"baseline", "fault", "recovery", "cooldown"};
_Static_assert(ARRAY_SIZE(kind_words) == PLAN_PHASE_COUNT, "a word for every kind of phase");

/* A kind's word means every phase of the kind, also when a phase has it for its name. */
static bool phase_meant(const struct check_eval *e, size_t i)
{
    for (int kind = 0; kind < PLAN_PHASE_COUNT; kind++)
        if (strcmp(e->check->phase, kind_words[kind]) == 0)
            return (int)e->phases[i].kind == kind;
    return strcmp(e->check->phase, e->phases[i].name) == 0;
}

/* "the run was aborted before this was complete: service "web" ended..." */
static const char *not_reached(struct check_eval *e, const char *what)
{
    const char *how = !e->meta.how                          ? "was cut off"
                      : strcmp(e->meta.how, "done") == 0    ? "ended"
                      : strcmp(e->meta.how, "aborted") == 0 ? "was aborted"
                                                            : "was interrupted";
    if (e->cause)
        return arena_printf(e->a, "the run %s before %s: %s", how, what, e->cause);
    return arena_printf(e->a, "the run %s before %s; run it again", how, what);
}

/* A fault that failed and never had a target. */
static bool hit_nobody(const struct check_eval *e, const struct record_fault *failed)
{
    for (size_t i = 0; i < e->faults_n; i++)
        if (e->faults[i].fault == failed->fault && e->faults[i].targets[0])
            return false;
    return strcmp(failed->state, "failed") == 0;
}

static const char *fault_remedy(const struct check_eval *e, const struct record_fault *f)
{
    if (strcmp(f->state, "no-effect") == 0 && f->text[0])
        return ""; /* the fault itself knows what to do */
    return hit_nobody(e, f) ? "; compare its selector with the labels of the services"
           : strcmp(f->state, "undo-failed") == 0 ? "; run `squall undo`"
                                                  : "; see `squall doctor`";
}

/* It had an effect, but not the one that was asked for. */
static bool not_exact(const struct record_fault *f)
{
    return str_prefix(str_of(f->text), STR("not exact"));
}

/* Was the fault of a phase really there, and is it gone? NULL = yes. What an earlier row says
 * stands: a fault whose effect is measured to its end may be active, without effect, and ended. */
static const char *fault_problem(struct check_eval *e, int phase)
{
    bool active = false;
    for (size_t i = 0; i < e->faults_n; i++) {
        const struct record_fault *f = &e->faults[i];
        if (f->phase != phase)
            continue;
        if (strcmp(f->state, "active") == 0)
            active = true;
        const char *why = strcmp(f->state, "no-effect") == 0
                              ? not_exact(f) ? "was" : "had no measured effect"
                          : strcmp(f->state, "failed") == 0      ? "could not be applied"
                          : strcmp(f->state, "undo-failed") == 0 ? "was not undone"
                                                                 : NULL;
        if (why)
            return arena_printf(e->a, "fault '%s' in phase '%s' %s%s%s%s", f->name,
                                e->phases[phase].name, why,
                                !f->text[0]    ? ""
                                : not_exact(f) ? " "
                                               : ": ",
                                f->text, fault_remedy(e, f));
    }
    if (active)
        return NULL;
    return arena_printf(e->a, "no fault took effect in phase '%s'; see the events of the run",
                        e->phases[phase].name);
}

/* `since`: a phase whose fault matters although the window begins at its end; -1 = none. */
static const char *find_spoiler(struct check_eval *e, const struct reader_window *w, int since,
                                bool to_end)
{
    int last = -1;
    for (size_t i = 0; i < e->phases_n; i++)
        if (e->phases[i].start_ns >= 0)
            last = (int)i;
    if (!e->done && (to_end || last < 0 || w->to_ns > e->phases[last].start_ns))
        return not_reached(e, "this was complete");
    for (size_t i = 0; i < e->phases_n; i++) {
        const struct reader_phase *p = &e->phases[i];
        if (p->kind != PLAN_FAULT || p->start_ns < 0)
            continue;
        int64_t end_ns = p->end_ns < 0 ? INT64_MAX : p->end_ns;
        bool inside = p->start_ns < w->to_ns && end_ns > w->from_ns;
        const char *problem = inside || (int)i == since ? fault_problem(e, (int)i) : NULL;
        if (problem)
            return problem;
    }
    return NULL;
}

static int64_t start_of_run(const struct check_eval *e)
{
    return e->phases_n && e->phases[0].start_ns >= 0 ? e->phases[0].start_ns : 0;
}

static void add_window(struct check_eval *e, struct eval_window *list, size_t *n, int phase,
                       const char *name, int64_t from_ns, int64_t to_ns, int since, bool to_end)
{
    enum plan_when when = e->check->when;
    if (e->check->within_ns > 0 && when != PLAN_BEFORE && to_ns - from_ns > e->check->within_ns) {
        to_ns = from_ns + e->check->within_ns;
        to_end = false;
    }
    struct eval_window *w = &list[(*n)++];
    *w = (struct eval_window){.w = {from_ns, to_ns}, .phase = phase, .name = name};
    w->spoiled = find_spoiler(e, &w->w, since, to_end);
}

static void add_spoiled(struct eval_window *list, size_t *n, int phase, const char *name,
                        const char *why)
{
    list[(*n)++] = (struct eval_window){.phase = phase, .name = name, .spoiled = why};
}

/* Where a window after phase i ends. */
static int64_t after_until(const struct check_eval *e, size_t i, bool between, bool *ret_to_end)
{
    for (size_t k = i + 1; between && k < e->phases_n; k++)
        if (e->phases[k].kind == PLAN_FAULT && e->phases[k].start_ns >= 0) {
            *ret_to_end = false;
            return e->phases[k].start_ns;
        }
    *ret_to_end = true;
    return e->end_ns;
}

static void add_phase(struct check_eval *e, struct eval_window *list, size_t *n, size_t i,
                      bool between)
{
    const struct reader_phase *p = &e->phases[i];
    enum plan_when when = e->check->when;
    if (p->start_ns < 0) {
        add_spoiled(list, n, (int)i, p->name,
                    not_reached(e, arena_printf(e->a, "phase '%s' began", p->name)));
        return;
    }
    int64_t end_ns = p->end_ns < 0 ? e->end_ns : p->end_ns;
    if (when == PLAN_BEFORE) {
        add_window(e, list, n, (int)i, arena_printf(e->a, "before %s", p->name), start_of_run(e),
                   p->start_ns, -1, false);
    } else if (when == PLAN_AFTER) {
        bool to_end;
        int64_t to_ns = after_until(e, i, between, &to_end);
        add_window(e, list, n, (int)i, arena_printf(e->a, "after %s", p->name), end_ns,
                   to_ns < end_ns ? end_ns : to_ns, (int)i, to_end);
    } else {
        add_window(e, list, n, (int)i, p->name, p->start_ns, end_ns, -1, false);
    }
}

static void make_windows(struct check_eval *e, bool between, struct eval_window **ret,
                         size_t *ret_n)
{
    struct eval_window *list = arena_array(e->a, e->phases_n + 1, sizeof *list);
    size_t n = 0;
    if (!e->check->phase)
        add_window(e, list, &n, -1, "run", start_of_run(e), e->end_ns, -1, true);
    for (size_t i = 0; e->check->phase && i < e->phases_n; i++)
        if (phase_meant(e, i)) {
            add_phase(e, list, &n, i, between);
            if (e->check->when == PLAN_BEFORE)
                break; /* before the first such phase */
        }
    if (n == 0)
        add_spoiled(list, &n, -1, e->check->phase,
                    arena_printf(e->a, "the run has no phase '%s'", e->check->phase));
    *ret = list;
    *ret_n = n;
}

void eval_windows(struct check_eval *e, struct eval_window **ret, size_t *ret_n)
{
    make_windows(e, false, ret, ret_n);
}

void eval_windows_between(struct check_eval *e, struct eval_window **ret, size_t *ret_n)
{
    make_windows(e, true, ret, ret_n);
}

static int eval_one(struct check_eval *e, const struct eval_window *w, eval_fn *fn,
                    struct eval_outcome *ret)
{
    *ret = EVAL_OUTCOME;
    int rc = w->spoiled && w->w.to_ns <= w->w.from_ns ? 0 : fn(e, w, ret);
    if (w->spoiled) { /* what was measured is shown, but says nothing */
        ret->verdict = VERDICT_INCONCLUSIVE;
        ret->reason = w->spoiled;
        ret->at_ns = -1;
    }
    return rc;
}

int eval_each(struct check_eval *e, const struct eval_window *windows, size_t n, eval_fn *fn)
{
    struct eval_outcome worst = EVAL_OUTCOME;
    for (size_t i = 0; i < n; i++) {
        struct eval_outcome o;
        int rc = eval_one(e, &windows[i], fn, &o);
        if (rc)
            return rc;
        if (n > 1)
            eval_detail(e, "%s: %s: %s%s%s", windows[i].name, verdict_names[o.verdict], o.value,
                        o.value[0] && o.reason[0] ? "; " : "", o.reason);
        if (n > 1 && o.reason[0])
            o.reason = arena_printf(e->a, "%s: %s", windows[i].name, o.reason);
        if (i == 0 || worse(o.verdict, o.margin, worst.verdict, worst.margin))
            worst = o;
    }
    return eval_conclude(e, &worst);
}

/* --- statements about a whole window ---------------------------------------------------------- */

struct aggregate {
    struct check_eval e; /* first: the kind's function sees only this */
    eval_fn *fn;
};

void eval_never(struct check_eval *e, struct eval_outcome *o)
{
    if (o->verdict == VERDICT_INCONCLUSIVE)
        return;
    o->verdict = o->verdict == VERDICT_PASS ? VERDICT_FAIL : VERDICT_PASS;
    o->margin = -o->margin;
    o->limit = arena_printf(e->a, "never %s", o->limit);
}

static int some_second(struct check_eval *e, const struct eval_window *w, eval_fn *fn,
                       struct eval_outcome *ret)
{
    bool any = false;
    for (int64_t t = w->w.from_ns; t < w->w.to_ns; t += NS_PER_S) {
        struct eval_window second = *w;
        struct eval_outcome o = EVAL_OUTCOME;
        second.w.from_ns = t;
        if (second.w.to_ns - t > NS_PER_S)
            second.w.to_ns = t + NS_PER_S;
        int rc = fn(e, &second, &o);
        if (rc)
            return rc;
        if (o.verdict == VERDICT_PASS) {
            *ret = o;
            ret->at_ns = t;
            return 0;
        }
        if (!any ||
            (o.verdict == VERDICT_FAIL && worse(ret->verdict, ret->margin, o.verdict, o.margin)))
            *ret = o; /* the nearest miss is shown */
        any = true;
    }
    if (!any) {
        ret->verdict = VERDICT_INCONCLUSIVE;
        ret->reason = "the window is empty";
    }
    return 0;
}

static int aggregate_window(struct check_eval *e, const struct eval_window *w,
                            struct eval_outcome *ret)
{
    struct aggregate *g = (struct aggregate *)e;
    if (e->check->when == PLAN_EVENTUALLY)
        return some_second(e, w, g->fn, ret);
    int rc = g->fn(e, w, ret);
    if (rc == 0 && e->check->when == PLAN_NEVER)
        eval_never(e, ret);
    return rc;
}

int eval_aggregate(struct check_eval *e, eval_fn *fn)
{
    struct aggregate g = {*e, fn};
    struct eval_window *windows;
    size_t n;
    eval_windows(e, &windows, &n);
    return eval_each(&g.e, windows, n, aggregate_window);
}

int eval_of_load(struct record *r, const struct plan_check *check, struct check_results *out,
                 struct check_result *ret, const char *hint, eval_fn *fn)
{
    struct check_eval e;
    int load, rc = eval_open(&e, r, check, out, ret);
    if (rc || !eval_load(&e, &load))
        return rc;
    if (check->limits_n == 0)
        return eval_inconclusive(&e, "the check has no limit; give %s", hint);
    return eval_aggregate(&e, fn);
}
