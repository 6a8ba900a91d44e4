#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void err_vset(struct err *err, int code,
                                                           const char *fmt, va_list ap)
{
    assert(err && code < 0);
    err->code = code;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    err->file[0] = '\0';
    err->line = err->column = 0;
    return code;
}

int err_at(struct err *err, int code, const char *file, int line, int column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    snprintf(err->file, sizeof err->file, "%s", file ? file : "");
    err->line = line;
    err->column = column;
    return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    char old[ERR_MSG_BYTES];
    va_list ap;

    assert(err->code < 0);
    memcpy(old, err->msg, sizeof old);
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", old);
    return err->code;
}

const char *err_text(const struct err *err, char *buf, size_t cap)
{
    if (err->file[0] && err->line > 0 && err->column > 0)
        snprintf(buf, cap, "%s:%d:%d: %s", err->file, err->line, err->column, err->msg);
    else if (err->file[0] && err->line > 0)
        snprintf(buf, cap, "%s:%d: %s", err->file, err->line, err->msg);
    else if (err->file[0])
        snprintf(buf, cap, "%s: %s", err->file, err->msg);
    else
        snprintf(buf, cap, "%s", err->msg);
    return buf;
}
