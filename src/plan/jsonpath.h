/*
 * jsonpath.h - a JSON path as parsed steps: the subset of RFC 9535 that names values without
 * filters.
 *
 * Forms: $ then any of .name, ['name'], ["name"], [3], [-1] (from the end), [*], .*. A leading name
 * without $ is refused. Only the syntax lives here; whoever holds a document walks the steps.
 * Lifecycle: steps and names in the caller's arena. Limits: JSONPATH_STEPS steps.
 */
#pragma once
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define JSONPATH_STEPS 64

enum jsonpath_kind { JSONPATH_NAME, JSONPATH_INDEX, JSONPATH_ALL };

struct jsonpath_step {
    enum jsonpath_kind kind;
    const char *name; /* JSONPATH_NAME */
    int64_t index;    /* JSONPATH_INDEX; negative counts from the end */
};

struct jsonpath {
    struct jsonpath_step *steps;
    size_t n;
};

/* 0, or -EINVAL with err's column from 1 inside text. */
int jsonpath_parse(struct arena *a, const char *text, struct jsonpath *ret, struct err *err);
