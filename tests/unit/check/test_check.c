/* latency, errors, log, metric, and what all kinds share: windows, spoiled ones, the verdict. */
#include "check/stage.h"

#define LIMIT(WHAT, OP, VALUE, TEXT)                                                               \
    .limits = (struct plan_limit[]){{WHAT, OP, VALUE, TEXT}}, .limits_n = 1
#define P99_100MS .limits = &p99_100ms, .limits_n = 1

static struct plan_limit p99_100ms = {"p99", PLAN_LT, 100e6, "< 100ms"};

/* --- latency ---------------------------------------------------------------------------------- */

TEST(latency_passes_and_shows_value_limit_margin)
{
    for (int load = 1; load <= 2; load++) { /* rows kept and not kept */
        struct stage st;
        stage_init(&st);
        stage_check(&st, "latency",
                    (struct plan_check){.load = load == 1 ? "ready" : "bulk",
                                        .when = PLAN_DURING,
                                        .phase = "baseline",
                                        P99_100MS});
        stage_open_sound(&st);
        stage_feed(&st, load, 0, 10000, 40, 75, FATE_ACCEPTED);
        stage_feed(&st, load, 10000, 30000, 40, 900, FATE_ACCEPTED);
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, VERDICT_PASS);
        ASSERT_CONTAINS(r->value, "p99 75");
        ASSERT_STREQ(r->limit, "p99 < 100ms");
        ASSERT_NEAR(r->value_num, 75e6, 75e3);
        ASSERT_NEAR(r->margin, 0.25, 0.001);
        ASSERT_CONTAINS(r->reason, "of 250 requests");
        ASSERT_EQ(st.results.verdict, VERDICT_PASS);
        ASSERT(r->plan == &st.s.checks[0]);
        stage_done(&st);
    }
}

TEST(latency_fails_and_the_worst_limit_is_shown)
{
    struct stage st;
    stage_init(&st);
    stage_check(
        &st, "latency",
        (struct plan_check){.load = "ready",
                            .when = PLAN_ALWAYS,
                            .limits = (struct plan_limit[]){{"p50", PLAN_LT, 50e6, "< 50ms"},
                                                            {"max", PLAN_LE, 1e9, "<= 1s"}},
                            .limits_n = 2});
    stage_open_sound(&st);
    stage_feed(&st, 1, 0, 29000, 50, 10, FATE_ACCEPTED);
    stage_feed(&st, 1, 29000, 29001, 50, 3000, FATE_REFUSED);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_FAIL);
    ASSERT_NEAR(r->limit_num, 1e9, 0);
    ASSERT_NEAR(r->margin, -2, 0.01);
    ASSERT_CONTAINS(r->value, "p50 10");
    ASSERT_CONTAINS(r->value, "max 3");
    ASSERT_EQ(st.results.verdict, VERDICT_FAIL);
    stage_done(&st);
}

static void two_faults(struct stage *st)
{
    static const int64_t starts_s[] = {0, 5, 10, 15, 20, 25, 30};
    static const enum plan_phase_kind kinds[] = {PLAN_BASELINE, PLAN_FAULT,    PLAN_RECOVERY,
                                                 PLAN_FAULT,    PLAN_RECOVERY, PLAN_COOLDOWN};
    static const char *const names[] = {"baseline", "fault",      "recovery",
                                        "fault-2",  "recovery-2", "cooldown"};
    for (int i = 0; i < 6; i++)
        st->s.phases[i] = (struct plan_phase){.kind = kinds[i], .name = names[i]};
    for (int i = 0; i < 7; i++)
        st->s.starts_ns[i] = SCENE_S(starts_s[i]);
    st->s.plan.phases_n = 6;
}

