#include "report/verdicts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const struct verdict_look *verdict_look(enum verdict v)
{
    static const struct verdict_look looks[] = {
        [VERDICT_PASS] = {"✓", "✅", "PASS", PEN_GOOD},
        [VERDICT_FAIL] = {"✗", "❌", "FAIL", PEN_BAD},
        [VERDICT_INCONCLUSIVE] = {"?", "❔", "INCONCLUSIVE", PEN_WARN},
    };
    _Static_assert(ARRAY_SIZE(looks) == VERDICT_COUNT, "a look for each verdict");
    return &looks[v];
}

const char *verdict_margin(double margin, char *buf, size_t cap)
{
    buf[0] = '\0';
    if (isnan(margin))
        return buf;
    double pct = margin * 100;
    if (fabs(pct) >= 1000)
        snprintf(buf, cap, "%s", pct > 0 ? ">+999 %" : "<-999 %");
    else
        snprintf(buf, cap, fabs(pct) < 9.95 && pct != 0 ? "%+.1f %%" : "%+.0f %%", pct);
    return buf;
}

const char *verdict_run_problem(const char *how)
{
    if (!how)
        return "the run was cut off: squall itself was killed, what was recorded until then is "
               "here";
    if (strcmp(how, "interrupted") == 0)
        return "the run was interrupted before its end";
    if (strcmp(how, "aborted") == 0)
        return "the run could not go on to its end";
    return NULL;
}
