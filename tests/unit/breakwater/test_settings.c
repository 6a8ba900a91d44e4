/* Settings: sources, units, refusals; and the rows themselves. */
#include <unistd.h>

#include "gw.h"
#include "tests.h"

static void start(struct gw_settings *s)
{
    *s = (struct gw_settings){0};
    settings_defaults(&gw_settings_table, s);
}

static enum settings_outcome args(struct gw_settings *s, struct buf *err, int n, const char **v)
{
    return settings_args(&gw_settings_table, s, n, (char **)(uintptr_t)v, err);
}

TEST(defaults_of_the_requirements)
{
    struct gw_settings s;
    start(&s);
    ASSERT_EQ(s.redis_call_limit_ms, 10);
    ASSERT_EQ(s.redis_pool_size, 10);
    ASSERT_EQ(s.breaker_redis_failed_pct, 5);
    ASSERT_EQ(s.dedup_ttl_ms, 300000);
    ASSERT_EQ(s.queue_max, 1000);
    ASSERT_EQ(s.body_bytes_max, 102400);
    ASSERT_EQ(s.shutdown_limit_ms, 30000);
    settings_done(&gw_settings_table, &s);
}

TEST(every_row_is_sound)
{
    const struct settings_table *t = &gw_settings_table;
    for (size_t i = 0; i < t->n; i++) {
        ASSERT(t->rows[i].help[0]);
        for (size_t k = 0; k < i; k++)
            ASSERT(strcmp(t->rows[i].name, t->rows[k].name) != 0);
        if (t->rows[i].type == SETTING_INT)
            ASSERT(t->rows[i].def && t->rows[i].min <= t->rows[i].max);
    }
}

TEST(command_line)
{
    struct gw_settings s;
    struct buf err = {0};
    const char *v[] = {"--queue-max",      "5",   "--set", "dedup_ttl_ms=7s", "--redis=r:1",
                       "--body-bytes-max", "2KiB"};
    start(&s);
    ASSERT_EQ(args(&s, &err, ARRAY_LEN(v), v), SETTINGS_OK);
    ASSERT_EQ(s.queue_max, 5);
    ASSERT_EQ(s.dedup_ttl_ms, 7000);
    ASSERT_STREQ(s.redis, "r:1");
    ASSERT_EQ(s.body_bytes_max, 2048);
    settings_done(&gw_settings_table, &s);
    buf_done(&err);
}

TEST(file_first_then_command_line)
{
    char file[] = "/tmp/bwsettings-XXXXXX";
    int fd = mkstemp(file);
    static const char text[] =
        "{\"queue_max\": 9, \"conflict_retries\": 1, \"kube\": \"http://k\"}";
    ASSERT_EQ(write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
    struct gw_settings s;
    struct buf err = {0};
    const char *v[] = {"--queue-max", "5", "--config", file};
    start(&s);
    ASSERT_EQ(args(&s, &err, ARRAY_LEN(v), v), SETTINGS_OK);
    ASSERT_EQ(s.queue_max, 5);
    ASSERT_EQ(s.conflict_retries, 1);
    ASSERT_STREQ(s.kube, "http://k");
    settings_done(&gw_settings_table, &s);
    buf_done(&err);
    unlink(file);
}

TEST(refused)
{
    static const char *bad[][2] = {{"--queu-max", "5"},
                                   {"--set", "queue_max"},
                                   {"--set", "nope=1"},
                                   {"--queue-max", "0"},
                                   {"--queue-max", "5s"},
                                   {"--queue-max", "x"},
                                   {"--dedup-ttl-ms", "99999999h"},
                                   {"--queue-max", ""}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct gw_settings s;
        struct buf err = {0};
        start(&s);
        if (args(&s, &err, 2, bad[i]) != SETTINGS_BAD)
            TEST_FAIL("%s %s must be refused", bad[i][0], bad[i][1]);
        ASSERT(err.len > 0);
        settings_done(&gw_settings_table, &s);
        buf_done(&err);
    }
}
