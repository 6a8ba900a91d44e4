/*
 * fixture.h - a run of the demo plan's shape with fixed times, written by record_* calls, and the
 * results that checks would give for it. Nothing in it depends on the clock or the machine.
 */
#pragma once
#include <math.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/record.h"
#include "report/report.h"
#include "tests.h"

enum fixture_kind { FIXTURE_PASS, FIXTURE_FAIL, FIXTURE_CUT };

struct fixture {
    char dir[64];
    struct plan plan;
    struct plan_phase phases[6];
    struct plan_load loads[2];
    struct plan_check checks[4];
    struct check_result results_v[4];
    struct check_results results;
    struct record *r;
    enum fixture_kind kind;
};

#define AT_MS(MS) ((int64_t)(MS)*NS_PER_MS)

static const int64_t fixture_starts_ms[] = {200, 8200, 16200, 20700, 24700, 27200, 31200};
#define FIXTURE_ENDED_MS 34500

static void fixture_plan(struct fixture *f)
{
    static const char *const names[] = {"baseline", "fault",      "recovery",
                                        "fault-2",  "recovery-2", "cooldown"};
    static const enum plan_phase_kind kinds[] = {PLAN_BASELINE, PLAN_FAULT,    PLAN_RECOVERY,
                                                 PLAN_FAULT,    PLAN_RECOVERY, PLAN_COOLDOWN};
    for (int i = 0; i < 6; i++)
        f->phases[i] = (struct plan_phase){.kind = kinds[i], .name = names[i]};
    f->loads[0] = (struct plan_load){
        .name = "alerts", .rate_per_s = 25, .timeout_ns = AT_MS(5000), .keep_rows = true};
    f->loads[0].settle.from = "kube";
    f->loads[0].settle.count = "$.items[*].n";
    f->loads[1] = (struct plan_load){
        .name = "readiness", .rate_per_s = 5, .timeout_ns = AT_MS(2000), .keep_rows = true};
    f->plan = (struct plan){.file = "packs/demo/storm.yaml",
                            .name = "redis-outage",
                            .about = "Redis dies twice while 50 alerts a second keep coming; "
                                     "nothing accepted may be lost.",
                            .seed = 42,
                            .loads = f->loads,
                            .loads_n = 2,
                            .phases = f->phases,
                            .phases_n = 6,
                            .checks = f->checks,
                            .checks_n = 4,
                            .resolved = "squall: 1\n"};
}

static bool fixture_down(int64_t t_ms)
{
    return (t_ms >= 8260 && t_ms < 16900) || (t_ms >= 20740 && t_ms < 23100);
}

/* The n-th request of a load: slower while Redis is down, readiness then refuses. */
static struct ledger_row fixture_row(int load, uint64_t n, int64_t due_ms)
{
    bool down = fixture_down(due_ms);
    int64_t spread_us = (int64_t)(n * 7919 % 1000);
    int64_t latency_us = down ? 40000 + spread_us * 160 : 1200 + spread_us * (n % 97 == 0 ? 9 : 2);
    struct ledger_row row = {.id = n,
                             .due_ns = AT_MS(due_ms),
                             .sent_ns = AT_MS(due_ms) + 21000,
                             .answered_ns = AT_MS(due_ms) + latency_us * NS_PER_US,
                             .answer_bytes = 61,
                             .status = 202,
                             .fate = FATE_ACCEPTED};
    if (load == 1)
        row.status = 200;
    if (load == 1 && down) {
        row.fate = FATE_REFUSED;
        row.reason = REASON_STATUS;
        row.status = 503;
        row.answered_ns = row.due_ns + 900 * NS_PER_US;
    } else if (load == 0 && due_ms >= 8260 && due_ms < 8460) {
        row.fate = FATE_UNKNOWN;
        row.reason = REASON_RESET;
        row.status = 0;
        row.answered_ns = row.sent_ns + 3 * NS_PER_MS;
    } else if (load == 0 && due_ms >= 20740 && due_ms < 20800) {
        row.fate = FATE_FAILED;
        row.reason = REASON_STATUS;
        row.status = 500;
    }
    return row;
}

static void fixture_requests(struct fixture *f, int load, int64_t every_ms)
{
    struct record_load end = {.late = load ? 0 : 2,
                              .connects = load ? 3 : 12,
                              .lateness_p99_ns = 118000,
                              .lateness_max_ns = 1340000,
                              .started_ns = AT_MS(200),
                              .ended_ns = AT_MS(31200)};
    int64_t last_ms = f->kind == FIXTURE_CUT ? 12000 : fixture_starts_ms[6];
    uint64_t n = 0;
    for (int64_t t = 200; t < last_ms; t += every_ms, n++) {
        struct ledger_row row = fixture_row(load, n, t);
        char text[2][32];
        struct str keys[2];
        for (int i = 0; i < 2; i++) {
            snprintf(text[i], sizeof text[i], "p-%d-%c", (int)(n / 4), 'a' + i);
            keys[i] = str_of(text[i]);
        }
        ASSERT_OK(record_request(f->r, load, &row, load ? NULL : keys, load ? 0 : 2));
        end.due++;
        end.sent++;
        end.fates[row.fate]++;
    }
    if (f->kind != FIXTURE_CUT)
        ASSERT_OK(record_load_end(f->r, load, &end));
}

