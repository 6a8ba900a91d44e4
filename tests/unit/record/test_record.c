#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "record/scene.h"
#include "record/schema.h"

TEST(what_was_written_is_read)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    scene_phases(&s);
    struct ledger_row row = scene_row(3, 12000, 40, FATE_ACCEPTED);
    struct str keys[] = {STR("p-0-a"), STR("p-0-b")};
    ASSERT_OK(record_request(s.r, 0, &row, keys, 2));
    ASSERT_OK(record_event(s.r, &(struct record_event){5, "fault", "redis", "warn", "gone"}));
    struct record_fault fault = {
        .fault = 1, .phase = 1, .name = "f", .state = "active", .t_ns = 9, .one_shot = true};
    ASSERT_OK(record_fault(s.r, &fault));
    ASSERT_OK(record_settled_object(s.r, 0, "p-0-a", 4));
    ASSERT_OK(record_settled(s.r, 0, true, 77, NULL));
    struct record_load end = {.due = 1, .sent = 1, .lateness_p99_ns = 5, .fates = {0, 1}};
    ASSERT_OK(record_load_end(s.r, 0, &end));
    ASSERT_OK(record_finish(s.r, SCENE_S(30), "done"));
    const char *const details[] = {"one", "two"};
    struct record_check check = {.nr = 0,
                                 .kind = "latency",
                                 .name = "n",
                                 .verdict = VERDICT_FAIL,
                                 .value_num = NAN,
                                 .margin = -0.5,
                                 .at_ns = -1,
                                 .details = details,
                                 .details_n = 2};
    ASSERT_OK(record_check_result(s.r, &check));
    ASSERT_OK(record_check_result(s.r, &check)); /* again replaces */
    ASSERT_OK(record_verdict(s.r, VERDICT_FAIL, "because"));
    scene_reopen(&s);

    struct arena a = {0};
    arena_init(&a);
    struct reader_meta meta;
    ASSERT_OK(reader_meta(s.r, &a, &meta));
    ASSERT_STREQ(meta.run_id, "r1");
    ASSERT_STREQ(meta.how, "done");
    ASSERT(meta.seed == UINT64_MAX - 1);
    ASSERT_EQ(meta.ended_ns, SCENE_S(30));
    const char *text;
    ASSERT_OK(reader_plan_text(s.r, &a, &text));
    ASSERT_STREQ(text, "squall: 1\n");
    struct reader_phase *phases;
    size_t n;
    ASSERT_OK(reader_phases(s.r, &a, &phases, &n));
    ASSERT_EQ(n, 4);
    ASSERT_EQ(phases[1].kind, PLAN_FAULT);
    ASSERT_EQ(phases[1].end_ns, SCENE_S(18));
    struct reader_load *loads;
    ASSERT_OK(reader_loads(s.r, &a, &loads, &n));
    ASSERT_EQ(n, 3);
    ASSERT(loads[0].ended && loads[0].settled && loads[0].counted && loads[0].rows_kept);
    ASSERT_EQ(loads[0].end.fates[FATE_ACCEPTED], 1);
    ASSERT_EQ(loads[0].rows, 1);
    ASSERT(!loads[2].ended && !loads[2].rows_kept);
    struct record_fault *faults;
    ASSERT_OK(reader_faults(s.r, &a, &faults, &n));
    ASSERT_EQ(n, 1);
    ASSERT_STREQ(faults[0].state, "active");
    ASSERT(faults[0].one_shot);
    struct reader_settled settled;
    ASSERT_OK(reader_settled(s.r, &a, 0, &settled));
    ASSERT(settled.read && settled.stable && !settled.problem);
    ASSERT_EQ(settled.objects, 1);
    ASSERT_OK(reader_settled(s.r, &a, 1, &settled));
    ASSERT(!settled.read);
    struct record_check *checks;
    ASSERT_OK(reader_checks(s.r, &a, &checks, &n));
    ASSERT_EQ(n, 1);
    ASSERT_EQ(checks[0].verdict, VERDICT_FAIL);
    ASSERT(isnan(checks[0].value_num) && checks[0].at_ns == -1);
    ASSERT_EQ(checks[0].details_n, 2);
    ASSERT_STREQ(checks[0].details[1], "two");
    struct ledger_row got;
    ASSERT_OK(reader_request(s.r, 0, 3, &got));
    ASSERT_EQ(got.answered_ns, row.answered_ns);
    ASSERT_EQ(reader_request(s.r, 0, 4, &got), -ENOENT);
    ASSERT_EQ(record_verdict(s.r, VERDICT_PASS, "no"), -EROFS);
    arena_done(&a);
    scene_done(&s);
}

