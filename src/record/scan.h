/*
 * scan.h - one reading statement with every column checked; for the files of this folder only.
 *
 * scan_open -> scan_next until false -> scan_close, which gives the first error. A column that is
 * not what it must be ends the scan with -EINVAL and words in record_problem; the getters then
 * return a harmless value (0, ""). Every statement has the step budget of its record.
 */
#pragma once
#include <sqlite3.h>

#include "record/reader.h"

#define SCAN_BUDGET_STEPS 1000 /* virtual machine steps a unit of budget stands for */

struct scan {
    struct record *r;
    sqlite3_stmt *s;
    const char *what; /* for messages: the table */
    int error;
};

/* Parameters are integers, bound in order. `what` must be a literal. */
int scan_open(struct scan *d, struct record *r, const char *what, const char *sql,
              const int64_t *params, int params_n);
bool scan_next(struct scan *d);
int scan_close(struct scan *d);
int scan_bad(struct scan *d, const char *why);

bool scan_null(const struct scan *d, int column);
int64_t scan_int(struct scan *d, int column, int64_t min, int64_t max);
double scan_num(struct scan *d, int column); /* NULL is NaN */
/* Valid until scan_next; never holds a NUL. */
struct str scan_str(struct scan *d, int column, size_t max_bytes);
const char *scan_text(struct scan *d, int column); /* NUL-terminated, READER_TEXT_BYTES */
const char *scan_copy(struct scan *d, int column, struct arena *a);
int scan_word(struct scan *d, int column, const char *const *words, int n); /* its index */
