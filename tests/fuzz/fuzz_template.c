/* Any text as a template: an error with a place, or output within its bound, the same each time. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan/jsonpath.h"
#include "plan/template.h"

#define OUT_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render_twice(const struct template *t, const struct template_vars *vars)
{
    static char out[OUT_BYTES], again[OUT_BYTES];
    static struct template_values values;
    static const uint64_t ids[] = {0, 1, 12345, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        template_bind(vars, 42, ids[i], &values);
        size_t n = template_render(t, &values, out, sizeof out);
        assert(n <= template_max_bytes(t));
        template_bind(vars, 42, ids[i], &values);
        size_t m = template_render(t, &values, again, sizeof again);
        assert(n == m && memcmp(out, again, n < OUT_BYTES ? n : OUT_BYTES) == 0);
        (void)m;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct template_vars vars = {0};
    struct template *var = NULL, *t = NULL;
    struct jsonpath path;
    struct err err = {0};
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (template_compile(&arena, "v-{{hex 4}}", &vars, &var, &err) == 0) {
        vars.names[0] = "v";
        vars.values[0] = var;
        vars.n = 1;
    }
    if (template_compile(&arena, text, &vars, &t, &err) == 0)
        render_twice(t, &vars);
    else
        assert(err.line > 0 && err.column > 0);
    if (jsonpath_parse(&arena, text, &path, &err) < 0)
        assert(err.column > 0);
    arena_done(&arena);
    free(text);
    return 0;
}
