#include "base/log.h"

#include <unistd.h>

#include "base/mem.h"
#include "tests.h"

TEST(levels_and_areas_from_the_environment)
{
    static const struct {
        const char *env;
        enum log_level level;
        const char *area;
        bool wanted;
    } rows[] = {
        {NULL, LOG_LEVEL_WARN, "lab", true},
        {NULL, LOG_LEVEL_INFO, "lab", false},
        {"debug", LOG_LEVEL_DEBUG, "lab", true},
        {"err", LOG_LEVEL_WARN, "lab", false},
        {"lab=debug", LOG_LEVEL_DEBUG, "lab", true},
        {"lab=debug", LOG_LEVEL_DEBUG, "load", false},
        {"lab=debug", LOG_LEVEL_WARN, "load", true},
        {"err,lab=info", LOG_LEVEL_INFO, "lab", true},
        {"err,lab=info", LOG_LEVEL_WARN, "load", false},
        {"nonsense", LOG_LEVEL_INFO, "lab", false},
        {"nonsense", LOG_LEVEL_WARN, "lab", true},
        {"", LOG_LEVEL_WARN, "lab", true},
        {"lab=", LOG_LEVEL_INFO, "lab", false},
        {",,=,", LOG_LEVEL_WARN, "lab", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].env)
            setenv("SQUALL_LOG", rows[i].env, 1);
        else
            unsetenv("SQUALL_LOG");
        if (log_wanted(rows[i].level, rows[i].area) != rows[i].wanted)
            TEST_FAIL("row %zu: wanted %d", i, rows[i].wanted);
    }
    unsetenv("SQUALL_LOG");
}

/* What one call writes to standard error. */
static ssize_t captured(char *out, size_t cap, const char *message)
{
    int ends[2], old = dup(STDERR_FILENO);
    ASSERT(old >= 0);
    ASSERT_OK(pipe(ends));
    dup2(ends[1], STDERR_FILENO);
    log_err("lab", "%s fd=%d", message, 3);
    dup2(old, STDERR_FILENO);
    close(old);
    close(ends[1]);
    ssize_t n = read(ends[0], out, cap - 1);
    close(ends[0]);
    ASSERT_LE(0, n);
    out[n] = '\0';
    return n;
}

TEST(one_line_a_call_cut_when_too_long)
{
    char out[4096], big[3000];
    captured(out, sizeof out, "cannot mount");
    ASSERT_STREQ(out, "squall: err lab: cannot mount fd=3\n");
    memset(big, 'z', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    ssize_t n = captured(out, sizeof out, big);
    ASSERT_LT(500, n);
    ASSERT(strchr(out, '\n') == out + n - 1);
    captured(out, sizeof out, "two\nlines");
    ASSERT_STREQ(out, "squall: err lab: two lines fd=3\n");
}

static int evaluated;
static int cost(void)
{
    return ++evaluated;
}

TEST(arguments_of_an_unwanted_line_are_not_evaluated)
{
    unsetenv("SQUALL_LOG");
    log_debug("lab", "cost=%d", cost());
    ASSERT_EQ(evaluated, 0);
}
