/* Run files that were not written by us: each must end in a clear error or harmless numbers. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>

#include "base/rng.h"
#include "record/scene.h"

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ASSERT(f && fwrite(bytes, 1, n, f) == n);
    fclose(f);
}

static void refused(struct scene *s, const char *why)
{
    struct record *r = NULL;
    struct err err = {0};
    if (record_open(s->path, &r, &err) == 0)
        TEST_FAIL("opened, but should not: %s", why);
    ASSERT(err.code < 0);
    ASSERT_CONTAINS(err.msg, why);
}

TEST(what_is_no_run_file)
{
    struct scene s;
    scene_init(&s);
    refused(&s, "No such file");
    write_file(s.path, "", 0);
    refused(&s, "is empty");
    write_file(s.path,
               "hello, this is text, and long enough to be looked at by SQLite. "
               "It needs a hundred bytes of header, so here are some more of them.",
               130);
    refused(&s, "cannot be read as a run file");
    unlink(s.path);
    sqlite3 *db;
    ASSERT_OK(sqlite3_open(s.path, &db));
    ASSERT_OK(sqlite3_exec(db, "CREATE TABLE t (a)", NULL, NULL, NULL));
    sqlite3_close(db);
    refused(&s, "is not a run file of squall");
    struct err err = {0};
    struct record *r;
    ASSERT_EQ(record_open(s.dir, &r, &err), -EINVAL);
    scene_done(&s);
}

static void make(struct scene *s)
{
    scene_init(s);
    scene_create(s);
    scene_phases(s);
    for (uint64_t id = 0; id < 50; id++) {
        struct ledger_row row = scene_row(id, (int64_t)id * 100, 4, FATE_ACCEPTED + (int)id % 5);
        struct str key = STR("key");
        ASSERT_OK(record_request(s->r, 0, &row, &key, 1));
        ASSERT_OK(record_request(s->r, 2, &row, NULL, 0));
    }
    struct series_label label = {STR("a"), STR("b")};
    ASSERT_OK(record_series(s->r, 0, &(struct series){"k", "n", &label, 1}));
    ASSERT_OK(record_sample(s->r, 0, 1, 1));
    ASSERT_OK(record_log(s->r, 1, "gw", 1, "line"));
    ASSERT_OK(record_event(s->r, &(struct record_event){5, "fault", "redis", "warn", "gone"}));
    ASSERT_OK(record_fault(s->r, &(struct record_fault){.fault = 1, .state = "active"}));
    ASSERT_OK(record_settled_object(s->r, 0, "key", 4));
    ASSERT_OK(record_settled(s->r, 0, true, 77, NULL));
    ASSERT_OK(record_check_result(s->r, &(struct record_check){.kind = "latency"}));
    ASSERT_OK(record_finish(s->r, SCENE_S(30), "done"));
    record_close(s->r);
    s->r = NULL;
}

static void change(struct scene *s, const char *sql)
{
    sqlite3 *db;
    ASSERT_OK(sqlite3_open(s->path, &db));
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        TEST_FAIL("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static int nothing_row(void *ctx, const struct ledger_row *row)
{
    return 0;
}
static int nothing_item(void *ctx, const struct ledger_row *row, struct str key)
{
    return 0;
}
static int nothing_event(void *ctx, const struct record_event *event)
{
    return 0;
}
static int nothing_second(void *ctx, const struct reader_second *second)
{
    return 0;
}
static int nothing_sample(void *ctx, size_t which, int64_t t_ns, double value)
{
    return 0;
}
static int nothing_log(void *ctx, const struct reader_log *log)
{
    return 0;
}
static int nothing_object(void *ctx, struct str key, int64_t count)
{
    return 0;
}

/* Reads everything there is; the first error, if any. */
static int read_all(struct record *r)
{
    struct arena a = {0};
    arena_init(&a);
    struct hist *h = hist_new();
    struct reader_meta meta;
    const char *text;
    struct reader_phase *phases;
    struct reader_load *loads;
    struct record_fault *faults;
    struct record_check *checks;
    struct reader_series *series;
    struct reader_settled settled;
    struct reader_fates fates;
    size_t n, series_n = 0;
    int rcs[] = {
        reader_meta(r, &a, &meta),
        reader_plan_text(r, &a, &text),
        reader_phases(r, &a, &phases, &n),
        reader_loads(r, &a, &loads, &n),
        reader_faults(r, &a, &faults, &n),
        reader_checks(r, &a, &checks, &n),
        reader_events(r, READER_ALL, nothing_event, NULL),
        reader_requests(r, 0, READER_ALL, nothing_row, NULL),
        reader_items(r, 0, nothing_item, NULL),
        reader_seconds(r, 2, nothing_second, NULL),
        reader_hist(r, 2, READER_ALL, h, NULL),
        reader_fates(r, 2, READER_ALL, &fates),
        reader_settled(r, &a, 0, &settled),
        reader_objects(r, 0, nothing_object, NULL),
        reader_logs(r, NULL, READER_ALL, nothing_log, NULL),
        reader_series(r, &a, NULL, &series, &series_n),
    };
    int first = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rcs); i++)
        if (rcs[i] && !first)
            first = rcs[i];
    if (!first)
        first = reader_samples(r, series, series_n, READER_ALL, nothing_sample, NULL);
    hist_free(h);
    arena_done(&a);
    return first;
}

