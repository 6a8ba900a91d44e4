/*
 * verdicts.h - how verdicts and margins look: one set of signs for all formats.
 */
#pragma once
#include "check/check.h"
#include "report/pen.h"

struct verdict_look {
    const char *sign, *emoji, *shout; /* "✓", "✅", "PASS" */
    enum pen_style style;
};
const struct verdict_look *verdict_look(enum verdict v);

/* "+42 %" to go, "-8 %" beyond; "" when there is none. */
const char *verdict_margin(double margin, char *buf, size_t cap);
/* done / interrupted / aborted / cut off, as a sentence; NULL when the run went to its end. */
const char *verdict_run_problem(const char *how);
