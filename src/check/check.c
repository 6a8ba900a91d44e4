#include "check/check.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "check/kinds.h"

static const struct check_kind *const kinds[] = {
#define X(NAME) &check_##NAME,
#include "check/check_list.h"
#undef X
};

size_t check_count(void)
{
    return ARRAY_SIZE(kinds);
}

const struct check_kind *check_at(size_t i)
{
    assert(i < ARRAY_SIZE(kinds));
    return kinds[i];
}

const struct check_kind *check_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

static int run_one(struct record *r, const struct plan *plan, const struct plan_check *check,
                   struct check_results *out, struct check_result *ret)
{
    *ret = (struct check_result){.verdict = VERDICT_INCONCLUSIVE,
                                 .kind = check->kind,
                                 .name = check->name,
                                 .value = "",
                                 .limit = "",
                                 .value_num = NAN,
                                 .limit_num = NAN,
                                 .margin = NAN,
                                 .reason = "",
                                 .at_ns = -1,
                                 .plan = check};
    const struct check_kind *kind = check_find(check->kind);
    if (kind)
        return kind->run(r, plan, check, out, ret);
    ret->reason = arena_printf(&out->arena, "this squall knows no check '%s'", check->kind);
    return 0;
}

static const char *why(const struct check_result *c)
{
    return c->verdict == VERDICT_FAIL && c->value[0] ? c->value : c->reason;
}

/* fail when one fails; else inconclusive when one is, or when there is nothing to go by */
static void conclude(struct check_results *out)
{
    size_t counts[VERDICT_COUNT] = {0};
    const struct check_result *first = NULL; /* of those that decide */
    for (size_t i = 0; i < out->n; i++)
        counts[out->v[i].verdict]++;
    out->verdict = counts[VERDICT_FAIL]                          ? VERDICT_FAIL
                   : counts[VERDICT_INCONCLUSIVE] || out->n == 0 ? VERDICT_INCONCLUSIVE
                                                                 : VERDICT_PASS;
    for (size_t i = out->n; i-- > 0 && out->verdict != VERDICT_PASS;)
        if (out->v[i].verdict == out->verdict)
            first = &out->v[i];
    if (out->n == 0) {
        out->reason = "the plan has no checks, so nothing was shown; add some under `checks:`";
        return;
    }
    out->reason =
        arena_printf(&out->arena, "%zu of %zu checks passed, %zu failed, %zu inconclusive%s%s%s%s",
                     counts[VERDICT_PASS], out->n, counts[VERDICT_FAIL],
                     counts[VERDICT_INCONCLUSIVE], first ? "; first: " : "",
                     first ? first->name : "", first ? ": " : "", first ? why(first) : "");
}

int check_evaluate(struct record *r, const struct plan *plan, struct check_results *ret,
                   struct err *err)
{
    memset(ret, 0, sizeof *ret);
    arena_init(&ret->arena);
    ret->n = plan->checks_n;
    ret->v = arena_array(&ret->arena, plan->checks_n + 1, sizeof *ret->v);
    for (size_t i = 0; i < plan->checks_n; i++) {
        int rc = run_one(r, plan, &plan->checks[i], ret, &ret->v[i]);
        if (rc == 0)
            continue;
        err_set(err, rc, "check '%s': run file '%s' cannot be read: %s", plan->checks[i].name,
                record_path(r), record_problem(r));
        check_results_done(ret);
        return rc;
    }
    conclude(ret);
    return 0;
}
