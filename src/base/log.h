/*
 * log.h - squall's own diagnostics on standard error: one line, one write, "level area: message
 * key=value ...".
 *
 * Reports and results never go through here; library code logs at debug only, a subcommand prints
 * its error once. Default level is warn; SQUALL_LOG=debug|info|warn|err (or `area=level,...`)
 * changes it.
 */
#pragma once
#include <stdbool.h>

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_COUNT };

bool log_wanted(enum log_level level, const char *area);
void log_write(enum log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define LOG_AT(LEVEL, AREA, ...)                                                                   \
    do {                                                                                           \
        if (log_wanted(LEVEL, AREA))                                                               \
            log_write(LEVEL, AREA, __VA_ARGS__);                                                   \
    } while (0)
#define log_err(AREA, ...)   LOG_AT(LOG_LEVEL_ERR, AREA, __VA_ARGS__)
#define log_warn(AREA, ...)  LOG_AT(LOG_LEVEL_WARN, AREA, __VA_ARGS__)
#define log_info(AREA, ...)  LOG_AT(LOG_LEVEL_INFO, AREA, __VA_ARGS__)
#define log_debug(AREA, ...) LOG_AT(LOG_LEVEL_DEBUG, AREA, __VA_ARGS__)