static void fixture_event(struct fixture *f, int64_t t_ms, const char *kind, const char *subject,
                          const char *severity, const char *text)
{
    struct record_event e = {AT_MS(t_ms), kind, subject, severity, text};
    if (f->kind != FIXTURE_CUT || t_ms < 12000)
        ASSERT_OK(record_event(f->r, &e));
}

static void fixture_fault(struct fixture *f, int phase, int64_t t_ms, const char *kind,
                          const char *state, const char *asked, const char *measured, bool one_shot)
{
    struct record_fault fault = {.fault = phase,
                                 .phase = phase,
                                 .name = phase == 1 ? "redis-failure" : "redis-kill",
                                 .kind = kind,
                                 .targets = "redis-master",
                                 .state = state,
                                 .asked = asked,
                                 .measured = measured,
                                 .t_ns = AT_MS(t_ms),
                                 .one_shot = one_shot};
    if (f->kind != FIXTURE_CUT || t_ms < 12000)
        ASSERT_OK(record_fault(f->r, &fault));
}

static void fixture_story(struct fixture *f)
{
    fixture_event(f, 120, "service", "redis-master", "info", "ready after 31ms");
    fixture_event(f, 8250, "fault", "redis-failure", "warn", "in effect");
    fixture_fault(f, 1, 8250, "pod-failure", "active", "stopped and refusing connections for 8s",
                  "process group stopped after 0.4ms; 10 of 10 connects refused", false);
    fixture_event(f, 8300, "service", "gateway", "warn",
                  "log: falling back \033[31mto the list\033[0m\nof kube");
    fixture_fault(f, 1, 16890, "pod-failure", "ended", "",
                  "redis-master answers again 12ms after it was resumed", false);
    fixture_fault(f, 3, 20740, "pod-kill", "active", "killed at once", "pid 812 gone after 0.9ms",
                  true);
    fixture_event(f, 20741, "service", "redis-master", "warn", "killed by signal 9");
    fixture_event(f, 20742, "service", "redis-master", "info", "starts again in 2s");
    fixture_event(f, 23090, "service", "redis-master", "info", "ready after 28ms (restarted)");
    fixture_event(f, 33000, "service", "gateway", "warn", "exited with status 0");
}

static void fixture_phases(struct fixture *f)
{
    for (int i = 0; i < 6; i++) {
        if (f->kind == FIXTURE_CUT && fixture_starts_ms[i] > 12000)
            return;
        ASSERT_OK(record_phase_start(f->r, i, AT_MS(fixture_starts_ms[i])));
        if (f->kind == FIXTURE_CUT && fixture_starts_ms[i + 1] > 12000)
            return;
        ASSERT_OK(record_phase_end(f->r, i, AT_MS(fixture_starts_ms[i + 1])));
    }
}

static void fixture_settle(struct fixture *f)
{
    for (int i = 0; i < 388; i++) {
        char key[32];
        snprintf(key, sizeof key, "p-%d-%c", i / 2, 'a' + i % 2);
        if (f->kind != FIXTURE_FAIL || i < 60 || i > 71)
            ASSERT_OK(record_settled_object(f->r, 0, key, 4));
    }
    ASSERT_OK(record_settled(f->r, 0, true, AT_MS(32800), NULL));
}

static const char *const fixture_details[] = {
    "p-30-a: accepted 4, found 0, lost 4; due at 5.0s in baseline",
    "p-30-b: accepted 4, found 0, lost 4; due at 5.0s in baseline",
    "p-31-a: accepted 4, found 0, lost 4; due at 5.2s, \033]0;x\a in <baseline> & \"more\" | | `x`",
};