TEST(an_old_run_is_never_overwritten)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    struct record *second;
    struct err err = {0};
    struct record_meta meta = {0};
    ASSERT_EQ(record_create(s.path, &s.plan, &meta, &second, &err), -EEXIST);
    ASSERT_CONTAINS(err.msg, "run.db");
    scene_done(&s);
}

TEST(the_same_request_twice_is_an_error_that_stays)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    struct ledger_row row = scene_row(1, 0, 1, FATE_ACCEPTED);
    ASSERT_OK(record_request(s.r, 1, &row, NULL, 0));
    ASSERT_EQ(record_request(s.r, 1, &row, NULL, 0), -EEXIST);
    row.id = 2;
    ASSERT_EQ(record_request(s.r, 1, &row, NULL, 0), -EEXIST);
    ASSERT_EQ(record_error(s.r), -EEXIST);
    ASSERT_CONTAINS(record_problem(s.r), "request");
    scene_done(&s);
}

TEST(what_is_a_latency_sample)
{
    struct ledger_row row = scene_row(0, 100, 7, FATE_ACCEPTED);
    row.sent_ns += SCENE_MS(2);
    int64_t ns;
    ASSERT(reader_latency(&row, PLAN_OPEN, SCENE_S(5), &ns));
    ASSERT_EQ(ns, SCENE_MS(7)); /* from the moment it was due */
    ASSERT(reader_latency(&row, PLAN_CLOSED, SCENE_S(5), &ns));
    ASSERT_EQ(ns, SCENE_MS(5));
    row.fate = FATE_UNKNOWN;
    row.reason = REASON_TIMEOUT;
    row.answered_ns = 0;
    ASSERT(reader_latency(&row, PLAN_OPEN, SCENE_S(5), &ns));
    ASSERT_EQ(ns, SCENE_S(5));
    row.reason = REASON_RESET;
    ASSERT(!reader_latency(&row, PLAN_OPEN, SCENE_S(5), &ns));
    row = scene_row(0, 100, 7, FATE_UNSENT);
    ASSERT(!reader_latency(&row, PLAN_OPEN, SCENE_S(5), &ns));
    row = scene_row(0, 100, 7, FATE_FAILED);
    row.reason = REASON_CONNECT_REFUSED;
    row.sent_ns = 0;
    ASSERT(!reader_latency(&row, PLAN_OPEN, SCENE_S(5), &ns));
}

/* Rows in any order over many more seconds than there are slots: the folded tables must say the
 * same as the rows themselves. */