TEST(a_kind_of_phase_means_each_of_them)
{
    struct stage st;
    stage_init(&st);
    two_faults(&st);
    stage_check(
        &st, "latency",
        (struct plan_check){.load = "ready", .when = PLAN_DURING, .phase = "fault", P99_100MS});
    stage_check(
        &st, "latency",
        (struct plan_check){.load = "ready", .when = PLAN_DURING, .phase = "fault-2", P99_100MS});
    stage_check(
        &st, "latency",
        (struct plan_check){.load = "ready", .when = PLAN_BEFORE, .phase = "fault", P99_100MS});
    stage_open_sound(&st);
    stage_feed(&st, 1, 0, 15000, 50, 10, FATE_ACCEPTED);
    stage_feed(&st, 1, 15000, 20000, 50, 200, FATE_ACCEPTED);
    stage_feed(&st, 1, 20000, 30000, 50, 10, FATE_ACCEPTED);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_FAIL);
    ASSERT_CONTAINS(r->value, "200");
    ASSERT_CONTAINS(r->reason, "fault-2");
    ASSERT_EQ(r->details_n, 2);
    ASSERT_CONTAINS(r->details[0], "fault: pass");
    ASSERT_CONTAINS(r->details[1], "fault-2: fail");
    ASSERT_VERDICT(r + 1, VERDICT_FAIL);
    ASSERT_VERDICT(r + 2, VERDICT_PASS);
    stage_done(&st);
}

TEST(latency_without_samples_or_phase_is_inconclusive)
{
    struct stage st;
    stage_init(&st);
    stage_check(
        &st, "latency",
        (struct plan_check){.load = "ready", .when = PLAN_DURING, .phase = "cooldown", P99_100MS});
    stage_check(
        &st, "latency",
        (struct plan_check){.load = "ready", .when = PLAN_DURING, .phase = "nowhere", P99_100MS});
    stage_check(&st, "latency", (struct plan_check){.load = "nobody", P99_100MS});
    stage_open_sound(&st);
    stage_feed(&st, 1, 0, 10000, 50, 10, FATE_ACCEPTED);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_INCONCLUSIVE);
    ASSERT_CONTAINS(r->reason, "no request of 'ready'");
    ASSERT_VERDICT(r + 1, VERDICT_INCONCLUSIVE);
    ASSERT_CONTAINS(r[1].reason, "no phase 'nowhere'");
    ASSERT_VERDICT(r + 2, VERDICT_INCONCLUSIVE);
    ASSERT_CONTAINS(r[2].reason, "no load 'nobody'");
    ASSERT_EQ(st.results.verdict, VERDICT_INCONCLUSIVE);
    stage_done(&st);
}

TEST(a_late_generator_makes_latency_inconclusive)
{
    for (int late = 0; late < 2; late++) {
        struct stage st;
        stage_init(&st);
        stage_check(&st, "latency",
                    (struct plan_check){.load = "ready", P99_100MS, .when = PLAN_ALWAYS});
        stage_open_sound(&st);
        stage_feed(&st, 1, 0, 30000, 50, 200, FATE_ACCEPTED); /* even when it would fail */
        st.ends[1].lateness_p99_ns = SCENE_MS(10) + late;
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, late ? VERDICT_INCONCLUSIVE : VERDICT_FAIL);
        if (late)
            ASSERT_CONTAINS(r->reason, "did not keep its rate");
        stage_done(&st);
    }
}

TEST(without_the_generators_figures_latency_is_inconclusive)
{
    struct stage st;
    stage_init(&st);
    st.s.loads[2].model = PLAN_CLOSED;
    stage_check(&st, "latency",
                (struct plan_check){.load = "ready", P99_100MS, .when = PLAN_ALWAYS});
    stage_check(&st, "latency",
                (struct plan_check){.load = "bulk", P99_100MS, .when = PLAN_ALWAYS});
    stage_open_sound(&st);
    st.no_ends = true;
    stage_feed(&st, 1, 0, 30000, 50, 2, FATE_ACCEPTED);
    stage_feed(&st, 2, 0, 30000, 50, 2, FATE_ACCEPTED);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_INCONCLUSIVE);
    ASSERT_CONTAINS(r->reason, "lateness is missing");
    ASSERT_VERDICT(r + 1, VERDICT_PASS); /* a closed model has no schedule */
    stage_done(&st);
}

