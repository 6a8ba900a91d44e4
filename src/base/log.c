#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const level_names[] = {"err", "warn", "info", "debug"};
_Static_assert(ARRAY_SIZE(level_names) == LOG_LEVEL_COUNT, "a name for each level");

static int level_of(struct str name)
{
    for (int i = 0; i < LOG_LEVEL_COUNT; i++)
        if (str_eq(name, str_of(level_names[i])))
            return i;
    return -1;
}

bool log_wanted(enum log_level level, const char *area)
{
    int limit = LOG_LEVEL_WARN;
    const char *env = getenv("SQUALL_LOG");
    if (!env)
        return (int)level <= limit;
    for (struct str rest = str_of(env); rest.n;) {
        struct str item = str_split(&rest, ','), value = item;
        struct str name = str_split(&value, '=');
        bool for_all = name.n == item.n;
        if (!for_all && !str_eq(name, str_of(area)))
            continue;
        int asked = level_of(for_all ? item : value);
        if (asked >= 0)
            limit = asked;
    }
    return (int)level <= limit;
}

void log_write(enum log_level level, const char *area, const char *fmt, ...)
{
    char line[1024];
    int n = snprintf(line, sizeof line, "squall: %s %s: ", level_names[level], area);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t all = (size_t)n + (size_t)(m < 0 ? 0 : m);
    if (all > sizeof line - 2)
        all = sizeof line - 2;
    for (size_t i = 0; i < all; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = ' ';
    line[all] = '\n';
    (void)!write(STDERR_FILENO, line, all + 1);
}