TEST(a_sound_file_reads_whole)
{
    struct scene s;
    make(&s);
    struct err err = {0};
    ASSERT_OK(record_open(s.path, &s.r, &err));
    ASSERT_OK(read_all(s.r));
    scene_done(&s);
}

TEST(a_missing_table_is_found_when_opening)
{
    struct scene s;
    make(&s);
    change(&s, "DROP TABLE samples");
    refused(&s, "tables are missing");
    scene_done(&s);
}

/* Each change leaves a database that SQLite likes; the reader must find it when opening or reading.
 */
TEST(changed_files_are_found_out)
{
    static const char *const changes[] = {
        "DROP TABLE requests",
        "DROP TABLE logs; CREATE VIEW logs AS WITH RECURSIVE x(a) AS (SELECT 1 UNION ALL SELECT "
        "a FROM x) SELECT a AS t_ns, '' AS service, 1 AS stream, '' AS line FROM x",
        "ALTER TABLE requests ADD COLUMN more",
        "PRAGMA user_version=2",
        "PRAGMA application_id=1",
        "UPDATE loads SET model = 'ajar'",
        "UPDATE loads SET load = load + 10",
        "UPDATE loads SET timeout_ns = -1",
        "DELETE FROM plan",
        "UPDATE plan SET text = zeroblob(100)",
        "UPDATE meta SET value = 'x' WHERE key = 'seed'",
        "UPDATE meta SET value = 1.5 WHERE key = 'started_wall_ns'",
        "UPDATE meta SET value = CAST(x'610062' AS TEXT) WHERE key = 'run_id'",
        "UPDATE meta SET value = printf('%.*c', 300000, 'x') WHERE key = 'run_id'",
        "UPDATE phases SET kind = 'party'",
        "UPDATE phases SET end_ns = start_ns - 1 WHERE phase = 1",
        "UPDATE phases SET start_ns = 'soon'",
        "UPDATE requests SET fate = 77 WHERE id = 1",
        "UPDATE requests SET reason = -1 WHERE id = 1",
        "UPDATE requests SET due_ns = 9223372036854775807 WHERE id = 1",
        "UPDATE requests SET status = 'ok' WHERE id = 1",
        "UPDATE items SET key = zeroblob(3)",
        "UPDATE histograms SET n = n + 1",
        "UPDATE histograms SET buckets = zeroblob(10)",
        "UPDATE histograms SET buckets = 'text'",
        "UPDATE histograms SET min_ns = max_ns + 1",
        "UPDATE histograms SET sum_ns = -5",
        "UPDATE counts SET accepted = -1",
        "UPDATE counts SET at = 9223372036854775807 WHERE at = 1",
        "UPDATE samples SET value = 'high'",
        "UPDATE series SET series = -1",
        "UPDATE faults SET fault = 99999999999",
        "UPDATE settled SET stable = 7",
        "UPDATE settled_objects SET n = 9223372036854775807",
        "UPDATE checks SET verdict = 'perhaps'",
        "UPDATE events SET kind = zeroblob(3)",
        "WITH RECURSIVE x(a) AS (SELECT 100 UNION ALL SELECT a + 1 FROM x WHERE a < 200000) "
        "INSERT INTO phases SELECT a, 'fault', 'f', NULL, NULL FROM x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        struct scene s;
        make(&s);
        change(&s, changes[i]);
        struct err err = {0};
        int rc = record_open(s.path, &s.r, &err);
        if (rc) {
            ASSERT_CONTAINS(err.msg, "run");
        } else {
            rc = read_all(s.r);
            if (rc == 0)
                TEST_FAIL("not found out: %s", changes[i]);
            ASSERT(record_problem(s.r)[0]);
        }
        ASSERT_EQ(rc, -EINVAL);
        scene_done(&s);
    }
}

/* Bytes flipped anywhere: any answer is right but a crash or a hang. */
TEST(flipped_bytes_never_crash)
{
    struct scene s;
    make(&s);
    static char whole[1 << 20];
    FILE *f = fopen(s.path, "rb");
    size_t n = fread(whole, 1, sizeof whole, f);
    fclose(f);
    ASSERT(n > 4096 && n < sizeof whole);
    struct rng rng;
    rng_init(&rng, 5, "flip");
    int opened = 0, clean = 0;
    for (int round = 0; round < 200; round++) {
        static char bytes[sizeof whole];
        memcpy(bytes, whole, n);
        size_t len = round % 10 == 0 ? 100 + (size_t)rng_below(&rng, n - 100) : n;
        for (int i = 0; i < 1 + round % 40; i++)
            bytes[rng_below(&rng, len)] = (char)rng_u64(&rng);
        write_file(s.path, bytes, len);
        struct err err = {0};
        if (record_open(s.path, &s.r, &err) == 0) {
            opened++;
            clean += read_all(s.r) == 0;
        }
        record_close(s.r);
        s.r = NULL;
    }
    printf("  200 damaged files: %d opened, %d of them read to the end\n", opened, clean);
    scene_done(&s);
}
