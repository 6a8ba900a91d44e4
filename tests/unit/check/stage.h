/*
 * stage.h - a run in the making for the tests of check: a scene, rows by the stretch, and a
 * judgement that is made four times (twice on the open file, twice after it was closed and opened
 * again) and must always be the same.
 */
#pragma once
#include <math.h>

#include "check/check.h"
#include "record/scene.h"

struct stage {
    struct scene s;
    uint64_t ids[3];
    struct record_load ends[3];
    bool no_ends;
    const char *how; /* NULL: cut off */
    struct check_results results;
};

/* Before stage_open: phases, loads and checks of st->s.plan may be changed. */
static inline void stage_init(struct stage *st)
{
    memset(st, 0, sizeof *st);
    scene_init(&st->s);
    st->how = "done";
}

static inline struct plan_check *stage_check(struct stage *st, const char *kind,
                                             struct plan_check check)
{
    struct plan_check *c = &st->s.checks[st->s.plan.checks_n++];
    *c = check;
    c->kind = kind;
    c->name = kind;
    return c;
}

static inline void stage_fault(struct stage *st, int phase, const char *kind, const char *state,
                               int64_t t_ms)
{
    struct record_fault f = {.fault = phase,
                             .phase = phase,
                             .name = "redis",
                             .kind = kind,
                             .state = state,
                             .t_ns = SCENE_MS(t_ms)};
    ASSERT_OK(record_fault(st->s.r, &f));
}

static inline void stage_open(struct stage *st)
{
    scene_create(&st->s);
    scene_phases(&st->s);
}

/* All faults take effect and are undone when their phase ends. */
static inline void stage_open_sound(struct stage *st)
{
    stage_open(st);
    for (size_t i = 0; i < st->s.plan.phases_n; i++)
        if (st->s.phases[i].kind == PLAN_FAULT) {
            stage_fault(st, (int)i, "pod-failure", "active", st->s.starts_ns[i] / NS_PER_MS);
            stage_fault(st, (int)i, "pod-failure", "ended", st->s.starts_ns[i + 1] / NS_PER_MS);
        }
}

static inline void stage_row(struct stage *st, int load, const struct ledger_row *row,
                             const char *key)
{
    struct str k = str_of(key);
    ASSERT_OK(record_request(st->s.r, load, row, key ? &k : NULL, key ? 1 : 0));
    st->ends[load].due++;
    st->ends[load].sent += row->sent_ns != 0;
    st->ends[load].fates[row->fate]++;
}

/* Requests of one fate, due every every_ms in [from_ms, to_ms). */
static inline void stage_feed(struct stage *st, int load, int64_t from_ms, int64_t to_ms,
                              int64_t every_ms, int64_t latency_ms, enum fate fate)
{
    for (int64_t due_ms = from_ms; due_ms < to_ms; due_ms += every_ms) {
        struct ledger_row row = scene_row(st->ids[load]++, due_ms, latency_ms, fate);
        stage_row(st, load, &row, NULL);
    }
}

static inline bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static inline void same_results(const struct check_results *a, const struct check_results *b)
{
    ASSERT_EQ(a->n, b->n);
    ASSERT_EQ(a->verdict, b->verdict);
    ASSERT_STREQ(a->reason, b->reason);
    for (size_t i = 0; i < a->n; i++) {
        const struct check_result *x = &a->v[i], *y = &b->v[i];
        ASSERT_EQ(x->verdict, y->verdict);
        ASSERT_STREQ(x->value, y->value);
        ASSERT_STREQ(x->limit, y->limit);
        ASSERT_STREQ(x->reason, y->reason);
        ASSERT(same_number(x->value_num, y->value_num));
        ASSERT(same_number(x->limit_num, y->limit_num));
        ASSERT(same_number(x->margin, y->margin));
        ASSERT_EQ(x->at_ns, y->at_ns);
        ASSERT_EQ(x->details_n, y->details_n);
        ASSERT_EQ(x->details_all, y->details_all);
        for (size_t d = 0; d < x->details_n; d++)
            ASSERT_STREQ(x->details[d], y->details[d]);
    }
}

static inline const struct check_result *stage_judge(struct stage *st)
{
    struct check_results again;
    struct err err = {0};
    for (int load = 0; load < 3 && !st->no_ends; load++)
        ASSERT_OK(record_load_end(st->s.r, load, &st->ends[load]));
    if (st->how)
        ASSERT_OK(record_finish(st->s.r, SCENE_S(31), st->how));
    if (check_evaluate(st->s.r, &st->s.plan, &st->results, &err))
        TEST_FAIL("%s", err.msg);
    for (int round = 0; round < 3; round++) {
        ASSERT_OK(check_evaluate(st->s.r, &st->s.plan, &again, &err));
        same_results(&st->results, &again);
        check_results_done(&again);
        if (round == 0)
            scene_reopen(&st->s);
    }
    return st->results.v;
}

static inline void stage_done(struct stage *st)
{
    check_results_done(&st->results);
    scene_done(&st->s);
}

/* The verdict of the first check, with its words when it is another. */
#define ASSERT_VERDICT(R, WANT)                                                                    \
    do {                                                                                           \
        const struct check_result *r_ = (R);                                                       \
        if (r_->verdict != (WANT))                                                                 \
            TEST_FAIL("%s, not %s: value '%s' limit '%s' reason '%s'", verdict_names[r_->verdict], \
                      verdict_names[WANT], r_->value, r_->limit, r_->reason);                      \
    } while (0)
