#include "plan/plan.h"

#include "tests.h"

TEST(demo_plan_loads)
{
    struct plan *plan = NULL;
    struct plan_errors errors;
    int rc = plan_load("packs/demo/storm.yaml", NULL, &plan, &errors);
    ASSERT_STREQ(buf_str(&errors.text), "");
    ASSERT_OK(rc);
    ASSERT_EQ(plan->services_n, 3);
    plan_errors_done(&errors);
    plan_free(plan);
}
