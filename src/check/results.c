#include <string.h>

#include "check/check.h"

void check_results_done(struct check_results *ret)
{
    if (ret->plan)
        plan_free(ret->plan);
    arena_done(&ret->arena);
    memset(ret, 0, sizeof *ret);
}
