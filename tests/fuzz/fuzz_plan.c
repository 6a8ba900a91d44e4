/* Any bytes as a plan: an error or a plan, and a plan reads back from its own resolved text. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 drops its scratch buffer when a single-quoted text with many doubled quotes is
 * not closed; nothing outside of it can free that. That we destroy parsers is checked by the unit
 * tests. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static void read_back(const struct plan *plan)
{
    struct plan *again = NULL;
    struct plan_errors errors;
    int rc = plan_load_resolved(plan->resolved, &again, &errors);
    assert(rc == 0 && strcmp(again->resolved, plan->resolved) == 0);
    (void)rc;
    plan_errors_done(&errors);
    plan_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct plan *plan = NULL;
    struct plan_errors errors;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (plan_load_resolved(text, &plan, &errors) == 0) {
        assert(errors.n == 0 && plan);
        read_back(plan);
    } else {
        assert(errors.n > 0 && !plan);
    }
    plan_errors_done(&errors);
    plan_free(plan);
    free(text);
    return 0;
}