TEST(unsent_requests_make_latency_inconclusive_unless_it_fails_anyway)
{
    static const struct {
        int64_t latency_ms;
        int unsent;
        enum verdict want;
    } rows[] = {{10, 0, VERDICT_PASS},
                {10, 1, VERDICT_INCONCLUSIVE},
                {200, 1, VERDICT_FAIL},
                {200, 100000, VERDICT_INCONCLUSIVE}}; /* they could have been 99 % good ones */
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct stage st;
        stage_init(&st);
        stage_check(&st, "latency",
                    (struct plan_check){.load = "ready", P99_100MS, .when = PLAN_ALWAYS});
        stage_open_sound(&st);
        stage_feed(&st, 1, 0, 30000, 50, rows[i].latency_ms, FATE_ACCEPTED);
        for (int k = 0; k < rows[i].unsent; k++)
            stage_feed(&st, 1, 100, 101, 1, 0, FATE_UNSENT);
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, rows[i].want);
        if (rows[i].want == VERDICT_INCONCLUSIVE)
            ASSERT_CONTAINS(r->reason, "never sent");
        stage_done(&st);
    }
}

TEST(a_timeout_is_a_sample_at_its_limit)
{
    struct stage st;
    stage_init(&st);
    stage_check(&st, "latency",
                (struct plan_check){
                    .load = "ready", .when = PLAN_ALWAYS, LIMIT("max", PLAN_GE, 5e9, ">= 5s")});
    stage_open_sound(&st);
    stage_feed(&st, 1, 0, 1000, 50, 10, FATE_ACCEPTED);
    struct ledger_row row = scene_row(500, 2000, 0, FATE_UNKNOWN);
    row.answered_ns = 0;
    stage_row(&st, 1, &row, NULL);
    ASSERT_VERDICT(stage_judge(&st), VERDICT_PASS);
    stage_done(&st);
}

/* --- what spoils a window --------------------------------------------------------------------- */

/* In force, then found to have had no effect when it is undone, then ended. */
TEST(an_end_does_not_hide_that_there_was_no_effect)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"no packet met it; give it load",
         "fault 'redis' in phase 'fault' had no measured effect: no packet met it; give it load"},
        {"not exact: packets left late",
         "fault 'redis' in phase 'fault' was not exact: packets left late"},
        {"", "fault 'redis' in phase 'fault' had no measured effect; see `squall doctor`"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct stage st;
        stage_init(&st);
        stage_check(
            &st, "latency",
            (struct plan_check){.load = "ready", .when = PLAN_DURING, .phase = "fault", P99_100MS});
        stage_open(&st);
        stage_fault(&st, 1, "NetworkChaos delay", "active", 10000);
        struct record_fault f = {.fault = 1,
                                 .phase = 1,
                                 .name = "redis",
                                 .kind = "NetworkChaos delay",
                                 .state = "no-effect",
                                 .text = rows[i].text,
                                 .t_ns = SCENE_MS(15000)};
        ASSERT_OK(record_fault(st.s.r, &f));
        stage_fault(&st, 1, "NetworkChaos delay", "ended", 15000);
        stage_feed(&st, 1, 0, 30000, 50, 10, FATE_ACCEPTED);
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, VERDICT_INCONCLUSIVE);
        ASSERT_STREQ(r->reason, rows[i].reason);
        stage_done(&st);
    }
}