TEST(folded_numbers_equal_the_rows)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    scene_phases(&s);
    struct rng rng;
    rng_init(&rng, 11, "fold");
    struct hist *want = hist_new(), *got = hist_new();
    uint64_t in_phases = 0, fates[FATE_COUNT] = {0}, second_fates[FATE_COUNT] = {0};
    for (uint64_t id = 0; id < 4000; id++) {
        int64_t due_ms = (int64_t)rng_below(&rng, 32000), latency_ms = 1 + (int64_t)id % 900;
        enum fate fate = FATE_ACCEPTED + (int)rng_below(&rng, 5);
        struct ledger_row row = scene_row(id, due_ms, latency_ms, fate);
        ASSERT_OK(record_request(s.r, 2, &row, NULL, 0));
        row.id = id;
        ASSERT_OK(record_request(s.r, 1, &row, NULL, 0));
        bool in_fault = due_ms >= 10000 && due_ms < 18000;
        if (in_fault) {
            fates[fate]++;
            if (fate != FATE_UNSENT)
                hist_record(want, SCENE_MS(latency_ms));
        }
        in_phases += due_ms < 30000;
        if (due_ms / 1000 == 5)
            second_fates[fate]++;
        if (id % 500 == 0)
            ASSERT_OK(record_tick(s.r, (int64_t)id, true));
    }
    for (int round = 0; round < 2; round++) { /* while writing, and from the closed file */
        struct reader_window fault = {SCENE_S(10), SCENE_S(18)};
        for (int load = 1; load <= 2; load++) {
            struct reader_fates f;
            bool exact = false;
            ASSERT_OK(reader_fates(s.r, load, fault, &f));
            ASSERT(f.exact);
            for (int fate = 0; fate < FATE_COUNT; fate++)
                ASSERT_EQ(f.fates[fate], fates[fate]);
            ASSERT_EQ(f.due, fates[1] + fates[2] + fates[3] + fates[4] + fates[5]);
            ASSERT_EQ(f.reasons[REASON_SHED], fates[FATE_UNSENT]);
            hist_clear(got);
            ASSERT_OK(reader_hist(s.r, load, fault, got, &exact));
            ASSERT(exact);
            ASSERT_EQ(got->count, want->count);
            ASSERT_EQ(got->min, want->min);
            ASSERT_EQ(got->max, want->max);
            ASSERT(got->sum == want->sum);
            ASSERT_OK(memcmp(got->buckets, want->buckets, sizeof got->buckets));
            ASSERT_OK(reader_fates(s.r, load, (struct reader_window){SCENE_S(5), SCENE_S(6)}, &f));
            for (int fate = 0; fate < FATE_COUNT; fate++)
                ASSERT_EQ(f.fates[fate], second_fates[fate]);
            ASSERT_EQ(f.exact, load == 1);
            ASSERT_OK(reader_fates(s.r, load, READER_ALL, &f));
            ASSERT_EQ(f.due, 4000);
            ASSERT(f.exact);
            ASSERT_OK(reader_fates(s.r, load, (struct reader_window){0, SCENE_S(30)}, &f));
            ASSERT_EQ(f.due, in_phases);
            ASSERT(f.exact); /* all phases */
        }
        if (round == 0)
            scene_reopen(&s);
    }
    hist_free(want);
    hist_free(got);
    scene_done(&s);
}

static int add_second(void *ctx, const struct reader_second *second)
{
    uint64_t *totals = ctx;
    for (int fate = 0; fate < FATE_COUNT; fate++)
        totals[0] += second->fates[fate];
    totals[1] += second->hist->count;
    totals[2]++;
    return 0;
}

TEST(seconds_give_all_rows_once)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    for (uint64_t id = 0; id < 1000; id++) {
        struct ledger_row row =
            scene_row(id, (int64_t)id * 7, 3, id % 10 ? FATE_ACCEPTED : FATE_UNSENT);
        ASSERT_OK(record_request(s.r, 2, &row, NULL, 0));
    }
    uint64_t totals[3] = {0};
    ASSERT_OK(reader_seconds(s.r, 2, add_second, totals));
    ASSERT_EQ(totals[0], 1000);
    ASSERT_EQ(totals[1], 900);
    ASSERT_EQ(totals[2], 7);
    ASSERT_EQ(reader_seconds(s.r, 9, add_second, totals), -ENOENT);
    scene_done(&s);
}

struct sample_sum {
    int n, nans;
    double sum;
};

static int add_sample(void *ctx, size_t which, int64_t t_ns, double value)
{
    struct sample_sum *s = ctx;
    ASSERT_EQ(which, 0);
    ASSERT(t_ns >= 10 && t_ns < 30);
    s->n++;
    if (isnan(value))
        s->nans++;
    else
        s->sum += value;
    return 0;
}

static int first_log(void *ctx, const struct reader_log *log)
{
    ASSERT(str_eq(log->line, STR("falling back")));
    ++*(int *)ctx;
    return 42;
}

