/*
 * defect - the planted flaws, all off in a sound build.
 *
 * Each defect is one `if (defect_on(D_Bnn))` at the place where the real bug sat, and one row in
 * the table of defect.c. Lifecycle: defect_enable() at start, before threads; read-only after.
 */
#ifndef BREAKWATER_DEFECT_H
#define BREAKWATER_DEFECT_H

#include "util.h"

enum defect { D_B01, D_B08, D_B11, D_B14, D_B40, DEFECTS };

bool defect_on(enum defect d);
/* Switches on a comma list such as "B01,B08"; "" means none. -EINVAL for an unknown id, whose
 * text is then copied to bad. */
int defect_enable(const char *list, char *bad, size_t bad_bytes);
/* "B01, B08, ..." for messages. */
void defect_ids(struct buf *out);
/* The table as text, one line a defect: id, title, what must catch it. */
void defect_table(struct buf *out);

#endif
