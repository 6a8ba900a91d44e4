/*
 * A hostile run file: opening it, reading everything in it and evaluating checks on it may give
 * errors or nonsense, but must not crash, hang or read what it may not.
 *
 * The bytes are put over a sound run file, so that mutations get past the header: input is a list
 * of (offset, length, bytes) patches when it starts with 'P', else the whole file.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/check.h"
#include "record/reader.h"

#define FILE_MAX (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/squall-fuzz-XXXXXX";
static char path[64];
static uint8_t *sound;
static size_t sound_n;
static struct plan_load loads[] = {
    {.name = "alerts", .timeout_ns = 1000000000, .settle = {.from = "kube", .count = "$.n"}},
    {.name = "bulk", .timeout_ns = 1000000000}};
static struct plan_phase phases[] = {{.kind = PLAN_BASELINE, .name = "baseline"},
                                     {.kind = PLAN_FAULT, .name = "fault"},
                                     {.kind = PLAN_COOLDOWN, .name = "cooldown"}};
static struct plan_limit p99 = {"p99", PLAN_LT, 1e8, "< 100ms"}, share = {"share", PLAN_LT, 1, "<"},
                         value = {"value", PLAN_EQ, 1, "== 1"},
                         first = {"first", PLAN_LT, 1e9, "<"},
                         within = {"within", PLAN_LE, 1e9, "<="};
static struct plan_check checks[] = {
    {.kind = "nothing lost", .name = "n", .load = "alerts"},
    {.kind = "latency",
     .name = "l",
     .load = "bulk",
     .when = PLAN_ALWAYS,
     .limits = &p99,
     .limits_n = 1},
    {.kind = "errors",
     .name = "e",
     .load = "bulk",
     .when = PLAN_DURING,
     .phase = "fault",
     .limits = &share,
     .limits_n = 1},
    {.kind = "log", .name = "g", .service = "gw", .matches = "a+b", .when = PLAN_EVENTUALLY},
    {.kind = "metric",
     .name = "m",
     .service = "gw",
     .series = "up",
     .when = PLAN_ALWAYS,
     .limits = &value,
     .limits_n = 1},
    {.kind = "recovers",
     .name = "r",
     .load = "alerts",
     .when = PLAN_AFTER,
     .phase = "fault",
     .limits = &first,
     .limits_n = 1},
    {.kind = "recovers",
     .name = "s",
     .load = "alerts",
     .when = PLAN_AFTER,
     .phase = "fault",
     .limits = &within,
     .limits_n = 1}};
static struct plan plan = {.file = "f",
                           .name = "fuzz",
                           .resolved = "squall: 1\n",
                           .loads = loads,
                           .loads_n = 2,
                           .phases = phases,
                           .phases_n = 3,
                           .checks = checks,
                           .checks_n = ARRAY_SIZE(checks)};

static void remove_dir(void)
{
    unlink(path);
    rmdir(dir);
}

static void must(int ok)
{
    if (!ok)
        abort();
}

static void fill(struct record *r)
{
    for (int i = 0; i < 3; i++) {
        record_phase_start(r, i, i * 1000000000LL);
        record_phase_end(r, i, (i + 1) * 1000000000LL);
    }
    struct record_load ends[2] = {0};
    for (uint64_t id = 0; id < 60; id++) {
        struct ledger_row row = {.id = id,
                                 .due_ns = (int64_t)id * 50000000,
                                 .sent_ns = (int64_t)id * 50000000 + 1,
                                 .answered_ns = (int64_t)id * 50000000 + 5000000,
                                 .status = 200,
                                 .fate = id % 9 ? FATE_ACCEPTED : FATE_UNKNOWN};
        struct str key = id % 2 ? STR("odd") : STR("even");
        for (int load = 0; load < 2; load++) {
            record_request(r, load, &row, &key, 1);
            ends[load].due++;
            ends[load].fates[row.fate]++;
        }
    }
    record_load_end(r, 0, &ends[0]);
    record_load_end(r, 1, &ends[1]);
    struct series_label label = {STR("service"), STR("gw")};
    record_series(r, 0, &(struct series){"up{}", "up", &label, 1});
    record_sample(r, 0, 1500000000, 1);
    record_log(r, 1500000000, "gw", 1, "aaab");
    record_event(r, &(struct record_event){5, "fault", "redis", "warn", "gone"});
    record_fault(r, &(struct record_fault){.fault = 1, .phase = 1, .state = "active"});
    record_settled_object(r, 0, "odd", 30);
    record_settled(r, 0, true, 77, NULL);
    record_finish(r, 3000000000, "done");
}

static void make_sound(void)
{
    struct record *r;
    struct err err = {0};
    must(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/run", dir);
    atexit(remove_dir);
    must(record_create(path, &plan, &(struct record_meta){.run_id = "x"}, &r, &err) == 0);
    fill(r);
    record_close(r);
    FILE *f = fopen(path, "rb");
    sound = malloc(FILE_MAX);
    must(f && sound);
    sound_n = fread(sound, 1, FILE_MAX, f);
    fclose(f);
}

static size_t patch(uint8_t *to, const uint8_t *data, size_t size)
{
    memcpy(to, sound, sound_n);
    for (size_t i = 1; i + 4 <= size;) {
        size_t at = ((size_t)data[i] << 16 | (size_t)data[i + 1] << 8 | data[i + 2]) % sound_n;
        size_t n = data[i + 3] % 32u + 1;
        i += 4;
        for (; n && i < size && at < sound_n; n--)
            to[at++] = data[i++];
    }
    return sound_n;
}

static int skip_event(void *ctx, const struct record_event *event)
{
    return 0;
}

static int skip_second(void *ctx, const struct reader_second *second)
{
    return 0;
}

static void read_what_reports_read(struct record *r)
{
    struct arena a;
    struct reader_series *series;
    struct record_check *kept;
    const char *text;
    size_t n;
    arena_init(&a);
    reader_plan_text(r, &a, &text);
    reader_series(r, &a, NULL, &series, &n);
    reader_checks(r, &a, &kept, &n);
    reader_events(r, READER_ALL, skip_event, NULL);
    reader_seconds(r, 0, skip_second, NULL);
    reader_seconds(r, 1, skip_second, NULL);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!sound)
        make_sound();
    static uint8_t bytes[FILE_MAX];
    size_t n = size < FILE_MAX ? size : FILE_MAX;
    if (size && data[0] == 'P')
        n = patch(bytes, data, size);
    else
        memcpy(bytes, data, n);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
    struct record *r;
    struct err err = {0};
    if (record_open(path, &r, &err))
        return 0;
    read_what_reports_read(r);
    struct check_results results;
    if (check_evaluate(r, &plan, &results, &err) == 0)
        check_results_done(&results);
    record_close(r);
    return 0;
}