TEST(a_fault_without_effect_spoils_what_it_touches)
{
    static const char *const states[] = {"no-effect", "failed", "undo-failed", NULL};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        struct stage st;
        stage_init(&st);
        const char *const phases[] = {"fault", NULL, "fault", "baseline", "fault"};
        const enum plan_when whens[] = {PLAN_DURING, PLAN_ALWAYS, PLAN_AFTER, PLAN_DURING,
                                        PLAN_BEFORE};
        for (int c = 0; c < 5; c++)
            stage_check(&st, "latency",
                        (struct plan_check){
                            .load = "ready", .when = whens[c], .phase = phases[c], P99_100MS});
        stage_open(&st);
        if (states[i] && strcmp(states[i], "undo-failed") == 0)
            stage_fault(&st, 1, "pod-failure", "active", 10000);
        if (states[i])
            stage_fault(&st, 1, "pod-failure", states[i], 10001);
        stage_feed(&st, 1, 0, 30000, 50, 10, FATE_ACCEPTED);
        const struct check_result *r = stage_judge(&st);
        for (int c = 0; c < 3; c++) {
            ASSERT_VERDICT(r + c, VERDICT_INCONCLUSIVE);
            ASSERT_CONTAINS(r[c].reason, states[i] ? "fault 'redis'" : "no fault took effect");
            ASSERT_CONTAINS(r[c].value, "p99 10"); /* shown all the same */
        }
        ASSERT_VERDICT(r + 3, VERDICT_PASS);
        ASSERT_VERDICT(r + 4, VERDICT_PASS);
        stage_done(&st);
    }
}

TEST(an_interrupted_run_spoils_what_was_not_complete)
{
    static const char *const hows[] = {"interrupted", "aborted", NULL};
    static const char *const says[] = {"was interrupted", "was aborted", "was cut off"};
    for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
        struct stage st;
        stage_init(&st);
        const char *const phases[] = {"baseline", "fault", "recovery", NULL};
        for (int c = 0; c < 4; c++)
            stage_check(&st, "latency",
                        (struct plan_check){
                            .load = "ready", .when = PLAN_DURING, .phase = phases[c], P99_100MS});
        scene_create(&st.s);
        ASSERT_OK(record_phase_start(st.s.r, 0, 0));
        ASSERT_OK(record_phase_end(st.s.r, 0, SCENE_S(10)));
        ASSERT_OK(record_phase_start(st.s.r, 1, SCENE_S(10)));
        stage_fault(&st, 1, "pod-failure", "active", 10000);
        stage_feed(&st, 1, 0, 12000, 50, 10, FATE_ACCEPTED);
        st.how = hows[i];
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, VERDICT_PASS);
        for (int c = 1; c < 4; c++) {
            ASSERT_VERDICT(r + c, VERDICT_INCONCLUSIVE);
            ASSERT_CONTAINS(r[c].reason, says[i]);
            ASSERT_CONTAINS(r[c].reason, "; run it again");
        }
        stage_done(&st);
    }
}

TEST(an_aborted_run_s_own_cause_is_the_reason)
{
    static const struct record_event events[] = {
        {0, "run", "scene", "info", "seed 7"},
        {SCENE_S(1), "run", "", "err", "service \"web\" ended before it was ready: exited with 3"},
        {SCENE_S(2), "service", "db", "err", "stays down"},
        {SCENE_S(3), "run", "", "warn", "killing the lab"}};
    struct stage st;
    stage_init(&st);
    stage_check(&st, "latency", (struct plan_check){.load = "ready", P99_100MS});
    stage_check(
        &st, "latency",
        (struct plan_check){.load = "ready", .when = PLAN_DURING, .phase = "fault", P99_100MS});
    scene_create(&st.s);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        ASSERT_OK(record_event(st.s.r, &events[i]));
    st.how = "aborted";
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_INCONCLUSIVE);
    ASSERT_STREQ(r[0].reason, "the run was aborted before this was complete: service \"web\" ended "
                              "before it was ready: exited with 3");
    ASSERT_VERDICT(r + 1, VERDICT_INCONCLUSIVE);
    ASSERT_CONTAINS(r[1].reason, "before phase 'fault' began: service \"web\" ended");
    stage_done(&st);
}

