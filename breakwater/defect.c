#include "defect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct defect_row {
    const char *id, *title, *caught_by;
};

static const struct defect_row rows[] = {
    [D_B01] = {"B01", "readiness remembers the first success",
               "a ready probe that must answer 503 while Redis is down"},
    [D_B08] = {"B08", "only the first alert of a batch is handled",
               "the ledger, with several alerts in one request"},
    [D_B11] = {"B11", "a failed occurrence update is swallowed, 202 answered",
               "settlement by the sum of occurrence counts, with update conflicts"},
    [D_B14] = {"B14", "the circuit breaker never opens",
               "the breaker state series while a dependency is down"},
    [D_B40] = {"B40", "a failed state write is ignored, success answered",
               "the ledger: alerts accepted while Redis is down are lost"},
};
_Static_assert(ARRAY_LEN(rows) == DEFECTS, "one row per defect");

static bool enabled[DEFECTS];

bool defect_on(enum defect d)
{
    return enabled[d];
}

static int enable_one(const char *id, size_t n)
{
    for (size_t i = 0; i < DEFECTS; i++) {
        if (strlen(rows[i].id) == n && memcmp(rows[i].id, id, n) == 0) {
            enabled[i] = true;
            return 0;
        }
    }
    return -EINVAL;
}

int defect_enable(const char *list, char *bad, size_t bad_bytes)
{
    while (*list) {
        list += strspn(list, ", ");
        size_t n = strcspn(list, ", ");
        if (n > 0 && enable_one(list, n) < 0) {
            snprintf(bad, bad_bytes, "%.*s", (int)(n > 40 ? 40 : n), list);
            return -EINVAL;
        }
        list += n;
    }
    return 0;
}

void defect_ids(struct buf *out)
{
    for (size_t i = 0; i < DEFECTS; i++)
        buf_printf(out, "%s%s", i ? ", " : "", rows[i].id);
}

void defect_table(struct buf *out)
{
    for (size_t i = 0; i < DEFECTS; i++)
        buf_printf(out, "%s  %s\n     caught by: %s\n", rows[i].id, rows[i].title,
                   rows[i].caught_by);
}