TEST(series_samples_and_logs)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    struct series_label labels[] = {{STR("component"), STR("redis")}, {STR("service"), STR("gw")}};
    for (int i = 0; i < 3; i++) {
        struct series series = {.key = i == 1 ? "state{x}" : "other{x}",
                                .name = i == 1 ? "state" : "other",
                                .labels = labels,
                                .labels_n = 2};
        ASSERT_OK(record_series(s.r, i * 5, &series));
    }
    ASSERT_OK(record_sample(s.r, 5, 5, 100));
    ASSERT_OK(record_sample(s.r, 5, 10, 1));
    ASSERT_OK(record_sample(s.r, 0, 10, 50));
    ASSERT_OK(record_sample(s.r, 5, 20, NAN));
    ASSERT_OK(record_sample(s.r, 5, 29, 2));
    ASSERT_OK(record_sample(s.r, 5, 30, 100));
    ASSERT_OK(record_log(s.r, 15, "other", 1, "falling back"));
    ASSERT_OK(record_log(s.r, 16, "gw", 2, "falling back"));
    ASSERT_OK(record_log(s.r, 17, "gw", 2, "falling back"));
    scene_reopen(&s);
    struct arena a = {0};
    arena_init(&a);
    struct series_selector *sel;
    size_t at;
    ASSERT_OK(series_selector_parse(STR("state{component=\"redis\"}"), &sel, &at));
    struct reader_series *series;
    size_t n;
    ASSERT_OK(reader_series(s.r, &a, sel, &series, &n));
    ASSERT_EQ(n, 1);
    ASSERT_EQ(series[0].index, 5);
    ASSERT_EQ(series[0].series.labels_n, 2);
    struct sample_sum sum = {0};
    ASSERT_OK(reader_samples(s.r, series, n, (struct reader_window){10, 30}, add_sample, &sum));
    ASSERT_EQ(sum.n, 3);
    ASSERT_EQ(sum.nans, 1);
    ASSERT_NEAR(sum.sum, 3, 0);
    ASSERT_OK(reader_series(s.r, &a, NULL, &series, &n));
    ASSERT_EQ(n, 3);
    int logs = 0;
    ASSERT_EQ(reader_logs(s.r, "gw", READER_ALL, first_log, &logs), 42);
    ASSERT_EQ(logs, 1);
    series_selector_free(sel);
    arena_done(&a);
    scene_done(&s);
}

static int64_t view_int(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    ASSERT_OK(sqlite3_open(path, &db));
    ASSERT_OK(sqlite3_prepare_v2(db, sql, -1, &st, NULL));
    ASSERT_EQ(sqlite3_step(st), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return v;
}

/* What a person asks with the sqlite3 shell. */
TEST(views_answer)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    scene_phases(&s);
    for (uint64_t id = 0; id < 8; id++) {
        struct ledger_row row = scene_row(id, (int64_t)id * 3000, 8, FATE_ACCEPTED);
        struct str key = id < 4 ? STR("a") : STR("b");
        ASSERT_OK(record_request(s.r, 0, &row, &key, 1));
    }
    ASSERT_OK(record_settled_object(s.r, 0, "a", 4));
    ASSERT_OK(record_settled_object(s.r, 0, "b", 1));
    ASSERT_OK(record_finish(s.r, SCENE_S(30), "done"));
    record_close(s.r);
    s.r = NULL;
    ASSERT_EQ(view_int(s.path, "SELECT sum(lost) FROM v_lost"), 3);
    ASSERT_EQ(view_int(s.path, "SELECT count(*) FROM v_lost"), 1);
    ASSERT_EQ(view_int(s.path, "SELECT count(*) FROM v_requests WHERE phase = 'fault' "
                               "AND fate = 'accepted' AND latency_ms = 8"),
              2);
    ASSERT_EQ(view_int(s.path, "SELECT sum(accepted) FROM v_seconds"), 8);
    ASSERT_EQ(view_int(s.path, "SELECT count(*) FROM v_events"), 0);
    ASSERT_EQ(view_int(s.path, "SELECT count(*) FROM v_samples"), 0);
    ASSERT_EQ(view_int(s.path, "SELECT count(*) FROM v_logs"), 0);
    scene_done(&s);
}

