/* Label selectors of any shape: refused with a reason, or matching the same way twice. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../breakwater/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *label(void *ctx, const char *key)
{
    (void)ctx;
    assert(key[0]);
    return key[0] == 'a' ? "web" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xstrndup((const char *)data, size);
    struct selector s;
    struct buf err = {0};
    int rc = selector_parse(text, &s, &err);
    assert(rc == 0 || err.len > 0);
    assert(s.n <= SELECTOR_MAX);
    if (rc == 0)
        assert(selector_match(&s, label, NULL) == selector_match(&s, label, NULL));
    selector_done(&s);
    buf_done(&err);
    free(text);
    return 0;
}
