#include "record/scan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "record/db.h"

int scan_open(struct scan *d, struct record *r, const char *what, const char *sql,
              const int64_t *params, int params_n)
{
    *d = (struct scan){.r = r, .what = what};
    if (r->writer) /* what is still folded in memory must be seen, too */
        d->error = r->error ? 0 : fold_flush(r);
    if (d->error)
        return d->error;
    r->budget = r->budget_all;
    int rc = sqlite3_prepare_v2(r->db, sql, -1, &d->s, NULL);
    if (rc)
        return d->error = db_error(r, rc, what);
    for (int i = 0; i < params_n; i++)
        sqlite3_bind_int64(d->s, i + 1, params[i]);
    return 0;
}

bool scan_next(struct scan *d)
{
    if (d->error)
        return false;
    int rc = sqlite3_step(d->s);
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        d->error = db_error(d->r, rc, d->what);
    return false;
}

int scan_close(struct scan *d)
{
    sqlite3_finalize(d->s);
    d->s = NULL;
    return d->error;
}

int scan_bad(struct scan *d, const char *why)
{
    if (d->error)
        return d->error;
    snprintf(d->r->problem, sizeof d->r->problem, "table %s: %s", d->what, why);
    return d->error = -EINVAL;
}

bool scan_null(const struct scan *d, int column)
{
    return sqlite3_column_type(d->s, column) == SQLITE_NULL;
}

int64_t scan_int(struct scan *d, int column, int64_t min, int64_t max)
{
    if (sqlite3_column_type(d->s, column) != SQLITE_INTEGER) {
        scan_bad(d, "a number was expected");
        return min > 0 ? min : 0;
    }
    int64_t v = sqlite3_column_int64(d->s, column);
    if (v >= min && v <= max)
        return v;
    scan_bad(d, "a number is out of range");
    return min > 0 ? min : 0;
}

double scan_num(struct scan *d, int column)
{
    int type = sqlite3_column_type(d->s, column);
    if (type == SQLITE_NULL)
        return NAN;
    if (type != SQLITE_FLOAT && type != SQLITE_INTEGER) {
        scan_bad(d, "a number was expected");
        return NAN;
    }
    return sqlite3_column_double(d->s, column);
}

struct str scan_str(struct scan *d, int column, size_t max_bytes)
{
    if (sqlite3_column_type(d->s, column) != SQLITE_TEXT) {
        scan_bad(d, "text was expected");
        return STR("");
    }
    const char *p = (const char *)sqlite3_column_text(d->s, column);
    size_t n = (size_t)sqlite3_column_bytes(d->s, column);
    if (!p || n > max_bytes || memchr(p, 0, n)) {
        scan_bad(d, "a text is too long or holds a zero byte");
        return STR("");
    }
    return (struct str){p, n};
}

const char *scan_text(struct scan *d, int column)
{
    return scan_str(d, column, READER_TEXT_BYTES).p;
}

const char *scan_copy(struct scan *d, int column, struct arena *a)
{
    struct str s = scan_str(d, column, READER_TEXT_BYTES);
    return arena_strndup(a, s.p, s.n);
}

int scan_word(struct scan *d, int column, const char *const *words, int n)
{
    struct str s = scan_str(d, column, 64);
    for (int i = 0; i < n; i++)
        if (words[i] && str_eq(s, str_of(words[i])))
            return i;
    scan_bad(d, "a word is not one of those allowed");
    return 0;
}