TEST(the_queries_of_the_docs_run)
{
    struct scene s;
    struct buf page = {0};
    scene_init(&s);
    scene_create(&s);
    scene_phases(&s);
    record_close(s.r);
    s.r = NULL;
    ASSERT_OK(buf_read_file(&page, SQUALL_DOCS "/run-file.md", 1 << 20));
    char *sql = strstr(page.p, "```sql\n");
    ASSERT(sql && strstr(sql + 7, "```"));
    *strstr(sql + 7, "```") = 0;
    sqlite3 *db;
    ASSERT_OK(sqlite3_open(s.path, &db));
    if (sqlite3_exec(db, sql + 7, NULL, NULL, NULL))
        TEST_FAIL("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    for (size_t i = 0; i < schema_tables_n; i++) { /* and each table is on the page */
        char name[64];
        snprintf(name, sizeof name, "`%s(", schema_tables[i].name);
        ASSERT_CONTAINS(page.p, name);
    }
    buf_done(&page);
    scene_done(&s);
}

/* A second of a simulated run: 200 rows, then a tick; what is committed goes to the pipe. */
static void write_until_killed(struct scene *s, int pipe_fd)
{
    for (uint64_t second = 0, id = 0;; second++) {
        for (int i = 0; i < 200; i++, id++) {
            struct ledger_row row = scene_row(id, (int64_t)id * 5, 4, FATE_ACCEPTED);
            struct str key = STR("key");
            if (record_request(s->r, 0, &row, &key, 1) || record_log(s->r, 1, "gw", 1, "line"))
                _exit(1);
        }
        if (record_tick(s->r, SCENE_S(second + 1), false))
            _exit(1);
        if (write(pipe_fd, &id, sizeof id) != sizeof id)
            _exit(1);
    }
}

TEST(a_killed_writer_leaves_all_but_its_last_second)
{
    struct rng rng;
    rng_init(&rng, (uint64_t)clock_now_ns(), "kill");
    uint64_t seconds = 0;
    for (int round = 0; round < 20; round++) {
        struct scene s;
        scene_init(&s);
        scene_create(&s);
        ASSERT_OK(record_tick(s.r, 0, false));
        int fds[2];
        ASSERT_OK(pipe(fds));
        pid_t pid = fork();
        if (pid == 0)
            write_until_killed(&s, fds[1]);
        usleep((useconds_t)rng_below(&rng, 25000));
        ASSERT_OK(kill(pid, SIGKILL));
        ASSERT_EQ(waitpid(pid, NULL, 0), pid);
        close(fds[1]);
        uint64_t committed = 0, last;
        while (read(fds[0], &last, sizeof last) == sizeof last)
            committed = last;
        close(fds[0]);
        struct record *stale = s.r; /* the parent's copy of the handle: dropped, not used */
        s.r = NULL;
        struct err err = {0};
        if (record_open(s.path, &s.r, &err))
            TEST_FAIL("round %d: %s", round, err.msg);
        struct reader_fates f;
        ASSERT_OK(reader_fates(s.r, 0, READER_ALL, &f));
        if (f.due < committed || f.due > committed + 200 || f.due % 200)
            TEST_FAIL("%" PRIu64 " rows after %" PRIu64 " were committed", f.due, committed);
        struct arena a = {0};
        arena_init(&a);
        struct reader_meta meta;
        ASSERT_OK(reader_meta(s.r, &a, &meta));
        ASSERT(!meta.how);
        if (committed)
            ASSERT_LT(0, meta.ended_ns);
        arena_done(&a);
        uint64_t totals[3] = {0};
        ASSERT_OK(reader_seconds(s.r, 0, add_second, totals));
        ASSERT_EQ(totals[0], f.due);
        seconds += f.due / 200;
        record_close(s.r);
        s.r = stale;
        scene_done(&s);
    }
    printf("  20 kills, %" PRIu64 " simulated seconds kept\n", seconds);
    ASSERT_LT(20, seconds);
}

