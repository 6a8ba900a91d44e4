/* Any text as a manifest: no crash, and what is accepted can be picked from and explained. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fault/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses a buffer of its own on some texts that it refuses; one a text at most. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

static struct plan_kv labels[] = {{"app", "redis"}, {"role", "master"}};
static struct plan_service services[] = {
    {.name = "redis-master", .labels = labels, .labels_n = 2},
    {.name = "redis-replica", .labels = labels, .labels_n = 1},
    {.name = "gateway"},
};
static const struct plan plan = {.services = services, .services_n = ARRAY_SIZE(services)};

static void use(const struct manifest *m)
{
    struct buf out = {0};
    static struct fault_request request;
    int n = manifest_request(m, &plan, 1, "fault/fuzz", &request, &out);
    assert(n >= 0 && n <= (int)ARRAY_SIZE(services) && (n > 0) == (out.n == 0));
    assert(fault_check_request(&request) == 0 && fault_find(request.kind));
    manifest_explain(m, &plan, &out);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct manifest m;
    struct plan_errors errors;
    char *text = xstrndup((const char *)data, size);
    arena_init(&arena);
    int r = manifest_parse(&arena, "fuzz.yaml", text, &m, &errors);
    assert((r == 0) == (errors.n == 0));
    if (r == 0)
        use(&m);
    plan_errors_done(&m.warnings);
    plan_errors_done(&errors);
    arena_done(&arena);
    free(text);
    return 0;
}