TEST(a_fault_without_targets_points_to_its_selector)
{
    for (int aimed = 0; aimed < 2; aimed++) {
        struct stage st;
        stage_init(&st);
        stage_check(
            &st, "latency",
            (struct plan_check){.load = "ready", .when = PLAN_DURING, .phase = "fault", P99_100MS});
        stage_open(&st);
        struct record_fault f = {.fault = 1,
                                 .phase = 1,
                                 .name = "redis",
                                 .kind = "pod-kill",
                                 .targets = aimed ? "kube" : "",
                                 .state = "applying"};
        ASSERT_OK(record_fault(st.s.r, &f));
        f.state = "failed";
        f.targets = "";
        ASSERT_OK(record_fault(st.s.r, &f));
        stage_feed(&st, 1, 0, 30000, 50, 10, FATE_ACCEPTED);
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, VERDICT_INCONCLUSIVE);
        ASSERT_CONTAINS(r->reason,
                        aimed ? "squall doctor" : "compare its selector with the labels");
        ASSERT((strstr(r->reason, "doctor") != NULL) == aimed);
        stage_done(&st);
    }
}

/* --- errors ----------------------------------------------------------------------------------- */

static struct plan_check errors_check(const char *phase, enum plan_op op, double value,
                                      const char *text)
{
    static struct plan_limit limits[8];
    static int used;
    struct plan_limit *l = &limits[used++ % 8];
    *l = (struct plan_limit){value > 1 ? "count" : "share", op, value, text};
    return (struct plan_check){
        .load = "ready", .when = PLAN_DURING, .phase = phase, .limits = l, .limits_n = 1};
}

TEST(errors_counts_what_was_not_accepted)
{
    struct stage st;
    stage_init(&st);
    stage_check(&st, "errors", errors_check("baseline", PLAN_LT, 0.02, "< 2%"));
    stage_check(&st, "errors", errors_check("baseline", PLAN_LT, 0.01, "< 1%"));
    stage_check(&st, "errors", errors_check("fault", PLAN_GT, 0.6, "> 60%"));
    stage_check(&st, "errors", errors_check("baseline", PLAN_LE, 2, "<= 2"));
    stage_check(&st, "errors", errors_check("cooldown", PLAN_LE, 2, "<= 2"));
    struct plan_check never = errors_check("fault", PLAN_GT, 0.6, "> 60%");
    never.when = PLAN_NEVER;
    stage_check(&st, "errors", never);
    stage_open_sound(&st);
    stage_feed(&st, 1, 0, 9900, 50, 10, FATE_ACCEPTED); /* 198 */
    stage_feed(&st, 1, 9900, 9901, 50, 10, FATE_FAILED);
    stage_feed(&st, 1, 9950, 9951, 50, 10, FATE_UNKNOWN);
    stage_feed(&st, 1, 10000, 17000, 100, 10, FATE_REFUSED); /* 70 */
    stage_feed(&st, 1, 17000, 18000, 100, 10, FATE_ACCEPTED);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_PASS);
    ASSERT_NEAR(r->value_num, 0.01, 1e-12);
    ASSERT_CONTAINS(r->value, "1% not accepted (2 of 200)");
    ASSERT_CONTAINS(r->reason, "0 refused, 1 failed, 1 unknown, 0 unsent");
    ASSERT_VERDICT(r + 1, VERDICT_FAIL);
    ASSERT_VERDICT(r + 2, VERDICT_PASS);
    ASSERT_NEAR(r[2].value_num, 0.875, 1e-12);
    ASSERT_VERDICT(r + 3, VERDICT_PASS);
    ASSERT_VERDICT(r + 4, VERDICT_INCONCLUSIVE);
    ASSERT_VERDICT(r + 5, VERDICT_FAIL);
    ASSERT_STREQ(r[5].limit, "never share > 60%");
    ASSERT_NEAR(r[5].margin, -(0.875 - 0.6) / 0.6, 1e-9);
    stage_done(&st);
}

