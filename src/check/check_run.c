/* The way every command takes: the plan, too, comes from the run file. */
#include <string.h>

#include "check/check.h"
#include "record/reader.h"

static int load_plan(struct record *r, struct plan **ret, struct err *err)
{
    struct arena a;
    arena_init(&a);
    const char *text;
    struct plan_errors errors = {0};
    int rc = reader_plan_text(r, &a, &text);
    if (rc)
        err_set(err, rc, "run file '%s' cannot be read: %s", record_path(r), record_problem(r));
    else if ((rc = plan_load_resolved(text, ret, &errors)))
        err_set(err, rc, "the plan in run file '%s' is not valid: %s", record_path(r),
                errors.n ? errors.v[0].msg : strerror(-rc));
    plan_errors_done(&errors);
    arena_done(&a);
    return rc;
}

int check_run(struct record *r, struct check_results *ret, struct err *err)
{
    struct plan *plan;
    int rc = load_plan(r, &plan, err);
    if (rc)
        return rc;
    rc = check_evaluate(r, plan, ret, err);
    if (rc)
        plan_free(plan);
    else
        ret->plan = plan;
    return rc;
}
