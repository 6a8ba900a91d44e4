/*
 * log - JSON lines on stdout, one write per line.
 *
 * LOG_LINE(LOG_INFO, "redis", "circuit breaker opened", LF_S("error", text), LF_I("attempt", 2));
 * gives {"ts":..,"level":"info","component":"redis","msg":..,"error":..,"attempt":2}.
 * Lifecycle: log_init() once, before threads. Limits: at most LOG_LINES_PER_S lines a second for
 * one message text (told apart by the literal); the next line that passes carries "suppressed".
 * Debug lines are never limited and off by default. Threads: any.
 */
#ifndef BREAKWATER_LOG_H
#define BREAKWATER_LOG_H

#include "util.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };

#define LOG_LINES_PER_S 5

struct log_field {
    const char *key;
    const char *str; /* NULL: num counts */
    int64_t num;
};

#define LF_S(k, v)                                                                                 \
    {                                                                                              \
        .key = (k), .str = (v)                                                                     \
    }
#define LF_I(k, v)                                                                                 \
    {                                                                                              \
        .key = (k), .num = (v)                                                                     \
    }

/* The first element is a dummy so that a line without fields is still an array. */
#define LOG_LINE(level, component, msg, ...)                                                       \
    do {                                                                                           \
        if (log_on(level)) {                                                                       \
            const struct log_field fields_[] = {{.key = NULL}, ##__VA_ARGS__};                     \
            log_write(level, component, msg, fields_ + 1, ARRAY_LEN(fields_) - 1);                 \
        }                                                                                          \
    } while (0)

void log_init(enum log_level least);
/* 0, or -EINVAL for a name that is no level. */
int log_level_parse(const char *name, enum log_level *ret_level);
bool log_on(enum log_level level);
void log_write(enum log_level level, const char *component, const char *msg,
               const struct log_field *fields, size_t n);

#endif