static void fixture_results(struct fixture *f)
{
    const double none = (double)NAN;
    f->results_v[0] = (struct check_result){.verdict = VERDICT_PASS,
                                            .kind = "nothing lost",
                                            .name = "nothing lost: alerts",
                                            .value = "0 of 1,540 lost",
                                            .limit = "0",
                                            .value_num = 0,
                                            .limit_num = 0,
                                            .margin = none,
                                            .reason = "every accepted alert is in the final state",
                                            .at_ns = -1};
    f->results_v[1] = (struct check_result){.verdict = VERDICT_PASS,
                                            .kind = "latency",
                                            .name = "latency of alerts, p99 during baseline",
                                            .value = "p99 3.21ms",
                                            .limit = "< 250ms",
                                            .value_num = 3210000,
                                            .limit_num = 250000000,
                                            .margin = 0.98716,
                                            .reason = "200 answers",
                                            .at_ns = AT_MS(8200)};
    f->results_v[2] =
        (struct check_result){.verdict = VERDICT_PASS,
                              .kind = "errors",
                              .name = "errors of readiness, share during fault",
                              .value = "share 97.5 %",
                              .limit = "> 60%",
                              .value_num = 0.975,
                              .limit_num = 0.6,
                              .margin = 0.625,
                              .reason = "39 of 40 were refused: readiness told the truth",
                              .at_ns = AT_MS(16200)};
    f->results_v[3] = (struct check_result){
        .verdict = VERDICT_INCONCLUSIVE,
        .kind = "metric",
        .name = "metric gateway_circuit_breaker_state{component=\"redis\"} during fault",
        .value = "no data",
        .limit = "== 1",
        .value_num = none,
        .limit_num = 1,
        .margin = none,
        .reason = "the series has no sample in the phase; look whether the gateway exports it and "
                  "whether its metrics page was reached (events of kind scrape)",
        .at_ns = -1};
    f->results = (struct check_results){.plan = &f->plan,
                                        .v = f->results_v,
                                        .n = 3,
                                        .verdict = VERDICT_PASS,
                                        .reason = "3 checks passed"};
    for (int i = 0; i < 4; i++) {
        f->checks[i].pos = (struct plan_pos){"packs/demo/storm.yaml", 78 + i, 5};
        f->results_v[i].plan = &f->checks[i];
    }
    if (f->kind == FIXTURE_FAIL) {
        f->results_v[0].verdict = VERDICT_FAIL;
        f->results_v[0].value = "48 of 1,540 lost";
        f->results_v[0].reason = "12 alerts that were accepted are not in the final state";
        f->results_v[0].details = (const char **)fixture_details;
        f->results_v[0].details_n = 3;
        f->results_v[0].details_all = 1234;
        f->results_v[0].margin = -12.5;
        f->results.n = 4;
        f->results.verdict = VERDICT_FAIL;
        f->results.reason = "1 of 4 checks failed (nothing lost: alerts), 1 inconclusive";
    }
    if (f->kind == FIXTURE_CUT) {
        f->results.v = f->results_v + 3;
        f->results.n = 1;
        f->results.verdict = VERDICT_INCONCLUSIVE;
        f->results.reason = "the run was cut off before its end";
    }
}

/* Leaves the process in the fixture's own folder, so that the run file's path is the same anywhere.
 */
/* Rows that one test adds to the run file before it is closed; NULL = none. */
static void (*fixture_more)(struct fixture *f);

static inline void fixture_open(struct fixture *f, enum fixture_kind kind)
{
    struct err err = {0};
    struct record_meta meta = {.run_id = "20261120-091448-77",
                               .squall_version = "0.1.0",
                               .machine = "Linux 6.1.0 x86_64, 2 CPUs, 3900 MiB, root",
                               .tier = "namespaces as root",
                               .seed = 42,
                               .started_wall_ns = 1795166088 * NS_PER_S};
    memset(f, 0, sizeof *f);
    f->kind = kind;
    strcpy(f->dir, "/tmp/squall-report-XXXXXX");
    ASSERT(mkdtemp(f->dir) && chdir(f->dir) == 0);
    fixture_plan(f);
    if (record_create("demo.run", &f->plan, &meta, &f->r, &err) < 0)
        TEST_FAIL("%s", err.msg);
    fixture_phases(f);
    fixture_story(f);
    fixture_requests(f, 0, 40);
    fixture_requests(f, 1, 200);
    if (fixture_more)
        fixture_more(f);
    if (kind != FIXTURE_CUT) {
        fixture_settle(f);
        ASSERT_OK(record_finish(f->r, AT_MS(FIXTURE_ENDED_MS), "done"));
    }
    record_close(f->r);
    if (record_open("demo.run", &f->r, &err) < 0)
        TEST_FAIL("%s", err.msg);
    fixture_results(f);
}

static inline void fixture_close(struct fixture *f)
{
    record_close(f->r);
    unlink("demo.run");
    unlink("demo.run-journal");
    ASSERT(chdir("/") == 0 && rmdir(f->dir) == 0);
}

static inline char *fixture_report(struct fixture *f, const char *format, bool colour,
                                   size_t *ret_n)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_n);
    ASSERT(out != NULL);
    ASSERT_OK(report_find(format)->write(out, f->r, &f->results, colour));
    fclose(out);
    return text;
}