TEST(a_reader_beside_the_writer_stops_nothing)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    ASSERT_OK(record_tick(s.r, 0, false));
    struct ledger_row row = scene_row(0, 0, 1, FATE_ACCEPTED);
    ASSERT_OK(record_request(s.r, 1, &row, NULL, 0));
    sqlite3 *db; /* a person's shell in the middle of a SELECT */
    sqlite3_stmt *st;
    ASSERT_OK(sqlite3_open(s.path, &db));
    ASSERT_OK(sqlite3_prepare_v2(db, "SELECT * FROM reasons", -1, &st, NULL));
    ASSERT_EQ(sqlite3_step(st), SQLITE_ROW);
    ASSERT_OK(record_tick(s.r, SCENE_S(2), false)); /* cannot commit, but is no error */
    row.id = 1;
    ASSERT_OK(record_request(s.r, 1, &row, NULL, 0));
    sqlite3_finalize(st);
    ASSERT_OK(record_tick(s.r, SCENE_S(2) + 1, false));
    ASSERT_EQ(view_int(s.path, "SELECT count(*) FROM requests"), 2);
    sqlite3_close(db);
    scene_done(&s);
}

TEST(a_full_disk_keeps_what_is_committed)
{
    if (geteuid() != 0)
        SKIP("needs root to mount a small tmpfs");
    struct scene s;
    scene_init(&s);
    if (mount("none", s.dir, "tmpfs", 0, "size=600k") != 0)
        SKIP("this machine allows no tmpfs mount");
    scene_create(&s);
    uint64_t committed = 0;
    int rc = 0;
    for (uint64_t id = 0; rc == 0 && id < 100000; id++) {
        struct ledger_row row = scene_row(id, (int64_t)id, 4, FATE_ACCEPTED);
        rc = record_request(s.r, 1, &row, NULL, 0);
        if (rc == 0 && id % 1000 == 999) {
            rc = record_tick(s.r, 0, true);
            if (rc == 0)
                committed = id + 1;
        }
    }
    ASSERT_EQ(rc, -ENOSPC);
    ASSERT_EQ(record_error(s.r), -ENOSPC);
    ASSERT_EQ(record_finish(s.r, 1, "done"), -ENOSPC);
    scene_reopen(&s);
    struct reader_fates f;
    ASSERT_OK(reader_fates(s.r, 1, READER_ALL, &f));
    ASSERT_LT(0, committed);
    ASSERT_EQ(f.due, committed);
    record_close(s.r);
    s.r = NULL;
    ASSERT_OK(umount2(s.dir, MNT_DETACH));
    scene_done(&s);
}

TEST(how_fast_the_writer_is)
{
    struct scene s;
    scene_init(&s);
    scene_create(&s);
    scene_phases(&s);
    const uint64_t n = 100000;
    int64_t start = clock_now_ns();
    for (uint64_t id = 0; id < n; id++) {
        struct ledger_row row =
            scene_row(id, (int64_t)id / 20, 1 + (int64_t)(id % 50), FATE_ACCEPTED);
        struct str keys[] = {STR("p-12345-a"), STR("p-12345-b")};
        ASSERT_OK(record_request(s.r, 0, &row, keys, 2));
        if (id % 20000 == 0)
            ASSERT_OK(record_tick(s.r, 0, true));
    }
    ASSERT_OK(record_tick(s.r, 0, true));
    double settled = (double)(clock_now_ns() - start) / (double)n;
    start = clock_now_ns();
    for (uint64_t id = 0; id < n; id++) {
        struct ledger_row row = scene_row(id, (int64_t)id / 20, 1, FATE_ACCEPTED);
        ASSERT_OK(record_request(s.r, 2, &row, NULL, 0));
    }
    double folded = (double)(clock_now_ns() - start) / (double)n;
    printf("  a settled request with two keys %.0f ns, one only folded %.0f ns\n", settled, folded);
    scene_done(&s);
}