TEST(unsent_requests_make_errors_inconclusive_unless_it_fails_anyway)
{
    static const struct {
        int failed, unsent;
        enum verdict want;
    } rows[] = {{0, 0, VERDICT_PASS},
                {0, 1, VERDICT_INCONCLUSIVE},
                {50, 1, VERDICT_FAIL},
                {1, 1000, VERDICT_INCONCLUSIVE}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct stage st;
        stage_init(&st);
        stage_check(&st, "errors", errors_check("baseline", PLAN_LT, 0.01, "< 1%"));
        stage_open_sound(&st);
        stage_feed(&st, 1, 0, 4950, 50, 10, FATE_ACCEPTED);
        stage_feed(&st, 1, 5000, 5000 + rows[i].failed, 1, 10, FATE_FAILED);
        stage_feed(&st, 1, 6000, 6000 + rows[i].unsent, 1, 10, FATE_UNSENT);
        const struct check_result *r = stage_judge(&st);
        ASSERT_VERDICT(r, rows[i].want);
        ASSERT_NEAR(r->value_num, rows[i].failed / (99.0 + rows[i].failed), 1e-12);
        stage_done(&st);
    }
}

/* What is wanted here are refusals: the unsent ones might all have been refused. */
TEST(unsent_requests_could_also_be_what_is_wanted)
{
    struct stage st;
    stage_init(&st);
    stage_check(&st, "errors", errors_check("baseline", PLAN_GT, 0.6, "> 60%"));
    stage_open_sound(&st);
    stage_feed(&st, 1, 0, 1000, 50, 10, FATE_ACCEPTED);
    stage_feed(&st, 1, 6000, 6100, 1, 10, FATE_UNSENT);
    ASSERT_VERDICT(stage_judge(&st), VERDICT_INCONCLUSIVE);
    stage_done(&st);
}

TEST(eventually_asks_each_second_and_within_cuts)
{
    struct stage st;
    stage_init(&st);
    struct plan_check c = errors_check("recovery", PLAN_LT, 0.01, "< 1%");
    c.when = PLAN_EVENTUALLY;
    stage_check(&st, "errors", c);
    c.within_ns = SCENE_S(3);
    stage_check(&st, "errors", c);
    stage_open_sound(&st);
    stage_feed(&st, 1, 18000, 22000, 100, 10, FATE_FAILED);
    stage_feed(&st, 1, 22000, 24000, 100, 10, FATE_ACCEPTED);
    stage_feed(&st, 1, 24000, 28000, 100, 10, FATE_FAILED);
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_PASS);
    ASSERT_EQ(r->at_ns, SCENE_S(22));
    ASSERT_VERDICT(r + 1, VERDICT_FAIL);
    stage_done(&st);
}

/* --- log -------------------------------------------------------------------------------------- */

static struct plan_check log_check(enum plan_when when, const char *phase, const char *matches)
{
    return (struct plan_check){.service = "gw", .when = when, .phase = phase, .matches = matches};
}

