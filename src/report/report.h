/*
 * report.h - one format a file, one row in report_list.h; each writes a run, read from its run
 * file, to a stream.
 *
 * Renderers are pure: everything, also times and versions, comes from the run file, so golden files
 * hold.
 */
#pragma once
#include <stdio.h>

#include "check/check.h"

struct report_format {
    const char *name; /* text, json, junit, markdown */
    const char *help;
    int (*write)(FILE *out, struct record *r, const struct check_results *checks, bool colour);
};

const struct report_format *report_find(const char *name);
size_t report_count(void);
const struct report_format *report_at(size_t i);