TEST(log_lines)
{
    struct stage st;
    stage_init(&st);
    struct plan_check few = log_check(PLAN_ALWAYS, NULL, "falling");
    few.limits = (struct plan_limit[]){{"count", PLAN_LE, 1, "<= 1"}};
    few.limits_n = 1;
    struct plan_check soon = log_check(PLAN_DURING, "fault", "back");
    soon.within_ns = SCENE_S(1);
    stage_check(&st, "log", log_check(PLAN_DURING, "fault", "fall.* back"));
    stage_check(&st, "log", log_check(PLAN_DURING, "baseline", "back"));
    stage_check(&st, "log", log_check(PLAN_NEVER, "baseline", "back"));
    stage_check(&st, "log", log_check(PLAN_NEVER, NULL, "back"));
    stage_check(&st, "log", log_check(PLAN_EVENTUALLY, NULL, "back"));
    stage_check(&st, "log", few);
    stage_check(&st, "log", soon);
    stage_check(&st, "log", log_check(PLAN_DURING, "fault", "(unclosed"));
    stage_check(&st, "log", log_check(PLAN_DURING, "fault", "^(a+)+$"));
    struct plan_check silent = log_check(PLAN_NEVER, NULL, "x");
    silent.service = "silent";
    stage_check(&st, "log", silent);
    stage_open_sound(&st);
    ASSERT_OK(record_log(st.s.r, SCENE_S(5), "other", 1, "falling back"));
    ASSERT_OK(record_log(st.s.r, SCENE_S(5), "gw", 1, "all is well \xff\xfe"));
    ASSERT_OK(record_log(st.s.r, SCENE_MS(12500), "gw", 1, "redis \x1b gone, falling back"));
    ASSERT_OK(record_log(st.s.r, SCENE_S(13), "gw", 1, "falling back"));
    ASSERT_OK(record_log(st.s.r, SCENE_S(14), "gw", 1,
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
    const struct check_result *r = stage_judge(&st);
    static const enum verdict want[] = {
        VERDICT_PASS,         VERDICT_FAIL,        VERDICT_PASS, VERDICT_FAIL,
        VERDICT_PASS,         VERDICT_FAIL,        VERDICT_FAIL, VERDICT_INCONCLUSIVE,
        VERDICT_INCONCLUSIVE, VERDICT_INCONCLUSIVE};
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        ASSERT_VERDICT(r + i, want[i]);
    ASSERT_STREQ(r->value, "2 of 3 lines");
    ASSERT_EQ(r->at_ns, SCENE_MS(12500));
    ASSERT_CONTAINS(r->reason, "redis   gone, falling back"); /* without what a terminal obeys */
    ASSERT_CONTAINS(r[7].reason, "not valid at byte");
    ASSERT_CONTAINS(r[8].reason, "too long");
    ASSERT_CONTAINS(r[9].reason, "wrote no line");
    stage_done(&st);
}

/* --- metric ----------------------------------------------------------------------------------- */

static struct plan_check metric_check(enum plan_when when, const char *phase, const char *series,
                                      double value)
{
    static struct plan_limit limits[2] = {{"value", PLAN_EQ, 0, "== 0"},
                                          {"value", PLAN_EQ, 1, "== 1"}};
    return (struct plan_check){.service = "gw",
                               .when = when,
                               .phase = phase,
                               .series = series,
                               .limits = &limits[(int)value],
                               .limits_n = 1};
}

static void scrape(struct stage *st)
{
    struct series_label gw[] = {{STR("component"), STR("redis")}, {STR("service"), STR("gw")}};
    struct series_label other[] = {{STR("component"), STR("redis")}, {STR("service"), STR("b")}};
    ASSERT_OK(record_series(st->s.r, 0, &(struct series){"k0", "state", gw, 2}));
    ASSERT_OK(record_series(st->s.r, 1, &(struct series){"k1", "state", other, 2}));
    ASSERT_OK(record_series(st->s.r, 2, &(struct series){"k2", "gone", gw, 2}));
    for (int t = 0; t < 30; t++) {
        ASSERT_OK(record_sample(st->s.r, 0, SCENE_S(t), t >= 12 && t < 20 ? 1 : 0));
        ASSERT_OK(record_sample(st->s.r, 1, SCENE_S(t), 1));
        ASSERT_OK(record_sample(st->s.r, 2, SCENE_S(t), t < 10 ? 0 : NAN));
    }
}

TEST(metric_samples)
{
    static const char *const state = "state{component=\"redis\"}";
    struct stage st;
    stage_init(&st);
    struct {
        struct plan_check check;
        enum verdict want;
        const char *reason;
    } rows[] = {
        {metric_check(PLAN_DURING, "fault", state, 1), VERDICT_PASS, "1 at 12.000s"},
        {metric_check(PLAN_DURING, "baseline", state, 1), VERDICT_FAIL, "none of 10 samples"},
        {metric_check(PLAN_ALWAYS, "baseline", state, 0), VERDICT_PASS, "all of 10"},
        {metric_check(PLAN_ALWAYS, "fault", state, 1), VERDICT_FAIL, "0 at 10.000s"},
        {metric_check(PLAN_NEVER, "baseline", state, 1), VERDICT_PASS, "all of 10"},
        {metric_check(PLAN_NEVER, NULL, state, 1), VERDICT_FAIL, "1 at 12.000s"},
        {metric_check(PLAN_EVENTUALLY, NULL, state, 1), VERDICT_PASS, ""},
        {metric_check(PLAN_AFTER, "fault", state, 0), VERDICT_PASS, "0 at 20.000s"},
        {metric_check(PLAN_BEFORE, "fault", state, 1), VERDICT_FAIL, ""},
        {metric_check(PLAN_DURING, "fault", "gone", 0), VERDICT_INCONCLUSIVE, "only NaN"},
        {metric_check(PLAN_ALWAYS, NULL, "gone", 0), VERDICT_INCONCLUSIVE, "missing"},
        {metric_check(PLAN_ALWAYS, NULL, "gone", 1), VERDICT_FAIL, "0 at 0.000s"},
        {metric_check(PLAN_NEVER, NULL, "gone", 1), VERDICT_INCONCLUSIVE, "missing"},
        {metric_check(PLAN_DURING, "fault", "nothing", 0), VERDICT_INCONCLUSIVE, "never had"},
        {metric_check(PLAN_DURING, "fault", "state{", 0), VERDICT_INCONCLUSIVE, "not valid"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        stage_check(&st, "metric", rows[i].check);
    struct plan_check soon = rows[0].check;
    soon.within_ns = SCENE_S(2);
    stage_check(&st, "metric", soon);
    stage_open_sound(&st);
    scrape(&st);
    const struct check_result *r = stage_judge(&st);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ASSERT_VERDICT(r + i, rows[i].want);
        ASSERT_CONTAINS(r[i].reason, rows[i].reason);
    }
    ASSERT_EQ(r->at_ns, SCENE_S(12));
    ASSERT_NEAR(r->value_num, 1, 0);
    ASSERT_VERDICT(r + ARRAY_SIZE(rows), VERDICT_FAIL); /* within 2 s it did not */
    stage_done(&st);
}

TEST(metric_without_a_sample_in_the_window_is_inconclusive)
{
    struct stage st;
    stage_init(&st);
    stage_check(&st, "metric", metric_check(PLAN_DURING, "fault", "state", 0));
    stage_open_sound(&st);
    struct series_label gw = {STR("service"), STR("gw")};
    ASSERT_OK(record_series(st.s.r, 0, &(struct series){"k0", "state", &gw, 1}));
    ASSERT_OK(record_sample(st.s.r, 0, SCENE_S(3), 0));
    const struct check_result *r = stage_judge(&st);
    ASSERT_VERDICT(r, VERDICT_INCONCLUSIVE);
    ASSERT_CONTAINS(r->reason, "no sample in this time");
    stage_done(&st);
}

/* --- the whole -------------------------------------------------------------------------------- */

TEST(no_checks_are_no_pass)
{
    struct stage st;
    stage_init(&st);
    stage_open_sound(&st);
    stage_judge(&st);
    ASSERT_EQ(st.results.verdict, VERDICT_INCONCLUSIVE);
    ASSERT_CONTAINS(st.results.reason, "no checks");
    stage_done(&st);
}

TEST(one_failure_is_a_fail_one_doubt_is_inconclusive)
{
    for (int fails = 0; fails < 2; fails++) {
        struct stage st;
        stage_init(&st);
        stage_check(&st, "errors", errors_check("baseline", PLAN_LT, 0.01, "< 1%"));
        stage_check(&st, "errors", errors_check("cooldown", PLAN_LT, 0.01, "< 1%"));
        if (fails)
            stage_check(&st, "errors", errors_check("baseline", PLAN_GT, 0.5, "> 50%"))->name =
                "wanted";
        stage_check(&st, "soothsayer", (struct plan_check){0});
        stage_open_sound(&st);
        stage_feed(&st, 1, 0, 10000, 50, 10, FATE_ACCEPTED);
        stage_judge(&st);
        ASSERT_EQ(st.results.verdict, fails ? VERDICT_FAIL : VERDICT_INCONCLUSIVE);
        ASSERT_CONTAINS(st.results.reason, fails ? "1 failed" : "0 failed");
        ASSERT_CONTAINS(st.results.reason, "2 inconclusive");
        ASSERT_CONTAINS(st.results.reason,
                        fails ? "; first: wanted: 0%" : "; first: errors: no request of 'ready'");
        stage_done(&st);
    }
}
